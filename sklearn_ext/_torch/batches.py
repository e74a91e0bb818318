"""Rows of training data as tensors, and the batches of an epoch.

Inputs are a tensor, a :class:`Ragged` list of sequences, a :class:`SparseTable`, a dictionary of
them, or a list with one for each member of an ensemble; rows are the first axis. Everything lies on
the device from the start: a batch is a slice or one gather, and nothing is collated row by row.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

import torch

__all__ = ["Batch", "Ragged", "Rows", "SparseTable", "first_of", "take"]

Tensor = torch.Tensor

GATHERED_BATCHES = 16  # at a time: a gather costs little, but many small ones do not


@dataclass(frozen=True)
class Ragged:
    """Sequences of unequal length, one after another in one tensor.

    Attributes
    ----------
    values : torch.Tensor of shape (sum of lengths, ...)
        Time steps of all sequences.
    lengths : torch.Tensor of shape (n_sequences,)
        Number of time steps of each, int64, at least 1.
    padding : float
        What shorter sequences of a batch are filled up with.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ext._torch.batches import Ragged
    >>> ragged = Ragged.from_sequences([torch.tensor([1.0, 2.0]), torch.tensor([3.0])])
    >>> ragged.take(torch.tensor([1, 0]))
    {'values': tensor([[3., 0.],
            [1., 2.]]), 'lengths': tensor([1, 2])}
    """

    values: Tensor
    lengths: Tensor
    padding: float = 0.0

    @classmethod
    def from_sequences(cls, sequences: list[Tensor], padding: float = 0.0) -> "Ragged":
        """Join tensors of shape (length_i, ...)."""
        lengths = torch.tensor([len(sequence) for sequence in sequences])
        return cls(torch.cat(sequences), lengths.to(sequences[0].device), padding)

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def is_even(self) -> bool:
        """Whether all sequences have the same length."""
        return bool((self.lengths == self.lengths[0]).all())

    def take(self, index: Tensor) -> dict[str, Tensor]:
        """Pad the sequences of `index` to their longest: values (n, longest, ...) and lengths."""
        lengths = self.lengths[index]
        if self.is_even:
            sequences = self.values.unflatten(0, (len(self), -1))
            return {"values": take(sequences, index), "lengths": lengths}
        source, inside = self._source(index)
        values = self.values[torch.where(inside, source, 0)]
        values[~inside] = self.padding
        return {"values": values, "lengths": lengths}

    def write(self, index: Tensor, values: Tensor) -> None:
        """Set the sequences of `index`, in place, to padded ones (n, longest, ...)."""
        source, inside = self._source(index)
        self.values[source[inside]] = values[inside]

    def _source(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Where each step of a padded batch lies, and which of them exist, (n, longest)."""
        lengths = self.lengths[index]
        starts = (self.lengths.cumsum(0) - self.lengths)[index]
        steps = torch.arange(int(lengths.max()), device=lengths.device)  # (longest,)
        return starts.unsqueeze(-1) + steps, steps < lengths.unsqueeze(-1)

    def to(self, device: torch.device) -> "Ragged":
        """Copy to a device."""
        return Ragged(self.values.to(device), self.lengths.to(device), self.padding)


@dataclass(frozen=True)
class SparseTable:
    """Table of which only some entries are stored, row by row (CSR); its batches are dense.

    Attributes
    ----------
    values : torch.Tensor of shape (n_stored,)
        Stored entries.
    columns : torch.Tensor of shape (n_stored,)
        Column of each, int64.
    starts : torch.Tensor of shape (n_rows + 1,)
        Position of the first entry of each row, and the number of all entries, int64.
    n_columns : int
        Number of columns.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ext._torch.batches import SparseTable
    >>> values, columns, starts = torch.tensor([1.0, 2.0]), torch.tensor([2, 0]), torch.arange(3)
    >>> table = SparseTable(values, columns, starts, n_columns=3)
    >>> table.take(torch.tensor([1, 0, 1]))
    tensor([[2., 0., 0.],
            [0., 0., 1.],
            [2., 0., 0.]])
    """

    values: Tensor
    columns: Tensor
    starts: Tensor
    n_columns: int

    def __len__(self) -> int:
        return len(self.starts) - 1

    def take(self, index: Tensor) -> Tensor:
        """Make the rows of `index` dense, (*index.shape, n_columns)."""
        rows = index.reshape(-1)
        counts = self.starts[rows + 1] - self.starts[rows]
        # Entry i of the batch is stored at i, moved by as much as its row is.
        moved = self.starts[rows] - (counts.cumsum(0) - counts)
        stored = torch.repeat_interleave(moved, counts)
        stored += torch.arange(len(stored), device=stored.device)
        row = torch.repeat_interleave(torch.arange(len(rows), device=rows.device), counts)
        dense = self.values.new_zeros(len(rows), self.n_columns)
        dense[row, self.columns[stored]] = self.values[stored]
        return dense.reshape(*index.shape, self.n_columns)

    def to(self, device: torch.device) -> "SparseTable":
        """Copy to a device."""
        columns, starts = self.columns.to(device), self.starts.to(device)
        return SparseTable(self.values.to(device), columns, starts, self.n_columns)


Inputs = Any  # Tensor | Ragged | SparseTable | dict[str, Inputs] | list[Inputs], one a member


def take(inputs: Inputs, index: Tensor) -> Any:
    """Gather the rows of `index` from inputs of any kind.

    Parameters
    ----------
    inputs : torch.Tensor, Ragged, SparseTable, dict or list
        Rows on the first axis.
    index : torch.Tensor of shape (n,) or (n_members, n)
        Row numbers. Two axes of it become the first two of what is returned; of a list each
        member gets its own rows.

    Returns
    -------
    taken : torch.Tensor, dict or list
        The rows.
    """
    if isinstance(inputs, dict):
        return {name: take(value, index) for name, value in inputs.items()}
    if isinstance(inputs, list):
        rows = [index] * len(inputs) if index.ndim == 1 else index
        return [take(value, own) for value, own in zip(inputs, rows, strict=True)]
    if isinstance(inputs, Ragged | SparseTable):
        return inputs.take(index)
    if index.ndim == 1:
        return inputs.index_select(0, index)
    return inputs.index_select(0, index.reshape(-1)).unflatten(0, index.shape)


def _all_rows(inputs: Inputs) -> Any:
    """Inputs as they lie, padded where they are ragged and dense where they are sparse."""
    if isinstance(inputs, dict):
        return {name: _all_rows(value) for name, value in inputs.items()}
    if isinstance(inputs, list):
        return [_all_rows(value) for value in inputs]
    if isinstance(inputs, Ragged):
        return inputs.take(torch.arange(len(inputs), device=inputs.lengths.device))
    if isinstance(inputs, SparseTable):
        return inputs.take(torch.arange(len(inputs), device=inputs.starts.device))
    return inputs


def first_of(inputs: Inputs) -> Any:
    """Find the first that is no dictionary."""
    while isinstance(inputs, dict):
        inputs = next(iter(inputs.values()))
    return inputs


@dataclass(frozen=True)
class Batch:
    """Some rows, ready for a module; members of an ensemble may have rows of their own.

    Attributes
    ----------
    inputs : torch.Tensor or dict
        Of shape (n, ...) or (n_members, n, ...). A list in it has one of shape (n, ...) a member.
    targets : torch.Tensor of shape (n, ...) or (n_members, n, ...)
        Targets.
    weights : torch.Tensor of shape (n,) or (n_members, n), or None
        Weights of the rows.
    per_member : bool
        Whether the leading axis of all of them is one of members.
    """

    inputs: Any
    targets: Tensor
    weights: Tensor | None
    per_member: bool = False

    def part(self, start: int, length: int) -> "Batch":
        """Cut out consecutive rows."""

        def cut(values: Any, axis: int = int(self.per_member)) -> Any:
            if isinstance(values, dict):
                return {name: cut(value, axis) for name, value in values.items()}
            if isinstance(values, list):
                return [cut(value, 0) for value in values]
            return values.narrow(axis, start, length)

        weights = None if self.weights is None else cut(self.weights)
        return Batch(cut(self.inputs), cut(self.targets), weights, self.per_member)


@dataclass(frozen=True)
class Rows:
    """Training or validation rows.

    Attributes
    ----------
    inputs : torch.Tensor, Ragged, SparseTable or dict
        Rows on the first axis. Of a dictionary the first counts for their number and lengths.
    targets : torch.Tensor of shape (n_rows, ...)
        Targets as the loss wants them.
    weights : torch.Tensor of shape (n_rows,) or None
        Weights of the rows; None stands for equal ones.
    of_members : torch.Tensor of shape (n_members, n) or None
        Row numbers that each member of an ensemble sees; None stands for all rows.
    """

    inputs: Any
    targets: Tensor
    weights: Tensor | None = None
    of_members: Tensor | None = None

    def __len__(self) -> int:
        return len(first_of(self.inputs)) if self.of_members is None else self.of_members.shape[1]

    @property
    def seen_targets(self) -> Tensor:
        """Targets of the rows that are seen, (n_members, n, ...) where members see their own."""
        return self.targets if self.of_members is None else take(self.targets, self.of_members)

    @property
    def seen_weights(self) -> Tensor | None:
        """Weights of the rows that are seen, in the form of `seen_targets`."""
        if self.weights is None or self.of_members is None:
            return self.weights
        weights: Tensor = take(self.weights, self.of_members)
        return weights

    def of_first_members(self, n_members: int | None) -> "Rows":
        """Leave out the rows of later members; None leaves out none."""
        if self.of_members is None:
            return self
        return replace(self, of_members=self.of_members[:n_members])

    def batches(self, indices: Iterable[Tensor | None]) -> Iterator[Batch]:
        """Gather the rows of each index; several batches of tensors in one go, cut into views."""
        if not isinstance(self.inputs, Tensor):
            yield from map(self.batch, indices)
            return
        numbers = iter(indices)
        while group := list(islice(numbers, GATHERED_BATCHES)):
            if group[0] is None:
                yield self.batch(None)
                continue
            joined, start = self.batch(torch.cat(group, dim=-1)), 0  # type: ignore[arg-type]
            for index in group:
                length = index.shape[-1]  # type: ignore[union-attr]
                yield joined.part(start, length)
                start += length

    @property
    def lengths(self) -> Tensor | None:
        """Lengths of all sequences, where the inputs are ragged and not even."""
        inputs = first_of(self.inputs)
        ragged = isinstance(inputs, Ragged) and not inputs.is_even
        return inputs.lengths if ragged else None

    def batch(self, index: Tensor | None) -> Batch:
        """Gather the rows of `index`; None gives all of them as they lie."""
        if index is None:
            return Batch(_all_rows(self.inputs), self.targets, self.weights)
        weights = None if self.weights is None else take(self.weights, index)
        per_member = index.ndim == 2
        return Batch(take(self.inputs, index), take(self.targets, index), weights, per_member)
