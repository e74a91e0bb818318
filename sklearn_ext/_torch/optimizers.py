"""Adam and SGD by torch's functional forms.

Constructing any class of torch.optim imports torch._dynamo, which costs every worker process
seconds; the functions underneath do not. The classes here are optimizers of torch's by name, so
that its schedulers of the rate take them, but never call its constructor. They have the attributes
that skorch and its callbacks use (``param_groups``, ``state_dict``), and their `step` takes the
gradients from the caller.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch.autograd.graph import increment_version
from torch.optim.adam import adam
from torch.optim.sgd import sgd

__all__ = ["SGD", "AdamW", "Optimizer"]

Tensor = torch.Tensor
Group = dict[str, Any]


class Optimizer(torch.optim.Optimizer):
    """What all have in common: groups of parameters with a learning rate and a decay each."""

    state: list[Group]  # type: ignore[assignment]
    _slots: tuple[str, ...]  # names of the running tensors kept for every parameter

    def __init__(self, params: Iterable[Any], lr: float, weight_decay: float) -> None:
        self.defaults = {"lr": lr, "weight_decay": weight_decay}
        groups = list(params)
        if groups and not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        self.param_groups: list[Group] = [
            self.defaults | group | {"params": list(group["params"])} for group in groups
        ]
        # All parameters, in the order in which `step` takes gradients.
        self.parameters: list[torch.Tensor] = [
            parameter for group in self.param_groups for parameter in group["params"]
        ]
        self.state = []  # one dict of the running tensors, from the first step on

    def _zeros(self) -> Group:
        return {slot: [torch.zeros_like(p) for p in self.parameters] for slot in self._slots}

    def set_rate(self, lr: float) -> None:
        """Take another initial learning rate; groups keep their ratios to it."""
        ratio, self.defaults["lr"] = lr / self.defaults["lr"], lr
        for group in self.param_groups if ratio != 1.0 else ():
            for name in group.keys() & {"lr", "initial_lr"}:
                group[name] *= ratio

    def forget(self) -> None:
        """Free the running tensors; the next step starts new ones."""
        self.state = []

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "step"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget gradients that were kept in the parameters."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, gradients: Any = None) -> Any:
        """Move the parameters.

        Parameters
        ----------
        gradients : sequence of torch.Tensor, callable or None, default=None
            One for each of `parameters`. None takes those that ``backward`` left in the
            parameters; a callable is torch's closure, which is called first.

        Returns
        -------
        loss : object
            What the closure returned, or None.
        """
        loss = None
        if callable(gradients):
            with torch.enable_grad():
                loss, gradients = gradients(), None
        if gradients is None:
            gradients = [_gradient(parameter) for parameter in self.parameters]
        pairs = zip(gradients, self.parameters, strict=True)
        gradients = [g if g.stride() == p.stride() else _laid_out_like(g, p) for g, p in pairs]
        for group in self.param_groups:
            decaying = [parameter for parameter in group["params"] if parameter.requires_grad]
            if group["weight_decay"] and decaying:
                share = min(group["lr"] * group["weight_decay"], 1.0)
                torch._foreach_mul_(decaying, 1.0 - share)
        self.state = self.state or [self._zeros()]
        for places, lr in self._places():
            moving = self._moving(places, self.parameters)
            state = {slot: self._moving(places, kept) for slot, kept in self.state[0].items()}
            if moving:
                self._move(moving, state, self._moving(places, gradients), lr)
        increment_version(self.parameters)  # which the fused forms leave out
        return loss

    def _moving(self, places: slice, values: Sequence[Tensor]) -> list[Tensor]:
        """Values of parameters that are not frozen: moments would move these too."""
        pairs = zip(self.parameters[places], values[places], strict=True)
        return [value for parameter, value in pairs if parameter.requires_grad]

    def _places(self) -> list[tuple[slice, float]]:
        """Parameters that move by one rate: all of them, as a rule, which saves calls."""
        if len({group["lr"] for group in self.param_groups}) == 1:
            return [(slice(None), self.param_groups[0]["lr"])] if self.parameters else []
        ends = list(accumulate(len(group["params"]) for group in self.param_groups))
        groups = zip(pairwise([0, *ends]), self.param_groups, strict=True)
        return [(slice(a, b), group["lr"]) for (a, b), group in groups if b > a]

    def _move(
        self, parameters: list[Tensor], state: Group, gradients: list[Tensor], lr: float
    ) -> None:
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """Collect the running tensors and the settings of the groups."""
        settings = [{k: v for k, v in g.items() if k != "params"} for g in self.param_groups]
        return {"state": self.state, "param_groups": settings, "defaults": dict(self.defaults)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        for group, settings in zip(self.param_groups, state_dict["param_groups"], strict=True):
            group.update(settings)
        self.defaults = dict(state_dict.get("defaults", self.defaults))
        self.state = [self._zeros() for _ in state_dict["state"]]
        for own_state, state in zip(self.state, state_dict["state"], strict=True):
            for slot, tensors in state.items():
                for own, tensor in zip(own_state[slot], tensors, strict=True):
                    own.copy_(tensor)


def _gradient(parameter: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def _laid_out_like(gradient: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """Give a gradient the strides of its parameter: the fused forms walk through raw memory."""
    return torch.empty_like(parameter).copy_(gradient)


def _fuses(parameters: Sequence[torch.Tensor]) -> bool:
    return parameters[0].device.type in ("cpu", "cuda")


class AdamW(Optimizer):
    r"""Adam with decoupled weight decay [1]_ [2]_.

    .. math::
        m &\leftarrow \beta_1 m + (1 - \beta_1) g, \qquad v \leftarrow \beta_2 v +
        (1 - \beta_2) g^2 \\
        \theta &\leftarrow (1 - \eta \lambda) \theta - \eta \frac{m / (1 - \beta_1^t)}
        {\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    Parameters
    ----------
    params : iterable of torch.Tensor or of dict
        Parameters, or groups of them with their own "lr" or "weight_decay".
    lr : float, default=1e-3
        Learning rate η.
    betas : tuple of float, default=(0.9, 0.95)
        Decay rates β of both moments, in [0, 1).
    eps : float, default=1e-8
        Smallest denominator ε.
    weight_decay : float, default=0.0
        λ, in [0, inf).

    References
    ----------
    .. [1] D. P. Kingma and J. Ba, "Adam: A method for stochastic optimization", ICLR 2015,
       arXiv:1412.6980; algorithm 1.
    .. [2] I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", ICLR 2019,
       arXiv:1711.05101; algorithm 2.
    """

    _slots = ("exp_avg", "exp_avg_sq", "step")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr, weight_decay)
        self.betas, self.eps = betas, eps

    def _zeros(self) -> Group:
        # Counters in float32, on the parameters' device as the fused form wants them.
        steps = [torch.zeros((), dtype=torch.float32, device=p.device) for p in self.parameters]
        return super()._zeros() | {"step": steps}

    def _move(
        self, parameters: list[Tensor], state: Group, gradients: list[Tensor], lr: float
    ) -> None:
        adam(  # without a decay of its own it is that of AdamW too
            parameters,
            gradients,
            state["exp_avg"],
            state["exp_avg_sq"],
            [],
            state["step"],
            fused=_fuses(parameters),
            amsgrad=False,
            beta1=self.betas[0],
            beta2=self.betas[1],
            lr=lr,
            weight_decay=0.0,  # done already
            eps=self.eps,
            maximize=False,
        )


class SGD(Optimizer):
    r"""Stochastic gradient descent with momentum, and weight decay decoupled as in `AdamW`.

    Parameters
    ----------
    params : iterable of torch.Tensor or of dict
        Parameters, or groups of them with their own "lr" or "weight_decay".
    lr : float, default=1e-3
        Learning rate.
    momentum : float, default=0.9
        In [0, 1].
    nesterov : bool, default=True
        Whether to look ahead along the momentum.
    weight_decay : float, default=0.0
        In [0, inf).
    """

    _slots = ("momentum_buffer",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.9,
        nesterov: bool = True,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr, weight_decay)
        self.momentum, self.nesterov = momentum, nesterov and momentum > 0

    def _move(
        self, parameters: list[Tensor], state: Group, gradients: list[Tensor], lr: float
    ) -> None:
        sgd(
            parameters,
            gradients,
            state["momentum_buffer"] if self.momentum else [None for _ in gradients],
            fused=_fuses(parameters),
            weight_decay=0.0,
            momentum=self.momentum,
            lr=lr,
            dampening=0.0,
            nesterov=self.nesterov,
            maximize=False,
        )
