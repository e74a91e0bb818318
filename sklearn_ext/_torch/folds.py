"""Rows that each member of an ensemble is trained on, and rows that it holds out."""

from collections.abc import Sequence

import numpy as np
import torch

__all__ = ["member_folds"]

Tensor = torch.Tensor


def member_folds(
    n_rows: int,
    labels: np.ndarray | None,
    fraction: float,
    turns: Sequence[int],
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Deal out rows to the members of an ensemble.

    Parameters
    ----------
    n_rows : int
        Number of rows, at least 2.
    labels : ndarray of shape (n_rows,) or None
        Classes that every fold gets its share of; None for none.
    fraction : float
        Share of rows that each member holds out, in (0, 1).
    turns : sequence of int
        Fold that each member holds out, counted round and round.
    generator : torch.Generator
        Draws the order.

    Returns
    -------
    seen : torch.Tensor of shape (n_members, n_rows - n_held)
        Row numbers that each member is trained on.
    held : torch.Tensor of shape (n_members, n_held)
        Row numbers that it holds out.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ext._torch.folds import member_folds
    >>> seen, held = member_folds(8, None, 0.25, [0, 1], torch.Generator().manual_seed(0))
    >>> seen.shape, held.shape
    (torch.Size([2, 6]), torch.Size([2, 2]))
    """
    n_held = max(1, min(n_rows - 1, round(n_rows * fraction)))
    n_folds = max(1, n_rows // n_held)
    order = torch.randperm(n_rows, generator=generator)
    if labels is not None:  # equal labels side by side, dealt out in turn
        order = order[torch.from_numpy(np.argsort(labels[order.numpy()], kind="stable"))]
        order = order[_dealt(n_rows, n_held, n_folds)]
    turned = [order.roll(-(turn % n_folds) * n_held) for turn in turns]
    return (
        torch.stack([rows[n_held:] for rows in turned]),
        torch.stack([rows[:n_held] for rows in turned]),
    )


def _dealt(n_rows: int, n_held: int, n_folds: int) -> Tensor:
    """Positions fold by fold, each spread evenly over all of them, and those in no fold."""
    numbers = torch.arange(n_held * n_folds)
    positions = numbers * n_rows // len(numbers)
    in_none = torch.ones(n_rows, dtype=torch.bool)
    in_none[positions] = False
    return torch.cat([positions.view(n_held, n_folds).mT.flatten(), in_none.nonzero().flatten()])
