"""A net for sequences: scaling, convolutions, recurrence, pooling, and one linear layer.

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

__all__ = [
    "Architecture",
    "Position",
    "SequenceEnsemble",
    "SequenceNet",
    "changes",
    "series_scaled",
]

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


def series_scaled(values: Tensor, mask: Tensor | None, lengths: Tensor) -> Tensor:
    """Bring each channel of each sequence to mean 0 and standard deviation 1.

    Parameters
    ----------
    values : torch.Tensor of shape (..., n_steps, n, n_channels)
        Padded sequences.
    mask : torch.Tensor of shape (..., n_steps, n, 1) or None
        Which steps exist.
    lengths : torch.Tensor of shape (..., n)
        How many do.

    Returns
    -------
    scaled : torch.Tensor of shape (..., n_steps, n, n_channels)
        Zero where a channel is constant, and where there is no step.
    """
    count = lengths.to(values.dtype).unsqueeze(-2).unsqueeze(-1)  # (..., 1, n, 1)
    inside = values if mask is None else values * mask
    centred = values - inside.sum(-3, keepdim=True) / count
    if mask is not None:
        centred = centred * mask
    deviation = (centred.square().sum(-3, keepdim=True) / count).sqrt()
    size = inside.abs().amax(-3, keepdim=True)
    constant = deviation <= 1e-5 * size  # what is left by rounding
    return torch.where(constant, 0.0, centred / torch.where(constant, 1.0, deviation))


def changes(values: Tensor) -> Tensor:
    """Subtract from each step of (..., n_steps, n, n_channels) the last one; the first gives 0."""
    return values - torch.cat([values[..., :1, :, :], values[..., :-1, :, :]], dim=-3)


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


class SequenceEnsemble(nn.Module):
    """Members side by side behind one scaling of the channels.

    Inputs are a dictionary of padded "values" (n, n_steps, n_channels) and "lengths" (n,); with a
    leading axis of members each of them sees sequences of its own.

    Parameters
    ----------
    plan : Architecture
        What each member is made of.
    n_members : int
        Size of the ensemble.
    center, scale : torch.Tensor of shape (n_channels,)
        Subtracted from each channel, then multiplied by it.
    generator : torch.Generator
        Draws the weights.
    """

    center: Tensor
    scale: Tensor

    def __init__(
        self,
        plan: Architecture,
        n_members: int,
        center: Tensor,
        scale: Tensor,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.n_members = n_members
        # A way ahead only may not look at the whole sequence.
        self.scales_series = plan.bidirectional
        self.register_buffer("center", center)
        self.register_buffer("scale", scale)
        self.nets = nn.ModuleList(SequenceNet(plan, generator) for _ in range(n_members))

    def parameter_members(self) -> list[slice]:
        """Members that each parameter belongs to, in the order of `parameters`."""
        return [slice(i, i + 1) for i, net in enumerate(self.nets) for _ in net.parameters()]

    def scaled(self, values: Tensor) -> Tensor:
        """Scale channels and put steps first, (..., n_steps, n, n_channels)."""
        scaled = (values - self.center.to(values.dtype)) * self.scale.to(values.dtype)
        return scaled.to(next(self.parameters()).dtype).transpose(-2, -3).contiguous()

    def prepared(self, inputs: dict[str, Tensor]) -> Tensor:
        """Inputs of the nets, (..., n_steps, n, width): for all members at once."""
        values, lengths = self.scaled(inputs["values"]), inputs["lengths"]
        if not self.scales_series:
            return values
        views = torch.cat([values, changes(values)], dim=-1)
        scaled = series_scaled(views, step_mask(lengths, values.shape[-3]), lengths)
        return torch.cat([values, scaled], dim=-1)

    def of_each(self, inputs: dict[str, Tensor], what: str = "forward", *further: Any) -> list[Any]:
        """Call a method of each member's net with its sequences and further arguments."""
        values, lengths = self.prepared(inputs), inputs["lengths"]
        shared = lengths.ndim == 1
        return [
            getattr(net, what)(
                values if shared else values[member],
                lengths if shared else lengths[member],
                *further,
            )
            for member, net in enumerate(self.nets)
        ]

    def members(self, inputs: dict[str, Tensor]) -> Tensor:
        """Raw outputs of each member, (n_members, n, n_outputs)."""
        return torch.stack(self.of_each(inputs))

    def pooled(self, inputs: dict[str, Tensor]) -> Tensor:
        """Pooled values of all members side by side, (n, n_members * n_pooled)."""
        return torch.cat(self.of_each(inputs, "pooled"), dim=-1)

    # In two parts, for :mod:`sklearn_ext._torch.frozen_states`

    def cut_for(self, trained: Iterable[str]) -> int | None:
        """Lowest cut of the nets, see :meth:`SequenceNet.cut_for`; None for nothing below."""
        nets = cast(Sequence[SequenceNet], self.nets)
        own: list[list[str]] = [[] for _ in nets]
        for name in trained:
            _, number, local = name.split(".", 2)
            own[int(number)].append(local)
        cut = min(net.cut_for(names) for net, names in zip(nets, own, strict=True))
        lowest = 1 if nets[0].stem is None else 0  # to scale the inputs is hardly anything
        return cut if cut > lowest else None

    def below(self, inputs: dict[str, Tensor], cut: int) -> list[Any]:
        """What goes into the upper part of each member."""
        return self.of_each(inputs, "below", cut)

    def above(self, inputs: dict[str, Tensor], states: Sequence[Any], cut: int) -> Tensor:
        """Raw outputs of each member, (n_members, n, n_outputs), of what `below` gives."""
        nets = cast(Sequence[SequenceNet], self.nets)
        pairs = zip(nets, states, strict=True)
        return torch.stack([net.above(own, cut) for net, own in pairs])

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Raw outputs of raw sequences, (n, n_members, n_outputs)."""
        return self.members(inputs).transpose(0, 1)

    def follow(
        self, values: Tensor, positions: Sequence[Position] | None
    ) -> tuple[Tensor, list[Position]]:
        """Go on with new steps; pooled values of each member and its position then.

        Parameters
        ----------
        values : torch.Tensor of shape (n, n_steps, n_channels)
            New steps of all sequences.
        positions : sequence of Position, or None
            What the last call gave; None at the beginning.

        Returns
        -------
        pooled : torch.Tensor of shape (n_members, n, n_pooled)
            Pooled values of all steps so far.
        positions : list of Position
            How far each member has come.
        """
        scaled = self.scaled(values)
        before = [Position()] * self.n_members if positions is None else positions
        nets = cast(Sequence[SequenceNet], self.nets)
        found = [net.follow(scaled, old) for net, old in zip(nets, before, strict=True)]
        return torch.stack([pooled for pooled, _ in found]), [position for _, position in found]

    def judged(self, pooled: Tensor) -> Tensor:
        """Raw outputs of each member, of its pooled values (n_members, n, n_pooled)."""
        nets = cast(Sequence[SequenceNet], self.nets)
        return torch.stack([net.judged(own) for net, own in zip(nets, pooled, strict=True)])
