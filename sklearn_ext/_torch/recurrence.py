"""Layers of recurrent cells, walked through in one or both directions."""

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import nn

from sklearn_ext._torch.cells import Cell, State
from sklearn_ext._torch.dropout import SharedDropout

__all__ = ["Recurrence", "reversed_steps", "walk_through"]

Tensor = torch.Tensor


class _ReversedSteps(torch.autograd.Function):
    """A gather that is its own inverse; torch's own derivative of a gather is a slow scatter."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, values: Tensor, order: Tensor) -> Tensor:
        ctx.save_for_backward(order)
        return values.gather(0, order.expand_as(values))

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        (order,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradient.gather(0, order.expand_as(gradient)), None


def reversed_steps(values: Tensor, lengths: Tensor | None) -> Tensor:
    """Turn each sequence round inside its own length; padding stays at the end.

    Parameters
    ----------
    values : torch.Tensor of shape (n_steps, n, width)
        Padded sequences.
    lengths : torch.Tensor of shape (n,) or None
        Their lengths; None if all have n_steps.

    Returns
    -------
    values : torch.Tensor of shape (n_steps, n, width)
        The sequences from their ends.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ext._torch.recurrence import reversed_steps
    >>> values = torch.tensor([[1.0, 4.0], [2.0, 5.0], [3.0, 0.0]]).unsqueeze(-1)
    >>> reversed_steps(values, torch.tensor([3, 2]))[..., 0].T
    tensor([[3., 2., 1.],
            [5., 4., 0.]])
    """
    if lengths is None:
        return values.flip(0)
    steps = torch.arange(len(values), device=values.device).unsqueeze(-1)  # (n_steps, 1)
    order = torch.where(steps < lengths, lengths - 1 - steps, steps)  # (n_steps, n)
    turned: Tensor = _ReversedSteps.apply(values, order.unsqueeze(-1))
    return turned


def walk_through(cell: Cell, values: Tensor) -> Tensor:
    """Outputs of a cell at all steps, from its initial state on."""
    outputs, _ = cell(values, cell.initial_state(values))
    return cast(Tensor, outputs)


class Recurrence(nn.Module):
    """Recurrent layers, one upon another.

    Parameters
    ----------
    make_cell : callable
        Number of inputs to a new cell, see :mod:`sklearn_ext._torch.cells`.
    n_inputs, width : int
        Sizes of the inputs and of the state of one direction.
    n_layers : int
        Number of layers.
    bidirectional : bool
        Whether each layer has a second cell that walks from the ends of the sequences.
    dropout : float
        Probability of dropout between layers; one mask for all steps of a sequence.

    Attributes
    ----------
    ahead, back : torch.nn.ModuleList
        Cells of each direction; `back` is empty for one direction.
    walk : callable
        Takes a cell and its inputs through all steps; :func:`walk_through`, unless somebody wants
        to watch.
    """

    def __init__(
        self,
        make_cell: Callable[[int], Cell],
        n_inputs: int,
        width: int,
        *,
        n_layers: int,
        bidirectional: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.width, self.n_outputs = width, width * (1 + bidirectional)
        sizes = [n_inputs] + [self.n_outputs] * (n_layers - 1)
        self.ahead, self.back = nn.ModuleList(), nn.ModuleList()
        for size in sizes:
            self.ahead.append(make_cell(size))
            if bidirectional:
                self.back.append(make_cell(size))
        self.dropout = SharedDropout(dropout)
        self.walk: Callable[[Cell, Tensor], Tensor] = walk_through

    def forward(
        self, values: Tensor, lengths: Tensor | None, layers: slice = slice(None)
    ) -> Tensor:
        """Outputs of all steps, (n_steps, n, n_outputs), of padded values (n_steps, n, n_inputs).

        Outputs at padded steps have no meaning. `layers` are those to go through.
        """
        for layer, cell in list(enumerate(_cells(self.ahead)))[layers]:
            if layer:
                values = self.dropout(values)
            outputs = self.walk(cell, values)
            if self.back:
                turned = reversed_steps(values, lengths)
                way_back = self.walk(_cells(self.back)[layer], turned)
                outputs = torch.cat([outputs, reversed_steps(way_back, lengths)], dim=-1)
            values = outputs
        return values

    def follow(self, values: Tensor, states: list[State] | None) -> tuple[Tensor, list[State]]:
        """Go on from the states of all layers; outputs of the new steps and the states then.

        Parameters
        ----------
        values : torch.Tensor of shape (n_steps, n, n_inputs)
            New steps.
        states : list of tuple of torch.Tensor, or None
            What the last call gave; None at the beginning.

        Returns
        -------
        outputs : torch.Tensor of shape (n_steps, n, n_outputs)
            Outputs of the last layer.
        states : list of tuple of torch.Tensor
            State of each layer.
        """
        found = []
        for layer, cell in enumerate(_cells(self.ahead)):
            before = cell.initial_state(values) if states is None else states[layer]
            values, state = cell(values, before)
            found.append(state)
        return values, found


def _cells(modules: nn.ModuleList) -> Sequence[Cell]:
    return cast(Sequence[Cell], modules)
