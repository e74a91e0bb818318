"""The order of rows in an epoch, batch by batch."""

from collections.abc import Iterator

import torch

from sklearn_ext._torch.batches import Rows

__all__ = ["epoch_indices"]

Tensor = torch.Tensor


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
