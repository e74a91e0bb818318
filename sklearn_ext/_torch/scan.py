"""The recurrence of the minimal gated recurrent unit over all steps of a batch of sequences.

.. math::
    h_t = (1 - z_t) h_{t-1} + z_t c_t, \\qquad z_t = \\sigma(g_t), \\qquad (g_t, c_t) = W x_t + b

The gates depend on inputs only, so those of all steps can be computed before. On a CPU the fast
form is one autograd function that goes through blocks of steps, small enough for the processor's
cache: one matrix product a block, one elementwise operation a step. On an accelerator, where every
call costs the same, it is a scan of log2(n_steps) calls over the whole tensor.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.nn import functional

from sklearn_ext._torch.step_blocks import states_before, step_blocks

__all__ = ["doubling_scan", "gated_scan", "sequential_scan"]

Tensor = torch.Tensor


class _SequentialScan(torch.autograd.Function):
    """The loop, and its derivative by a loop the other way.

    What only one block needs is written to the same memory for each: fresh memory costs more than
    the arithmetic. So the candidates are not kept either.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor, initial: Tensor) -> Tensor:
        """Give the states of all steps."""
        states = inputs.new_empty(len(inputs), *initial.shape)
        blocks = step_blocks(len(inputs), 2 * initial.numel())
        updates, state = torch.empty_like(states), initial
        with _untracked():
            keep, walked = (torch.empty_like(states[blocks[0]]) for _ in range(2))
            steps = list(zip(keep.unbind(), walked.unbind(), strict=True))
            gated = inputs.new_empty(*keep.shape[:2], len(weight))
            for block in blocks:
                update, n_steps = updates[block], block.stop - block.start
                found, new = gated[:n_steps], walked[:n_steps]
                # Adding the bias behind the product is faster than `addmm`, which copies it first.
                torch.mm(inputs[block].flatten(0, 1), weight.T, out=found.flatten(0, 1)).add_(bias)
                logits, candidates = found.chunk(2, dim=-1)
                torch.mul(torch.sigmoid(logits, out=update), candidates, out=new)
                torch.sub(1.0, update, out=keep[:n_steps])
                for kept, out in steps[:n_steps]:
                    state = out.addcmul_(kept, state)
                state = states[block].copy_(new)[-1]
        ctx.save_for_backward(inputs, weight, updates, states, initial)
        return states

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Turn dL/dh into the gradients of inputs, weight, bias and initial state."""
        inputs, weight, updates, states, initial = ctx.saved_tensors
        of_inputs = torch.empty_like(inputs) if ctx.needs_input_grad[0] else None
        of_weight, of_bias = torch.zeros_like(weight), weight.new_zeros(len(weight))
        blocks = step_blocks(len(states), 2 * initial.numel())
        with _untracked():
            memory, later = _BlockMemory(states[blocks[0]]), torch.zeros_like(initial)
            for block in reversed(blocks):
                before = states_before(states, initial, block)
                parts = gradient[block], updates[block], before, states[block]
                later = _block_gradient(*parts, later, memory)
                rows = memory.of_gated[: len(before)].flatten(0, 1)
                of_bias += rows.sum(0)
                of_weight.addmm_(rows.T, inputs[block].flatten(0, 1))
                if of_inputs is not None:
                    torch.mm(rows, weight, out=of_inputs[block].flatten(0, 1))
        # A copy that autograd knows, see `_untracked`.
        return of_inputs, of_weight, of_bias, later.clone()


def _untracked() -> AbstractContextManager[Any]:
    """Calls inside cost less than under `no_grad`. torch.compile cannot go this way."""
    return nullcontext() if torch.compiler.is_compiling() else torch.inference_mode()


class _BlockMemory:
    """What the backward pass computes of a block, and views of its steps, made once.

    Parameters
    ----------
    states : torch.Tensor of shape (n_steps, n, width)
        States of the longest block, for the shape.

    Attributes
    ----------
    of_gated : torch.Tensor of shape (n_steps, n, 2 * width)
        Gradient by (g, c).
    of_states, keep : torch.Tensor of shape (n_steps, n, width)
        Gradient by each state through all that follows, and 1 - z.
    of_each, kept_of_each : tuple of torch.Tensor
        Steps of `of_states` and of `keep`.
    """

    def __init__(self, states: Tensor) -> None:
        n_steps, n, width = states.shape
        self.of_gated = states.new_empty(n_steps, n, 2 * width)
        self.of_states, self.keep = torch.empty_like(states), torch.empty_like(states)
        self.of_each, self.kept_of_each = self.of_states.unbind(), self.keep.unbind()


def _block_gradient(
    gradient: Tensor,
    update: Tensor,
    before: Tensor,
    states: Tensor,
    later: Tensor,
    memory: _BlockMemory,
) -> Tensor:
    """Gradients in one block.

    Parameters
    ----------
    gradient : torch.Tensor of shape (n_steps, n, width)
        Gradient by what is made of each state itself.
    update : torch.Tensor of shape (n_steps, n, width)
        Update gates z.
    before, states : torch.Tensor of shape (n_steps, n, width)
        State before each step and behind it.
    later : torch.Tensor of shape (n, width)
        Gradient by the last state through the steps behind the block.
    memory : _BlockMemory
        Its first n_steps are filled.

    Returns
    -------
    earlier : torch.Tensor of shape (n, width)
        Gradient by the state before the block.
    """
    n_steps = len(update)
    of_states, keep = memory.of_states[:n_steps], memory.keep[:n_steps]
    torch.sub(1.0, update, out=keep)
    of_states.copy_(gradient)
    of_state = memory.of_each[n_steps - 1].add_(later)
    for step in range(n_steps - 1, 0, -1):
        of_state = memory.of_each[step - 1].addcmul_(memory.kept_of_each[step], of_state)
    of_logits, of_candidates = memory.of_gated[:n_steps].chunk(2, dim=-1)
    torch.mul(of_states, update, out=of_candidates)
    # dh/dg = z (1 - z) (c - h_{t-1}), where z (c - h_{t-1}) is what the step adds to the state.
    torch.sub(states, before, out=of_logits)
    of_logits.mul_(of_states).mul_(keep)
    return memory.kept_of_each[0] * of_state


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
