"""The feed-forward net: towers of packed linear layers on an encoded table.

All members of an ensemble are trained in one module: the weights of a layer are stacked on a
leading axis and multiplied in one batched product. A single member is made of plain
:class:`torch.nn.Linear` layers.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import sqrt
from typing import Any, cast

import torch
from torch import nn

from sklearn_ext._torch.activations import activation_function
from sklearn_ext._torch.dropout import SharedDropout
from sklearn_ext._torch.encoding import PackedEmbedding, PeriodicFeatures, TableEncoding
from sklearn_ext._torch.initialization import normal

__all__ = ["FeedForward", "PackedLinear", "Tower"]

Tensor = torch.Tensor

# Inputs of linear members: with larger ones Adam, whose steps are of one size, gets there sooner.
LINEAR_GAIN = 4.0
WAVE_SIZE = 4  # outputs of the waves of one column
EMBEDDING_SIZE = 16


class PackedLinear(nn.Module):
    """One linear layer for each member: (k, n, n_in) -> (k, n, n_out).

    Parameters
    ----------
    weight : torch.Tensor of shape (k, n_in, n_out)
        Weights.
    bias : torch.Tensor of shape (k, 1, n_out)
        Biases.
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Multiply each member's rows by its own weights."""
        return torch.baddbmm(self.bias, inputs, self.weight)

    def extra_repr(self) -> str:
        """Describe the shape for printing."""
        members, n_inputs, n_outputs = self.weight.shape
        return f"n_members={members}, in_features={n_inputs}, out_features={n_outputs}"


def linear_layer(
    members: int, n_inputs: int, n_outputs: int, scale: float, generator: torch.Generator
) -> nn.Module:
    """Build a layer with normal weights of standard deviation `scale` and biases of 0."""
    weight = normal((members, n_inputs, n_outputs), scale, generator)
    if members > 1:
        return PackedLinear(weight, torch.zeros(members, 1, n_outputs, dtype=torch.float64))
    # The constructor of nn.Linear draws from the global generator, and skip_init, which does not,
    # imports sympy by way of the meta device.
    layer = nn.Linear.__new__(nn.Linear)
    nn.Module.__init__(layer)
    layer.in_features, layer.out_features = n_inputs, n_outputs
    layer.weight = nn.Parameter(weight[0].T.contiguous())
    layer.bias = nn.Parameter(torch.zeros(n_outputs, dtype=torch.float64))
    return layer


class Tower(nn.Module):
    """Members of one kind: they see the same encoded columns, each with weights of its own.

    Parameters
    ----------
    encoding : TableEncoding
        What the inputs went through.
    hidden_layer_sizes : sequence of int
        Widths.
    n_outputs : int
        Raw outputs of one member.
    n_members : int
        Number of members.
    sees_bins : bool
        Whether they see the bins.
    n_frequencies : int
        Waves a numeric column; 0 for none.
    activation : str
        Name of the activation function.
    dropout : float
        Probability of dropout behind every hidden layer.
    generator : torch.Generator
        Draws the weights.
    gain : float, default=1.0
        Factor of all inputs.
    """

    def __init__(
        self,
        encoding: TableEncoding,
        hidden_layer_sizes: Sequence[int],
        n_outputs: int,
        *,
        n_members: int,
        sees_bins: bool,
        n_frequencies: int,
        activation: str,
        dropout: float,
        generator: torch.Generator,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.n_members, self.gain = n_members, gain
        self.n_numeric, self.n_embedded = encoding.n_numeric, encoding.n_embedded
        self.n_seen = encoding.n_plain + (encoding.n_bins if sees_bins else 0)
        self.waves = self.embedding = None
        if n_frequencies:
            self.waves = PeriodicFeatures(
                n_members, encoding.n_numeric, n_frequencies, WAVE_SIZE, generator
            )
        if self.n_embedded:
            self.embedding = PackedEmbedding(
                n_members, encoding.n_embeddings, EMBEDDING_SIZE, generator
            )
        self.learns_inputs = self.waves is not None or self.embedding is not None
        self.activation: Callable[[Tensor], Tensor] = activation_function(activation)
        self.dropout = SharedDropout(dropout)
        widths = [self._n_inputs(), *hidden_layer_sizes]
        self.hidden = nn.ModuleList(
            linear_layer(n_members, a, b, sqrt(2.0 / max(a, 1)), generator)
            for a, b in pairwise(widths)
        )
        # A small start of the outputs: the first predictions are near the mean.
        last = 0.1 / sqrt(max(widths[-1], 1))
        self.output = linear_layer(n_members, widths[-1], n_outputs, last, generator)

    def _n_inputs(self) -> int:
        waves = 0 if self.waves is None else self.waves.n_outputs
        return self.n_seen + waves + self.n_embedded * EMBEDDING_SIZE

    def forward(self, encoded: Tensor) -> Tensor:
        """Raw outputs, (k, n, n_outputs), of encoded rows (n, n_encoded) or (k, n, n_encoded)."""
        return self._raw(self._through(self.hidden, self._first(encoded)))

    def _first(self, encoded: Tensor) -> Tensor:
        """Inputs of the first layer, (k, n, width), or (n, width) of a single member."""
        if encoded.ndim == 2 and (self.n_members > 1 or self.learns_inputs):
            encoded = encoded.expand(self.n_members, *encoded.shape)
        values = self._inputs(encoded)
        # The layers of a single member are plain ones.
        return values[0] if self.n_members == 1 and values.ndim == 3 else values

    def _through(self, layers: Iterable[nn.Module], values: Tensor) -> Tensor:
        for layer in layers:
            values = self.dropout(self.activation(layer(values)))
        return values

    def _raw(self, values: Tensor) -> Tensor:
        raw: Tensor = self.output(values)
        return raw.unsqueeze(0) if self.n_members == 1 else raw

    # In two parts, for :mod:`sklearn_ext._torch.frozen_states`

    def cut_for(self, trained: Iterable[str]) -> int:
        """First of these that has a trained parameter: waves and embeddings, 0; layers, from 1.

        Parameters
        ----------
        trained : iterable of str
            Names of trained parameters. Without any it is the output layer.
        """
        cut = len(self.hidden) + 1
        for name in trained:
            part, number, *_ = name.split(".")
            if part != "output":
                cut = min(cut, int(number) + 1 if part == "hidden" else 0)
        return cut

    def has_below(self, cut: int) -> bool:
        """Whether anything is computed below a cut."""
        return cut > 1 or (cut == 1 and self.learns_inputs)

    def below(self, encoded: Tensor, cut: int) -> list[Tensor]:
        """What goes into the upper part, (n, width) of each member."""
        if cut > 0:
            encoded = self._through(list(self.hidden)[: cut - 1], self._first(encoded))
        elif encoded.ndim == 2:
            encoded = encoded.expand(self.n_members, *encoded.shape)
        return [encoded] if encoded.ndim == 2 else list(encoded)

    def above(self, states: Sequence[Tensor], cut: int) -> Tensor:
        """Raw outputs, (k, n, n_outputs), of what `below` gives."""
        values = states[0] if self.n_members == 1 else torch.stack(list(states))
        if cut == 0:
            return self(values)  # type: ignore[no-any-return]
        return self._raw(self._through(list(self.hidden)[cut - 1 :], values))

    def _inputs(self, encoded: Tensor) -> Tensor:
        """Encoded columns that are seen, waves and embeddings."""
        parts = [encoded[..., : self.n_seen]]
        if self.waves is not None:
            parts.append(self.waves(encoded[..., : self.n_numeric]))
        if self.embedding is not None:
            parts.append(self.embedding(encoded[..., -self.n_embedded :]))
        inputs = torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]
        return inputs if self.gain == 1.0 else inputs * self.gain


class FeedForward(nn.Module):
    """An ensemble of nets behind one encoding.

    Members take turns: one half sees each numeric column in bins, the other half in waves. A
    single member sees both. Behind them come linear members, where these are asked for.

    Parameters
    ----------
    encoding : TableEncoding
        Fixed first part.
    hidden_layer_sizes : sequence of int
        Widths.
    n_outputs : int
        Raw outputs of one member.
    n_members : int
        Number of nets.
    n_frequencies : int
        Waves a numeric column; 0 for none.
    blend_linear : bool
        Whether two or more members are joined by linear ones, as many as there are of one kind.
    **settings : object
        What :class:`Tower` needs besides.

    Attributes
    ----------
    n_members : int
        Number of members, linear ones included.
    n_nets : int
        Number of members without them: losses and scores are told of these.
    tower_slices : list of slice
        Members of each tower.
    shares : torch.Tensor of shape (n_members,)
        Weight of each member in the mean.
    """

    shares: Tensor

    def __init__(
        self,
        encoding: TableEncoding,
        hidden_layer_sizes: Sequence[int],
        n_outputs: int,
        *,
        n_members: int,
        n_frequencies: int,
        blend_linear: bool,
        **settings: Any,
    ) -> None:
        super().__init__()
        self.encoding = encoding
        kinds = _kinds(n_members, encoding.n_bins > 0, n_frequencies, blend_linear)
        self.towers = nn.ModuleList(
            Tower(
                encoding,
                [] if kind.is_linear else hidden_layer_sizes,
                n_outputs,
                n_members=kind.size,
                sees_bins=kind.sees_bins,
                n_frequencies=kind.n_frequencies,
                gain=LINEAR_GAIN if kind.is_linear else 1.0,
                **settings,
            )
            for kind in kinds
        )
        ends = list(accumulate(kind.size for kind in kinds))
        self.n_members, self.n_nets = ends[-1], n_members
        self.tower_slices = [slice(a, b) for a, b in pairwise([0, *ends])]
        # Weight of each member in the mean; linear ones get one from held-out rows only.
        shares = torch.zeros(self.n_members, dtype=torch.float64)
        shares[:n_members] = 1.0 / n_members
        self.register_buffer("shares", shares)

    def parameter_members(self) -> list[slice]:
        """Members that each parameter belongs to, in the order of `parameters`."""
        return [
            members
            for members, tower in zip(self.tower_slices, self.towers, strict=True)
            for _ in tower.parameters()
        ]

    def encode(self, X: Tensor) -> Tensor:
        """Apply the fixed part, (n, n_features) to (n, n_encoded)."""
        encoded: Tensor = self.encoding(X)
        return encoded

    def _some_bias(self) -> Tensor:
        """Find a parameter; `next(self.parameters())` walks through all modules for it."""
        bias: Tensor = self.towers[0].output.bias  # type: ignore[union-attr, assignment]
        return bias

    def members(self, encoded: Tensor) -> Tensor:
        """Raw outputs, (n_members, n, n_outputs), of rows for all members or of their own."""
        parts = [tower(values) for tower, values in self._seen(encoded)]
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def _seen(self, encoded: Tensor) -> Iterator[tuple[Any, Tensor]]:
        """Pair each tower with its rows."""
        values = encoded.to(self._some_bias().dtype)
        for members, tower in zip(self.tower_slices, self.towers, strict=True):
            yield tower, values if values.ndim == 2 else values[members]

    # In two parts, for :mod:`sklearn_ext._torch.frozen_states`

    def cut_for(self, trained: Iterable[str]) -> list[int] | None:
        """Cut of each tower, see :meth:`Tower.cut_for`; None if nothing is computed below."""
        own: list[list[str]] = [[] for _ in self.towers]
        for name in trained:
            _, number, local = name.split(".", 2)
            own[int(number)].append(local)
        towers = cast(Sequence[Tower], self.towers)
        cuts = [tower.cut_for(names) for tower, names in zip(towers, own, strict=True)]
        some = any(tower.has_below(cut) for tower, cut in zip(towers, cuts, strict=True))
        return cuts if some else None

    def below(self, encoded: Tensor, cuts: Sequence[int]) -> list[Tensor]:
        """What goes into the upper part, (n, width) of each member."""
        pairs = zip(self._seen(encoded), cuts, strict=True)
        return [state for (tower, values), cut in pairs for state in tower.below(values, cut)]

    def above(self, encoded: Tensor, states: Sequence[Tensor], cuts: Sequence[int]) -> Tensor:
        """Raw outputs, (n_members, n, n_outputs), of what `below` gives."""
        towers = cast(Sequence[Tower], self.towers)
        triples = zip(towers, self.tower_slices, cuts, strict=True)
        return torch.cat([tower.above(states[members], cut) for tower, members, cut in triples])

    def forward(self, X: Tensor) -> Tensor:
        """Raw outputs of raw rows, (n, n_members, n_outputs)."""
        return self.members(self.encode(X)).transpose(0, 1)


@dataclass(frozen=True)
class Kind:
    """What the members of one tower have in common."""

    size: int
    sees_bins: bool
    n_frequencies: int
    is_linear: bool = False


def _kinds(n_members: int, has_bins: bool, n_frequencies: int, blend_linear: bool) -> list[Kind]:
    """Describe each tower."""
    if n_members == 1:
        return [Kind(1, has_bins, n_frequencies)]
    if has_bins and n_frequencies:
        half = n_members // 2
        kinds = [Kind(n_members - half, True, 0), Kind(half, False, n_frequencies)]
    else:
        kinds = [Kind(n_members, has_bins, n_frequencies)]
    return [*kinds, Kind(kinds[0].size, False, 0, is_linear=True)] if blend_linear else kinds
