"""The recurrence of the minimal gated recurrent unit over all steps of a batch of sequences.

.. math:: h_t = (1 - z_t) h_{t-1} + z_t c_t, \\qquad z_t = \\sigma(g_t)

The gates depend on inputs only, so g and c of all steps are known before. On a CPU the fast form
is a loop of one elementwise operation a step inside one autograd function; on an accelerator,
where every call costs the same, a scan of log2(n_steps) calls over the whole tensor.
"""

from typing import Any

import torch

__all__ = ["doubling_scan", "gated_scan", "sequential_scan"]

Tensor = torch.Tensor


class _SequentialScan(torch.autograd.Function):
    """The loop, and its derivative by a loop the other way."""

    @staticmethod
    def forward(ctx: Any, gated: Tensor, initial: Tensor) -> Tensor:
        """Give the states of all steps."""
        logits, candidates = gated.chunk(2, dim=-1)
        update = torch.sigmoid(logits)
        states = torch.empty_like(update)
        state = initial
        steps = zip(update.unbind(), candidates.unbind(), states.unbind(), strict=True)
        for share, candidate, out in steps:
            state = torch.lerp(state, candidate, share, out=out)
        ctx.save_for_backward(gated, update, states, initial)
        return states

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Turn dL/dh into dL/d(g, c) and dL/dh_0."""
        gated, update, states, initial = ctx.saved_tensors
        candidates = gated.chunk(2, dim=-1)[1]
        keep = 1.0 - update
        result = torch.empty_like(gated)
        of_logits, of_candidates = result.chunk(2, dim=-1)
        # First dL/dh_t, the sum over all paths, in the place of dL/dc_t.
        later = gradient[-1]
        of_candidates[-1] = later
        steps = zip(
            reversed(gradient.unbind()[:-1]),
            reversed(keep.unbind()[1:]),
            reversed(of_candidates.unbind()[:-1]),
            strict=True,
        )
        for own, kept, out in steps:
            later = torch.addcmul(own, kept, later, out=out)
        of_initial = keep[0] * of_candidates[0]
        torch.sub(candidates[1:], states[:-1], out=of_logits[1:])
        torch.sub(candidates[0], initial, out=of_logits[0])
        of_candidates.mul_(update)
        of_logits.mul_(of_candidates).mul_(keep)
        return result, of_initial


def sequential_scan(gated: Tensor, initial: Tensor) -> Tensor:
    """Walk through the steps one by one.

    Parameters
    ----------
    gated : torch.Tensor of shape (n_steps, n, 2 * width)
        Logits g of the update gates, then the candidates c.
    initial : torch.Tensor of shape (n, width)
        State before the first step.

    Returns
    -------
    states : torch.Tensor of shape (n_steps, n, width)
        State after each step.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ext._torch.scan import doubling_scan, sequential_scan
    >>> gated = torch.randn(5, 2, 6, generator=torch.Generator().manual_seed(0))
    >>> found = sequential_scan(gated, torch.zeros(2, 3))
    >>> torch.allclose(found, doubling_scan(gated, torch.zeros(2, 3)))
    True
    """
    states: Tensor = _SequentialScan.apply(gated, initial)
    return states


def doubling_scan(gated: Tensor, initial: Tensor) -> Tensor:
    """Join neighbours, then pairs, then fours, until all steps are joined [1]_.

    Parameters
    ----------
    gated : torch.Tensor of shape (n_steps, n, 2 * width)
        Logits g of the update gates, then the candidates c.
    initial : torch.Tensor of shape (n, width)
        State before the first step.

    Returns
    -------
    states : torch.Tensor of shape (n_steps, n, width)
        State after each step.

    References
    ----------
    .. [1] W. D. Hillis and G. L. Steele, "Data parallel algorithms", Commun. ACM 29(12),
       1170-1183, 1986; p. 1173.
    """
    logits, candidates = gated.chunk(2, dim=-1)
    # h_t = kept_t h_{t - distance} + state_t, for a distance that doubles.
    kept, state = torch.sigmoid(-logits), torch.sigmoid(logits) * candidates
    state = torch.cat([state[:1] + kept[:1] * initial, state[1:]])
    distance = 1
    while distance < len(state):
        joined = state[distance:] + kept[distance:] * state[:-distance]
        state = torch.cat([state[:distance], joined])
        kept = torch.cat([kept[:distance], kept[distance:] * kept[:-distance]])
        distance *= 2
    return state


def gated_scan(gated: Tensor, initial: Tensor) -> Tensor:
    """Take the form of the recurrence that is fast on the device of `gated`."""
    scan = sequential_scan if gated.device.type == "cpu" else doubling_scan
    return scan(gated, initial)
