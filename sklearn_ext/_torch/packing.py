"""Short token sequences side by side in rows of one length, and what a row was made of.

A batch of texts of unequal length is mostly padding. Here the longest ones begin a row each and the
shortest fill it up; positions start from 0 inside every text, which is how attention can tell them
apart.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import torch

__all__ = ["Packed", "pack", "packed_rows", "segments"]

Tensor = torch.Tensor


def packed_rows(lengths: Sequence[int]) -> list[list[int]]:
    """Put sequences into rows that are as long as the longest of them.

    Parameters
    ----------
    lengths : sequence of int
        Their lengths, at least one.

    Returns
    -------
    rows : list of list of int
        Numbers of the sequences of each row.

    Examples
    --------
    >>> from sklearn_ext._torch.packing import packed_rows
    >>> packed_rows([2, 9, 3, 6])
    [[1], [3, 0], [2]]
    """
    waiting = deque(sorted(range(len(lengths)), key=lambda number: -lengths[number]))
    capacity, rows = lengths[waiting[0]], []
    while waiting:
        row = [waiting.popleft()]
        free = capacity - lengths[row[0]]
        while waiting and lengths[waiting[-1]] <= free:
            row.append(waiting.pop())
            free -= lengths[row[-1]]
        rows.append(row)
    return rows


@dataclass(frozen=True)
class Packed:
    """Packed sequences.

    Attributes
    ----------
    tokens : torch.Tensor of shape (n_rows, length)
        Tokens, 0 behind the last sequence of a row.
    positions : torch.Tensor of shape (n_rows, length) or None
        Position of each token in its sequence; None if no row holds two.
    source : torch.Tensor of shape (n_tokens,)
        Where the tokens lay in the padded batch, flat.
    place : torch.Tensor of shape (n_tokens,)
        Where they lie in `tokens`, flat.
    """

    tokens: Tensor
    positions: Tensor | None
    source: Tensor
    place: Tensor


def pack(tokens: Tensor, lengths: Tensor, *, together: bool = True) -> Packed:
    """Pack a padded batch.

    Parameters
    ----------
    tokens : torch.Tensor of shape (n, longest)
        Padded sequences.
    lengths : torch.Tensor of shape (n,)
        Their lengths, at least 1.
    together : bool, default=True
        Whether a row may hold several sequences.

    Returns
    -------
    packed : Packed
        The same tokens, and where they went.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ext._torch.packing import pack
    >>> tokens = torch.tensor([[1, 2, 0, 0], [3, 4, 5, 6], [7, 0, 0, 0]])
    >>> packed = pack(tokens, torch.tensor([2, 4, 1]))
    >>> packed.tokens, packed.positions
    (tensor([[3, 4, 5, 6],
            [1, 2, 7, 0]]), tensor([[0, 1, 2, 3],
            [0, 1, 0, 0]]))
    """
    counts = lengths.tolist()
    rows = packed_rows(counts) if together else [[number] for number in range(len(counts))]
    device, length = tokens.device, max(counts)
    order = torch.tensor([number for row in rows for number in row], device=device)
    starts = torch.tensor(_starts(rows, counts, length), device=device)
    sizes = lengths[order]
    steps = _steps(sizes)
    source = torch.repeat_interleave(order * tokens.shape[1], sizes) + steps
    place = torch.repeat_interleave(starts, sizes) + steps
    found = tokens.new_zeros(len(rows) * length)
    found[place] = tokens.reshape(-1)[source]
    positions = None
    if len(rows) < len(counts):
        positions = torch.zeros_like(found)
        positions[place] = steps
        positions = positions.view(len(rows), length)
    return Packed(found.view(len(rows), length), positions, source, place)


def _starts(rows: list[list[int]], counts: list[int], length: int) -> list[int]:
    """Flat place of the first token of each sequence, in the order of the rows."""
    found = []
    for number, row in enumerate(rows):
        start = number * length
        for sequence in row:
            found.append(start)
            start += counts[sequence]
    return found


def _steps(sizes: Tensor) -> Tensor:
    """Count from 0 in every sequence."""
    ends = sizes.cumsum(0)
    return torch.arange(int(ends[-1]), device=sizes.device) - torch.repeat_interleave(
        ends - sizes, sizes
    )


def segments(positions: Tensor) -> Tensor:
    """Number the sequences of each row: a position that is not the next one begins another.

    Parameters
    ----------
    positions : torch.Tensor of shape (n_rows, length)
        As in :class:`Packed`.

    Returns
    -------
    numbers : torch.Tensor of shape (n_rows, length)
        From 0; padding has numbers of its own.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ext._torch.packing import segments
    >>> segments(torch.tensor([[0, 1, 2, 0, 1]]))
    tensor([[0, 0, 0, 1, 1]])
    """
    begins = positions.diff(dim=-1, prepend=positions[:, :1] - 1) != 1
    return begins.cumsum(-1)
