"""A net for sequences: convolutions, recurrence, pooling, and one linear layer.

All padded values have their steps on the first axis, (n_steps, n, width).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from sklearn_ext._torch.cells import Cell, State, make_cell
from sklearn_ext._torch.dropout import SharedDropout
from sklearn_ext._torch.initialization import normal
from sklearn_ext._torch.pooling import Pooling, Summary, make_pooling
from sklearn_ext._torch.recurrence import Recurrence
from sklearn_ext._torch.stem import ConvStem, pooled_lengths

__all__ = ["Architecture", "Position", "SequenceNet", "step_mask"]

Tensor = torch.Tensor


@dataclass(frozen=True)
class Architecture:
    """What a net for sequences is made of.

    Attributes
    ----------
    n_channels, n_outputs : int
        Channels of the input and raw outputs.
    cell, hidden_size, num_layers, bidirectional : str, int, int, bool
        Of the recurrence, see :mod:`sklearn_ext._torch.cells`.
    pooling : tuple of str
        See :mod:`sklearn_ext._torch.pooling`.
    stem_channels : int
        Channels of the convolutions; 0 for none.
    window : int
        Steps that become one behind the convolutions.
    longest : int
        Length of the longest training sequence.
    dropout : float
        Probability of dropout of pooled values and between recurrent layers.
    nonlinearity, recurrent_init, gate_bias : str, str, str or float
        See :func:`sklearn_ext._torch.cells.make_cell`.
    """

    n_channels: int
    n_outputs: int
    cell: str
    hidden_size: int
    num_layers: int
    bidirectional: bool
    pooling: tuple[str, ...]
    stem_channels: int
    window: int
    longest: int
    dropout: float
    nonlinearity: str
    recurrent_init: str
    gate_bias: str | float


@dataclass(frozen=True)
class Position:
    """How far a net that walks ahead only has come in some sequences.

    Attributes
    ----------
    pasts : sequence of torch.Tensor or None
        Last inputs of the convolutions.
    waiting : torch.Tensor or None
        Steps of a window that is not full yet, (< window, n, n_channels).
    states : list of tuple or None
        States of the recurrent layers after the last full window.
    summaries : list of tuple or None
        What the poolings know of all full windows.
    """

    pasts: Sequence[Tensor] | None = None
    waiting: Tensor | None = None
    states: list[State] | None = None
    summaries: list[Summary] | None = None


def step_mask(lengths: Tensor, n_steps: int) -> Tensor | None:
    """Tell which steps exist, (..., n_steps, n, 1); None if all do."""
    if int(lengths.min()) == n_steps:
        return None
    steps = torch.arange(n_steps, device=lengths.device)
    return (steps.unsqueeze(-1) < lengths.unsqueeze(-2)).unsqueeze(-1)


class SequenceNet(nn.Module):
    """One member: values that the ensemble prepared in, raw outputs out.

    Parameters
    ----------
    plan : Architecture
        What it is made of.
    generator : torch.Generator
        Draws the weights.
    """

    def __init__(self, plan: Architecture, generator: torch.Generator) -> None:
        super().__init__()
        self.window = plan.window
        n_inputs = plan.n_channels * (1 + 2 * plan.bidirectional)
        self.stem: ConvStem | None = None
        if plan.stem_channels:
            causal = not plan.bidirectional
            self.stem = ConvStem(n_inputs, plan.stem_channels, plan.window, causal, generator)
            n_inputs = plan.stem_channels
        self.recurrence = _recurrence(plan, n_inputs, generator)
        # The outputs of the stem are pooled too, in front of those of the recurrence.
        n_outputs = self.recurrence.n_outputs + plan.stem_channels
        n_ahead = n_outputs - plan.hidden_size * plan.bidirectional
        self.poolings = nn.ModuleList(
            make_pooling(kind, n_outputs, n_ahead, generator) for kind in plan.pooling
        )
        self.n_pooled = n_outputs * len(plan.pooling)
        self.dropout = SharedDropout(plan.dropout)
        self.output = _output(self.n_pooled, plan.n_outputs, generator)

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        """Raw outputs, (n, n_outputs), of padded values and their lengths (n,)."""
        return self.judged(self.pooled(values, lengths))

    def judged(self, pooled: Tensor) -> Tensor:
        """Turn pooled values into raw outputs."""
        raw: Tensor = self.output(self.dropout(pooled))
        return raw

    def pooled(self, values: Tensor, lengths: Tensor) -> Tensor:
        """Values of all poolings, (n, n_pooled)."""
        return self._pooled(*self.stepwise(values, lengths))

    def _pooled(self, outputs: Tensor, mask: Tensor | None) -> Tensor:
        summaries = [pooling.sum_up(outputs, mask) for pooling in self._poolings]
        return self._values(summaries)

    def stepwise(self, values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor | None]:
        """What is pooled, (n_steps, n, width), and which steps exist, (n_steps, n, 1) or None."""
        local, lengths = self.local(values, lengths)
        return self._beside(local, self._walked(local, lengths)), step_mask(lengths, len(local))

    def _walked(self, values: Tensor, lengths: Tensor, layers: slice = slice(None)) -> Tensor:
        """Go through layers of the recurrence."""
        mask = step_mask(lengths, len(values))
        walked: Tensor = self.recurrence(values, None if mask is None else lengths, layers)
        return walked

    def _beside(self, local: Tensor, states: Tensor) -> Tensor:
        """Put the outputs of the stem in front of states."""
        return states if self.stem is None else torch.cat([local, states], dim=-1)

    # In two parts, for :mod:`sklearn_ext._torch.frozen_states`

    @property
    def n_layers(self) -> int:
        """Number of recurrent layers."""
        return len(self.recurrence.ahead)

    def cut_for(self, trained: Iterable[str]) -> int:
        """First of these with a trained parameter: stem, 0; layers, from 1; poolings; output.

        Parameters
        ----------
        trained : iterable of str
            Names of trained parameters. Without any it is the output.
        """
        cut = self.n_layers + 2
        for name in trained:
            part, *rest = name.split(".")
            if part == "recurrence":
                cut = min(cut, int(rest[1]) + 1)
            elif part != "output":
                cut = min(cut, 0 if part == "stem" else self.n_layers + 1)
        return cut

    def below(self, values: Tensor, lengths: Tensor, cut: int) -> Tensor | dict[str, Tensor]:
        """What goes into the upper part, rows first.

        It is the pooled values (n, n_pooled), or "values" (n, n_steps, width) and "lengths" (n,):
        what is pooled, or the outputs of the stem and, beside them, those of the layer below.
        """
        local, lengths = self.local(values, lengths)
        steps = local
        if cut > 1:
            steps = self._beside(local, self._walked(local, lengths, slice(cut - 1)))
        if cut > self.n_layers + 1:
            return self._pooled(steps, step_mask(lengths, len(steps)))
        return {"values": steps.transpose(0, 1), "lengths": lengths}

    def above(self, states: Any, cut: int) -> Tensor:
        """Raw outputs, (n, n_outputs), of what `below` gives."""
        if cut > self.n_layers + 1:
            return self.judged(states)
        steps, lengths = states["values"].transpose(0, 1).contiguous(), states["lengths"]
        if cut <= self.n_layers:
            width = 0 if self.stem is None else self.stem.n_outputs
            first = steps if cut == 1 else steps[..., width:]
            walked = self._walked(first, lengths, slice(cut - 1, None))
            steps = self._beside(steps[..., :width], walked)
        return self.judged(self._pooled(steps, step_mask(lengths, len(steps))))

    def local(self, values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs of the recurrence, (n_steps, n, width), and the lengths there."""
        if self.stem is not None:
            values = self.stem(values, step_mask(lengths, len(values)))
        return values, self.walked_lengths(lengths)

    def walked_lengths(self, lengths: Tensor) -> Tensor:
        """Lengths of the sequences that the recurrence sees."""
        return lengths if self.stem is None else pooled_lengths(lengths, self.window)

    @property
    def _poolings(self) -> Sequence[Pooling]:
        return cast(Sequence[Pooling], self.poolings)

    def _values(self, summaries: Sequence[Summary]) -> Tensor:
        pairs = zip(self._poolings, summaries, strict=True)
        return torch.cat([pooling.value(summary) for pooling, summary in pairs], dim=-1)

    # Walking ahead with a state

    def follow(self, values: Tensor, position: Position) -> tuple[Tensor, Position]:
        """Go on with new steps of all sequences; pooled values and the position then."""
        steps, pasts = values, None
        if self.stem is not None:
            steps, pasts = self.stem.follow(values, position.pasts)
        if position.waiting is not None:
            steps = torch.cat([position.waiting, steps])
        n_full = len(steps) // self.window * self.window
        full, waiting = steps[:n_full], steps[n_full:]
        states, summaries = self._advance(full, position.states, position.summaries)
        position = Position(pasts, waiting, states, summaries)
        # What a window that is not full would add is seen, but not kept.
        _, seen = self._advance(waiting, states, summaries)
        assert seen is not None
        return self._values(seen), position

    def _advance(
        self,
        steps: Tensor,
        states: list[State] | None,
        summaries: list[Summary] | None,
    ) -> tuple[list[State] | None, list[Summary] | None]:
        """States and summaries after some more steps, which may be none."""
        if not len(steps):
            return states, summaries
        local = steps if self.stem is None else self.stem.shortened(steps)
        outputs, states = self.recurrence.follow(local, states)
        if self.stem is not None:
            outputs = torch.cat([local, outputs], dim=-1)
        new = [pooling.sum_up(outputs, None) for pooling in self._poolings]
        if summaries is None:
            return states, new
        triples = zip(self._poolings, summaries, new, strict=True)
        return states, [pooling.join(old, own) for pooling, old, own in triples]


def _recurrence(plan: Architecture, n_inputs: int, generator: torch.Generator) -> Recurrence:
    def new_cell(size: int) -> Cell:
        return make_cell(
            plan.cell,
            size,
            plan.hidden_size,
            generator,
            nonlinearity=plan.nonlinearity,
            recurrent_init=plan.recurrent_init,
            gate_bias=plan.gate_bias,
            longest=-(-plan.longest // plan.window),
        )

    return Recurrence(
        new_cell,
        n_inputs,
        plan.hidden_size,
        n_layers=plan.num_layers,
        bidirectional=plan.bidirectional,
        dropout=plan.dropout,
    )


def _output(n_inputs: int, n_outputs: int, generator: torch.Generator) -> nn.Linear:
    """Linear layer with a small start: the first predictions are near the mean."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, n_inputs, n_outputs, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(normal((n_outputs, n_inputs), 0.1 * n_inputs**-0.5, generator))
        layer.bias.zero_()
    return layer
