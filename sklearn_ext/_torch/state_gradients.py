"""Gradients of a loss with respect to the states of a recurrent net."""

from collections.abc import Callable
from copy import deepcopy

import torch

from sklearn_ext._torch.cells import Cell
from sklearn_ext._torch.sequence_net import SequenceNet

__all__ = ["state_gradient_norms"]

Tensor = torch.Tensor


class _Recorder:
    """Walks step by step and keeps the state of each.

    A fused layer tells no gradient of its states. One step of it is a whole layer too: the steps
    are taken one by one, by the same weights, and every state is a tensor of its own.
    """

    def __init__(self) -> None:
        self.states: list[list[Tensor]] = []  # of each walk

    def __call__(self, cell: Cell, values: Tensor) -> Tensor:
        """Give what `walk_through` gives."""
        state, outputs = cell.initial_state(values), []
        for step in values.split(1):
            output, state = cell(step, state)
            reached = output[0]  # one tensor for the next step and for what sees this state
            outputs.append(reached)
            state = (reached, *state[1:])
        self.states.append(outputs)
        return torch.stack(outputs)


def state_gradient_norms(
    net: SequenceNet, values: Tensor, lengths: Tensor, loss: Callable[[Tensor], Tensor]
) -> dict[str, Tensor]:
    """Norm of dL/dh by the number of steps to the last one, for each layer and direction.

    Parameters
    ----------
    net : SequenceNet
        Net. It is not changed; the gradients are computed in double precision.
    values : torch.Tensor of shape (n_steps, n, n_channels)
        Padded sequences.
    lengths : torch.Tensor of shape (n,)
        Their lengths.
    loss : callable
        Raw outputs (n, n_outputs) to a scalar.

    Returns
    -------
    norms : dict of str to torch.Tensor of shape (n_recurrent_steps,)
        Euclidean norm over all sequences and units; entry 0 is the last step that a layer saw of
        each sequence. Where fewer sequences have that many steps, it is scaled up to the number
        of all of them.
    """
    net = deepcopy(net).double().train(False)
    recorder = net.recurrence.walk = _Recorder()
    values = values.double()
    total = loss(net(values, lengths))
    walked = net.walked_lengths(lengths)
    found = {}
    for name, states in zip(_names(net), recorder.states, strict=True):
        gradients = torch.autograd.grad(total, states, retain_graph=True, allow_unused=True)
        by_step = torch.stack(
            [
                torch.zeros_like(state) if gradient is None else gradient
                for state, gradient in zip(states, gradients, strict=True)
            ]
        )
        found[name] = _by_lag(by_step, walked)
    return found


def _names(net: SequenceNet) -> list[str]:
    """Names of the walks in the order in which they are taken."""
    ways = ("ahead", "back") if net.recurrence.back else ("",)
    return [
        f"layer {layer} {way}".rstrip()
        for layer in range(1, len(net.recurrence.ahead) + 1)
        for way in ways
    ]


def _by_lag(gradients: Tensor, lengths: Tensor) -> Tensor:
    """Norms of (n_steps, n, width) by distance from the last step of each sequence.

    Fewer sequences reach a larger distance. Their mean square counts for those that do not, or the
    norms would tell how many sequences are long.
    """
    squares = gradients.square().sum(-1)  # (n_steps, n)
    steps = torch.arange(len(squares), device=squares.device).unsqueeze(-1)
    lags = lengths - 1 - steps
    inside = lags >= 0
    sums = squares.new_zeros(len(squares)).index_add_(0, lags[inside], squares[inside])
    counts = inside.sum(1)  # as many sequences have a step t as have a lag t
    return (sums * (len(lengths) / counts.to(sums.dtype))).sqrt()
