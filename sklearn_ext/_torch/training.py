"""One epoch of gradient steps, validation, and the weights that were best.

Nothing here knows an estimator or skorch. Losses of an ensemble have a leading axis of members;
each member has a mean of its own, so that members do not feel each other.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from math import ceil
from operator import itemgetter
from typing import Any

import torch

from sklearn_ext._torch.batches import Batch, Rows, first_of
from sklearn_ext._torch.schedules import UNTIMED, rate_factor

__all__ = [
    "BestWeights",
    "GradientSteps",
    "best_shares",
    "epoch_indices",
    "evaluate",
    "weighted_mean",
]

Tensor = torch.Tensor

# What an "adaptive" rate is divided by, and what it is not lowered any more from.
RATE_DIVISOR, LOWEST_RATE = 5.0, 1e-6


def weighted_mean(losses: Tensor, weights: Tensor | None) -> Tensor:
    """Average over the last axis: sum(w l) / sum(w)."""
    if weights is None:
        return losses.mean(-1)
    return (losses * weights).sum(-1) / weights.sum(-1).clamp_min(torch.finfo(losses.dtype).tiny)


def epoch_indices(
    rows: Rows,
    batch_size: int,
    generator: torch.Generator,
    *,
    members: int,
    shuffle: bool,
    by_length: bool = True,
) -> Iterator[Tensor | None]:
    """Row numbers of each batch of an epoch; None for one batch of all rows as they lie.

    Parameters
    ----------
    rows : Rows
        Training rows.
    batch_size : int
        Rows a step.
    generator : torch.Generator
        Draws the order.
    members : int
        Size of the ensemble; each member has an order of its own.
    shuffle : bool
        Whether there is a new order every epoch.
    by_length : bool, default=True
        Whether sequences of about the same length meet in a batch then.

    Yields
    ------
    index : torch.Tensor of shape (n,) or (members, n), or None
        Row numbers.
    """
    n_rows = len(rows)
    if batch_size >= n_rows and rows.of_members is None:
        yield None
        return
    order = _order(rows, generator, members, shuffle)
    if shuffle and by_length and rows.lengths is not None:
        yield from _length_buckets(order, rows.lengths, batch_size, generator)
    else:
        yield from order.split(batch_size, dim=-1)


def _order(rows: Rows, generator: torch.Generator, members: int, shuffle: bool) -> Tensor:
    """Row numbers in the order of an epoch, (n,) or (members, n)."""
    n_rows, device = len(rows), rows.targets.device
    if not shuffle:
        order = torch.arange(n_rows).expand(members, -1)
    else:
        order = torch.stack([torch.randperm(n_rows, generator=generator) for _ in range(members)])
    order = order.to(device)
    if rows.of_members is not None:
        order = rows.of_members.gather(1, order)
    return order if members > 1 else order[0]


def _length_buckets(
    order: Tensor, lengths: Tensor, batch_size: int, generator: torch.Generator
) -> Iterator[Tensor]:
    """Batches of sequences of about the same length, in random order.

    Lengths count up to a random tenth, so that the same sequences do not meet every time. Members
    walk through long and short batches together.
    """
    noise = torch.rand(order.shape, generator=generator).to(lengths.device)
    by_length = order.gather(-1, (lengths[order] * (1.0 + 0.1 * noise)).argsort(dim=-1))
    batches = by_length.split(batch_size, dim=-1)
    for position in torch.randperm(len(batches), generator=generator).tolist():
        yield batches[position]


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
        self._trained = [p for p in self.optimizer.parameters if p.requires_grad]
        self._all_trained = len(self._trained) == len(self.optimizer.parameters)
        self._steady = self.schedule in UNTIMED and not self.warmup

    def step(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Move the parameters by one batch; the loss (a scalar) and the raw outputs."""
        self._set_rates()
        total, gradients, raw = self._gradients(batch)
        if self.max_grad_norm is not None:
            _clip(gradients, self.max_grad_norm)
        self.optimizer.step(gradients if self._all_trained else self._padded(gradients))
        self.n_taken += 1
        return total, raw

    def loss_and_gradients(self, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        """Sum over members of their losses, and its gradients by the trained parameters."""
        mean, gradients, raw = self._gradients(batch)
        return mean * (len(raw) if raw.ndim > 2 else 1), gradients

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
        totals, sums, outputs = [], None, []
        for part in _cut(batch, self.slices):
            value, raw, told = self._summed_loss(part, whole)
            new = torch.autograd.grad(value, self._trained, allow_unused=True)
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
        missing = [n for n, g in zip(trained, gradients, strict=True) if g is None]
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


@torch.no_grad()
def evaluate(
    forward: Callable[[Any], Tensor],
    loss: Callable[[Tensor, Tensor], Tensor],
    rows: Rows,
    batch_size: int,
) -> tuple[Tensor, Tensor]:
    """Mean loss, a scalar or one a member, and raw outputs of validation rows."""
    losses, outputs, weights = [], [], []
    index = torch.arange(len(rows), device=rows.targets.device)
    order = index if rows.of_members is None else rows.of_members
    for part in order.split(batch_size, dim=-1):
        batch = rows.batch(part)
        raw = forward(batch.inputs)
        losses.append(loss(raw, batch.targets))
        outputs.append(raw)
        if batch.weights is not None:
            weights.append(batch.weights)
    joined = torch.cat(weights, dim=-1) if weights else None
    return weighted_mean(torch.cat(losses, dim=-1), joined), torch.cat(outputs, dim=-2)


class BestWeights:
    """Keeps the weights of the smallest losses, each member's of its own best epoch.

    Parameters
    ----------
    parameters : list of torch.Tensor
        Parameters that are watched.
    members : list of slice or None, default=None
        Members that each parameter belongs to; those of several have them on their leading axis.
        None watches the mean loss of all.
    tol : float, default=0.0
        By how much a loss has to fall to reset the count of epochs.
    n_counted : int or None, default=None
        First members whose mean loss counts; None stands for all.

    Attributes
    ----------
    losses : torch.Tensor of shape (n_members,)
        Smallest loss of each member so far.
    loss : float
        Mean of `losses` of the members that count.
    epoch : int
        Epoch of the smallest mean loss.
    n_without : int
        Epochs since the mean loss last fell by more than `tol`.
    """

    def __init__(
        self,
        parameters: list[Tensor],
        members: list[slice] | None = None,
        tol: float = 0.0,
        n_counted: int | None = None,
    ) -> None:
        self.parameters, self.members, self.tol = parameters, members, tol
        self.n_counted = n_counted
        self.losses = torch.full((1,), float("inf"), dtype=torch.float64)
        self.epoch, self.n_without = 0, 0
        self._smallest_mean = self._reference = float("inf")
        self._kept: list[Tensor] = []

    @property
    def loss(self) -> float:
        """Mean of the smallest losses."""
        return float(self.losses[: self.n_counted].mean())

    def look(self, losses: Tensor, epoch: int) -> None:
        """Take notice of the losses, (n_members,) or of no axis, after an epoch."""
        losses = losses.detach().cpu().double().reshape(-1)
        mean = float(losses[: self.n_counted].mean())
        if self.members is None:
            losses = losses.mean(0, keepdim=True)
        if mean < self._smallest_mean:
            self._smallest_mean, self.epoch = mean, epoch
        better = losses < self.losses
        self._keep(better)
        self.losses = torch.where(better, losses, self.losses)
        improved = mean < self._reference - self.tol
        self.n_without = 0 if improved else self.n_without + 1
        self._reference = mean if improved else self._reference

    @torch.no_grad()
    def _keep(self, better: Tensor) -> None:
        """Copy the weights of members that are better than ever."""
        if not self._kept:
            self._kept = [parameter.detach().clone() for parameter in self.parameters]
            return
        members = self.members or [slice(0, 1)] * len(self.parameters)
        pairs = zip(members, self._kept, self.parameters, strict=True)
        for owners, of_owners in groupby(pairs, itemgetter(0)):
            chosen = better[owners] if len(better) > 1 else better
            if not bool(chosen.any()):
                continue
            whole = bool(chosen.all())
            for _, kept, parameter in of_owners:
                if whole:
                    kept.copy_(parameter)
                else:
                    kept[chosen.to(kept.device)] = parameter[chosen.to(parameter.device)]

    @torch.no_grad()
    def restore(self) -> None:
        """Put the best weights back."""
        for parameter, kept in zip(self.parameters, self._kept, strict=False):
            parameter.copy_(kept)


@torch.no_grad()
def best_shares(
    forward: Callable[[Any], Tensor],
    loss: Callable[[Tensor, Tensor], Tensor],
    rows: Rows,
    batch_size: int,
    kinds: Sequence[slice],
) -> list[float]:
    """Shares of several kinds of members in their mean, by the loss of held-out rows.

    Members of different kinds are paired, and a pair has held out the same rows. One kind after
    the other is mixed with those before: 21 shares from 0 to 1 are tried on the raw outputs.

    Parameters
    ----------
    forward, loss : callable
        As in :class:`GradientSteps`.
    rows : Rows
        Held-out rows.
    batch_size : int
        Rows at a time.
    kinds : sequence of slice
        Members of each kind.

    Returns
    -------
    shares : list of float
        One a kind, of sum 1.
    """
    _, raw = evaluate(forward, loss, rows, batch_size)
    pairs = min(kind.stop - kind.start for kind in kinds)
    targets, weights = rows.seen_targets, rows.seen_weights
    if rows.of_members is not None:
        targets = targets[kinds[0]][:pairs]
        weights = None if weights is None else weights[kinds[0]][:pairs]
    mixed, shares = raw[kinds[0]][:pairs], [1.0]
    for kind in kinds[1:]:
        mixtures = [torch.lerp(mixed, raw[kind][:pairs], step / 20) for step in range(21)]
        found = [weighted_mean(loss(mixture, targets), weights).mean() for mixture in mixtures]
        best = int(torch.stack(found).argmin())
        mixed = mixtures[best]
        shares = [share * (1.0 - best / 20) for share in shares] + [best / 20]
    return shares
