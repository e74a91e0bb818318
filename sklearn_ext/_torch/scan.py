"""The recurrence of the minimal gated recurrent unit over all steps of a batch of sequences.

.. math::
    h_t = (1 - z_t) h_{t-1} + z_t c_t, \\qquad z_t = \\sigma(g_t), \\qquad (g_t, c_t) = W x_t + b

The gates depend on inputs only, so those of all steps can be computed before. On a CPU the fast
form is one autograd function that goes through blocks of steps, small enough for the processor's
cache: one matrix product a block, one elementwise operation a step. On an accelerator, where every
call costs the same, it is a scan of log2(n_steps) calls over the whole tensor.
"""

from typing import Any

import torch
from torch.nn import functional

from sklearn_ext._torch.step_blocks import states_before, step_blocks

__all__ = ["doubling_scan", "gated_scan", "sequential_scan"]

Tensor = torch.Tensor


class _SequentialScan(torch.autograd.Function):
    """The loop, and its derivative by a loop the other way.

    What only one block needs is written to the same memory for each: fresh memory costs more than
    the arithmetic.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor, initial: Tensor) -> Tensor:
        """Give the states of all steps."""
        front = inputs.shape[:2]
        gated = inputs.new_empty(*front, len(weight))
        states = inputs.new_empty(*front, len(weight) // 2)
        blocks, state = step_blocks(gated), initial
        keep = torch.empty_like(states[blocks[0]])
        for block in blocks:
            found, new = gated[block], states[block]
            torch.addmm(bias, inputs[block].flatten(0, 1), weight.T, out=found.flatten(0, 1))
            update, candidates = found.chunk(2, dim=-1)
            torch.mul(update.sigmoid_(), candidates, out=new)
            torch.sub(1.0, update, out=keep[: len(new)])
            for kept, out in zip(keep[: len(new)].unbind(), new.unbind(), strict=True):
                state = out.addcmul_(kept, state)
        ctx.save_for_backward(inputs, weight, gated, states, initial)
        return states

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Turn dL/dh into the gradients of inputs, weight, bias and initial state."""
        inputs, weight, gated, states, initial = ctx.saved_tensors
        of_inputs = torch.empty_like(inputs) if ctx.needs_input_grad[0] else None
        of_weight, of_bias = torch.zeros_like(weight), weight.new_zeros(len(weight))
        blocks, later = step_blocks(gated), torch.zeros_like(initial)
        memory = [torch.empty_like(values[blocks[0]]) for values in (gated, states, states)]
        for block in reversed(blocks):
            before = states_before(states, initial, block)
            parts = [values[: len(before)] for values in memory]
            later = _block_gradient(gradient[block], gated[block], before, later, parts)
            rows = parts[0].flatten(0, 1)
            of_bias += rows.sum(0)
            of_weight.addmm_(rows.T, inputs[block].flatten(0, 1))
            if of_inputs is not None:
                torch.mm(rows, weight, out=of_inputs[block].flatten(0, 1))
        return of_inputs, of_weight, of_bias, later


def _block_gradient(
    gradient: Tensor, gated: Tensor, before: Tensor, later: Tensor, memory: list[Tensor]
) -> Tensor:
    """Gradients in one block.

    Parameters
    ----------
    gradient : torch.Tensor of shape (n_steps, n, width)
        Gradient by what is made of each state itself.
    gated : torch.Tensor of shape (n_steps, n, 2 * width)
        Update gates z, then the candidates c.
    before : torch.Tensor of shape (n_steps, n, width)
        State before each step.
    later : torch.Tensor of shape (n, width)
        Gradient by the last state through the steps behind the block.
    memory : list of torch.Tensor
        Is filled: the gradient by (g, c), of the shape of `gated`; the gradient by each state
        through all that follows, and 1 - z, of the shape of `before`.

    Returns
    -------
    earlier : torch.Tensor of shape (n, width)
        Gradient by the state before the block.
    """
    of_gated, of_states, keep = memory
    update, candidates = gated.chunk(2, dim=-1)
    torch.sub(1.0, update, out=keep)
    *others, last = of_states.copy_(gradient).unbind()
    of_state, kept_of_step = last.add_(later), keep.unbind()
    for own, kept in zip(reversed(others), reversed(kept_of_step[1:]), strict=True):
        of_state = own.addcmul_(kept, of_state)
    of_logits, of_candidates = of_gated.chunk(2, dim=-1)
    torch.mul(of_states, update, out=of_candidates)
    torch.sub(candidates, before, out=of_logits)
    of_logits.mul_(of_candidates).mul_(keep)
    return kept_of_step[0] * of_state


def sequential_scan(inputs: Tensor, weight: Tensor, bias: Tensor, initial: Tensor) -> Tensor:
    """Walk through the steps one by one.

    Parameters
    ----------
    inputs : torch.Tensor of shape (n_steps, n, n_inputs)
        Inputs x.
    weight : torch.Tensor of shape (2 * width, n_inputs)
        W: the rows of the logits g of the update gates, then those of the candidates c.
    bias : torch.Tensor of shape (2 * width,)
        b, likewise.
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
    >>> inputs = torch.randn(5, 2, 4, generator=torch.Generator().manual_seed(0))
    >>> weight, bias, initial = torch.ones(6, 4), torch.zeros(6), torch.zeros(2, 3)
    >>> found = sequential_scan(inputs, weight, bias, initial)
    >>> torch.allclose(found, doubling_scan(inputs, weight, bias, initial))
    True
    """
    states: Tensor = _SequentialScan.apply(inputs, weight, bias, initial)
    return states


def doubling_scan(inputs: Tensor, weight: Tensor, bias: Tensor, initial: Tensor) -> Tensor:
    """Join neighbours, then pairs, then fours, until all steps are joined [1]_.

    Parameters
    ----------
    inputs, weight, bias, initial : torch.Tensor
        As in :func:`sequential_scan`.

    Returns
    -------
    states : torch.Tensor of shape (n_steps, n, width)
        State after each step.

    References
    ----------
    .. [1] W. D. Hillis and G. L. Steele, "Data parallel algorithms", Commun. ACM 29(12),
       1170-1183, 1986; p. 1173.
    """
    gated = functional.linear(inputs, weight, bias).to(initial.dtype)
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


def gated_scan(inputs: Tensor, weight: Tensor, bias: Tensor, initial: Tensor) -> Tensor:
    """Take the form of the recurrence that is fast on the device of `inputs`."""
    if inputs.device.type == "cpu":
        return sequential_scan(inputs.to(weight.dtype), weight, bias, initial)
    return doubling_scan(inputs, weight, bias, initial)
