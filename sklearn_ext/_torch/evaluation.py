"""Losses of rows that are looked at, not trained on, and what they decide.

Losses of an ensemble have a leading axis of members.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from sklearn_ext._torch.batches import Rows

__all__ = ["best_shares", "evaluate", "weighted_mean"]

Tensor = torch.Tensor


def weighted_mean(losses: Tensor, weights: Tensor | None) -> Tensor:
    """Average over the last axis: sum(w l) / sum(w)."""
    if weights is None:
        return losses.mean(-1)
    return (losses * weights).sum(-1) / weights.sum(-1).clamp_min(torch.finfo(losses.dtype).tiny)


@torch.no_grad()
def evaluate(
    forward: Callable[[Any], Tensor],
    loss: Callable[[Tensor, Tensor], Tensor],
    rows: Rows,
    batch_size: int,
) -> tuple[Tensor, Tensor]:
    """Mean loss, a scalar or one a member, and raw outputs of validation rows."""
    losses, outputs, weights = [], [], []
    index = torch.arange(len(rows), device=rows.targets.device)
    order = index if rows.of_members is None else rows.of_members
    for part in order.split(batch_size, dim=-1):
        batch = rows.batch(part)
        raw = forward(batch.inputs)
        losses.append(loss(raw, batch.targets))
        outputs.append(raw)
        if batch.weights is not None:
            weights.append(batch.weights)
    joined = torch.cat(weights, dim=-1) if weights else None
    return weighted_mean(torch.cat(losses, dim=-1), joined), torch.cat(outputs, dim=-2)


@torch.no_grad()
def best_shares(
    forward: Callable[[Any], Tensor],
    loss: Callable[[Tensor, Tensor], Tensor],
    rows: Rows,
    batch_size: int,
    kinds: Sequence[slice],
) -> list[float]:
    """Shares of several kinds of members in their mean, by the loss of held-out rows.

    Members of different kinds are paired, and a pair has held out the same rows. One kind after
    the other is mixed with those before: 21 shares from 0 to 1 are tried on the raw outputs.

    Parameters
    ----------
    forward, loss : callable
        As in :class:`sklearn_ext._torch.training.GradientSteps`.
    rows : Rows
        Held-out rows.
    batch_size : int
        Rows at a time.
    kinds : sequence of slice
        Members of each kind.

    Returns
    -------
    shares : list of float
        One a kind, of sum 1.
    """
    _, raw = evaluate(forward, loss, rows, batch_size)
    pairs = min(kind.stop - kind.start for kind in kinds)
    targets, weights = rows.seen_targets, rows.seen_weights
    if rows.of_members is not None:
        targets = targets[kinds[0]][:pairs]
        weights = None if weights is None else weights[kinds[0]][:pairs]
    mixed, shares = raw[kinds[0]][:pairs], [1.0]
    for kind in kinds[1:]:
        mixtures = [torch.lerp(mixed, raw[kind][:pairs], step / 20) for step in range(21)]
        found = [weighted_mean(loss(mixture, targets), weights).mean() for mixture in mixtures]
        best = int(torch.stack(found).argmin())
        mixed = mixtures[best]
        shares = [share * (1.0 - best / 20) for share in shares] + [best / 20]
    return shares
