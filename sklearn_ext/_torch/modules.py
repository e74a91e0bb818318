"""The feed-forward net: towers of packed linear layers on an encoded table.

All members of an ensemble are trained in one module: the weights of a layer are stacked on a
leading axis and multiplied in one batched product. A single member is made of plain
:class:`torch.nn.Linear` layers.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, cast

import torch
from torch import nn

from sklearn_ext._torch.encoding import TableEncoding
from sklearn_ext._torch.tower import Tower

__all__ = ["FeedForward"]

Tensor = torch.Tensor

# Inputs of linear members: with larger ones Adam, whose steps are of one size, gets there sooner.
LINEAR_GAIN = 4.0


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
                sees_straight=kind.is_linear and encoding.with_straight,
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
