"""Gradient steps of a training run.

Nothing here knows an estimator or skorch. Losses of an ensemble have a leading axis of members;
each member has a mean of its own, so that members do not feel each other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import torch

from sklearn_ext._torch.batches import Batch, first_of
from sklearn_ext._torch.schedules import UNTIMED, rate_factor

__all__ = ["GradientSteps"]

Tensor = torch.Tensor

# What an "adaptive" rate is divided by, and what it is not lowered any more from.
RATE_DIVISOR, LOWEST_RATE = 5.0, 1e-6


@dataclass
class GradientSteps:
    """Takes the gradient steps of a training run.

    Attributes
    ----------
    forward : callable
        Inputs of a batch to raw outputs.
    loss : callable
        Raw outputs and targets to one loss a row.
    optimizer : object
        With `parameters`, `param_groups` and ``step(gradients)``.
    n_steps : int
        Length of the whole run, for the schedule.
    schedule, warmup, power_t : str, float, float
        See :func:`sklearn_ext._torch.schedules.rate_factor`.
    max_grad_norm : float or None
        Largest Euclidean norm of a step's gradient.
    slices : int
        Parts in which a batch is worked through, for memory; changes nothing else.
    autocast : torch.dtype or None
        Half precision of the forward pass.
    mean_weight : float
        Mean weight of the training rows. The loss of a batch is the sum of its weighted losses over
        the weight that so many rows have on the average: the mean over all batches of an epoch is
        then that of the training set, whichever rows meet.
    n_counted : int or None
        First members whose mean loss is told; None stands for all.
    n_taken : int
        Number of steps so far.
    rates : list of float
        Initial learning rate of each group.
    names : sequence of str
        Names of the optimizer's parameters, for the error if one of them has no gradient.
    """

    forward: Callable[[Any], Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]
    optimizer: Any
    n_steps: int
    schedule: str = "constant"
    warmup: float = 0.0
    power_t: float = 0.5
    max_grad_norm: float | None = None
    slices: int = 1
    autocast: torch.dtype | None = None
    mean_weight: float = 1.0
    n_counted: int | None = None
    n_taken: int = 0
    rates: list[float] = field(default_factory=list)
    names: Sequence[str] = ()

    def __post_init__(self) -> None:
        self.rates = self.rates or [group["lr"] for group in self.optimizer.param_groups]
        self._steady = self.schedule in UNTIMED and not self.warmup

    def step(self, batch: Batch, show: Callable[[], None] | None = None) -> tuple[Tensor, Tensor]:
        """Move the parameters by one batch; the loss (a scalar) and the raw outputs.

        Whoever wants to see the gradients, or change them, is shown them as `grad` of parameters.
        """
        self._set_rates()
        total, gradients, raw = self._gradients(batch)
        if self.max_grad_norm is not None:
            _clip(gradients, self.max_grad_norm)
        if show is not None:
            gradients = _shown(self._trained(), gradients, show)
        all_trained = len(gradients) == len(self.optimizer.parameters)
        self.optimizer.step(gradients if all_trained else self._padded(gradients))
        self.n_taken += 1
        return total, raw

    def loss_and_gradients(self, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        """Sum over members of their losses, and its gradients by the trained parameters."""
        mean, gradients, raw = self._gradients(batch)
        return mean * (len(raw) if raw.ndim > 2 else 1), gradients

    def _trained(self) -> list[Tensor]:
        """Parameters that are not frozen: callbacks may freeze some of them at any time."""
        return [p for p in self.optimizer.parameters if p.requires_grad]

    def _padded(self, gradients: list[Tensor]) -> list[Tensor]:
        """Put zeros in the places of frozen parameters."""
        found = iter(gradients)
        return [
            next(found) if p.requires_grad else torch.zeros_like(p)
            for p in self.optimizer.parameters
        ]

    def _set_rates(self) -> None:
        if self._steady:
            return  # somebody else may steer the rates
        factor = rate_factor(
            self.schedule, self.n_taken, self.n_steps, warmup=self.warmup, power_t=self.power_t
        )
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self._steady = self.schedule in UNTIMED and factor == 1.0

    def lower_rates(self) -> bool:
        """Divide "adaptive" rates by 5; tell whether that was done.

        Rates of 1e-6 or less, and those of other schedules, stay as they are.
        """
        if self.schedule != "adaptive" or max(self.rates) <= LOWEST_RATE:
            return False
        self.rates = [rate / RATE_DIVISOR for rate in self.rates]
        for group in self.optimizer.param_groups:
            group["lr"] /= RATE_DIVISOR
        return True

    def _gradients(self, batch: Batch) -> tuple[Tensor, list[Tensor], Tensor]:
        """Loss, gradients and raw outputs, summed over the slices of a batch."""
        whole = _row_axis_length(batch) * (1.0 if batch.weights is None else self.mean_weight)
        trained = self._trained()
        totals, sums, outputs = [], None, []
        for part in _cut(batch, self.slices):
            value, raw, told = self._summed_loss(part, whole)
            new = torch.autograd.grad(value, trained, allow_unused=True)
            if any(gradient is None for gradient in new):
                raise self._unreached(new)
            sums = list(new) if sums is None else [a + b for a, b in zip(sums, new, strict=True)]
            totals.append(told)
            outputs.append(raw.detach())
        assert sums is not None
        if len(outputs) == 1:
            return totals[0], sums, outputs[0]
        return torch.stack(totals).sum(), sums, torch.cat(outputs, dim=-2)

    def _unreached(self, gradients: Sequence[Tensor | None]) -> ValueError:
        """Name the parameters that the loss does not depend on."""
        names = self.names or [str(i) for i in range(len(self.optimizer.parameters))]
        pairs = zip(self.optimizer.parameters, names, strict=True)
        trained = [name for parameter, name in pairs if parameter.requires_grad]
        missing = dict.fromkeys(n for n, g in zip(trained, gradients, strict=True) if g is None)
        return ValueError(
            f"No gradient reaches {', '.join(missing)}: the loss does not depend on it. Leave out "
            "of training what the net does not use."
        )

    def _summed_loss(self, part: Batch, whole: float) -> tuple[Tensor, Tensor, Tensor]:
        """Sum over members of their mean losses, raw outputs, and the loss that is told."""
        if self.autocast is None:
            raw = self.forward(part.inputs)
        else:
            with torch.autocast(part.targets.device.type, dtype=self.autocast):
                raw = self.forward(part.inputs)
        losses = self.loss(raw, part.targets)  # (n,) or (n_members, n)
        if part.weights is not None:
            losses = losses * part.weights
        total = losses.sum() / whole
        n_members = losses.shape[0] if losses.ndim > 1 else 1
        if self.n_counted is None or self.n_counted == n_members:
            return total, raw, total.detach() / n_members
        return total, raw, losses[: self.n_counted].detach().sum() / (whole * self.n_counted)


def _shown(
    parameters: list[Tensor], gradients: list[Tensor], show: Callable[[], None]
) -> list[Tensor]:
    """Gradients after somebody has seen them in the places where torch keeps them."""
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    try:
        show()
        return [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    finally:
        for parameter in parameters:
            parameter.grad = None


def _row_axis_length(batch: Batch) -> int:
    return int(first_of(batch.inputs).shape[int(batch.per_member)])


def _cut(batch: Batch, slices: int) -> list[Batch]:
    """Cut a batch along its rows."""
    if slices == 1:
        return [batch]
    length = _row_axis_length(batch)
    size = ceil(length / slices)
    return batch.split([min(size, length - start) for start in range(0, length, size)])


def _clip(gradients: list[Tensor], largest: float) -> None:
    """Scale gradients down, in place, to a joint norm of at most `largest`."""
    norm = torch.stack(torch._foreach_norm(gradients)).norm()
    factor = (largest / norm.clamp_min(torch.finfo(norm.dtype).tiny)).clamp_max(1.0)
    torch._foreach_mul_(gradients, factor)
