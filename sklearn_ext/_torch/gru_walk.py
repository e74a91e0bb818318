"""The gated recurrent unit over all steps of a batch of sequences, for a CPU.

torch has no fused kernel of it there: each step costs a dozen calls, and twice as many for the
derivative. This is one autograd function that takes six calls a step and three for the derivative;
all that does not hang on the step before is done for blocks of steps that fit into the cache.
"""

from typing import Any

import torch

from sklearn_ext._torch.step_blocks import states_before, step_blocks

__all__ = ["gru_walk"]

Tensor = torch.Tensor


class _GRUWalk(torch.autograd.Function):
    """Reset gates r, update gates z and candidates n lie side by side, as in torch's weights."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        of_inputs: Tensor,
        recurrent: Tensor,
        bias: Tensor,
        initial: Tensor,
    ) -> Tensor:
        """Give the states of all steps; `bias` is that of the inputs above the recurrent one."""
        n_steps, n, width = len(inputs), *initial.shape
        gates = inputs.new_empty(n_steps, n, 3 * width)
        states = inputs.new_empty(n_steps, n, width)
        recalled, state = torch.empty_like(states), initial
        for block in step_blocks(len(gates), gates[0].numel()):
            _project(inputs[block], of_inputs, bias, gates[block])
            parts = gates[block], recalled[block], states[block]
            state = _walk_block(*parts, recurrent, bias[-width:], state)
        ctx.save_for_backward(inputs, of_inputs, recurrent, gates, recalled, states, initial)
        return states

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Turn dL/dh into the gradients of all arguments."""
        inputs, of_inputs, recurrent, gates, recalled, states, initial = ctx.saved_tensors
        by_inputs = torch.empty_like(inputs) if ctx.needs_input_grad[0] else None
        by_weight, by_recurrent = torch.zeros_like(of_inputs), torch.zeros_like(recurrent)
        by_bias, later = recurrent.new_zeros(2, len(recurrent)), torch.zeros_like(initial)
        for block in reversed(step_blocks(len(gates), gates[0].numel())):
            before = states_before(states, initial, block)
            parts = gates[block], recalled[block], before
            by_product, by_new, later = _block_gradient(gradient[block], *parts, recurrent, later)
            rows = by_product.flatten(0, 1)
            by_recurrent.addmm_(rows.T, before.flatten(0, 1))
            by_bias[1] += rows.sum(0)
            # The reset gate stands between the recurrent product and the candidate only.
            by_product.chunk(3, dim=-1)[2].copy_(by_new)
            by_weight.addmm_(rows.T, inputs[block].flatten(0, 1))
            by_bias[0] += rows.sum(0)
            if by_inputs is not None:
                torch.mm(rows, of_inputs, out=by_inputs[block].flatten(0, 1))
        return by_inputs, by_weight, by_recurrent, by_bias.flatten(), later


def _project(inputs: Tensor, weight: Tensor, bias: Tensor, out: Tensor) -> None:
    """Write W x and all biases that are added to it, (n_steps, n, 3 * width)."""
    own, recurrent = bias.chunk(2)
    kept = len(own) // 3 * 2  # that of the candidate is multiplied by the reset gate
    total = torch.cat([own[:kept] + recurrent[:kept], own[kept:]])
    torch.addmm(total, inputs.flatten(0, 1), weight.T, out=out.flatten(0, 1))


def _walk_block(
    gates: Tensor, recalled: Tensor, states: Tensor, recurrent: Tensor, bias: Tensor, state: Tensor
) -> Tensor:
    """Walk through a block; the state behind it.

    Parameters
    ----------
    gates : torch.Tensor of shape (n_steps, n, 3 * width)
        What the inputs add to r, z and n; becomes r, z and n.
    recalled, states : torch.Tensor of shape (n_steps, n, width)
        Are filled: the recurrent product of the candidate, and the states.
    recurrent : torch.Tensor of shape (3 * width, width)
        Recurrent weights.
    bias : torch.Tensor of shape (width,)
        Recurrent bias of the candidate.
    state : torch.Tensor of shape (n, width)
        State before the block.
    """
    width = states.shape[-1]
    to_gates, to_new = recurrent[: 2 * width].T, recurrent[2 * width :].T
    bias = bias.expand_as(state)
    both, new = gates.split([2 * width, width], dim=-1)
    reset, update = both.chunk(2, dim=-1)
    parts = [part.unbind() for part in (both, reset, update, new, recalled, states)]
    for rz, r, z, n, product, out in zip(*parts, strict=True):
        rz.addmm_(state, to_gates).sigmoid_()
        torch.addmm(bias, state, to_new, out=product)
        n.addcmul_(r, product).tanh_()
        state = torch.lerp(n, state, z, out=out)
    return state


def _block_gradient(
    gradient: Tensor,
    gates: Tensor,
    recalled: Tensor,
    before: Tensor,
    recurrent: Tensor,
    later: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients in one block.

    Parameters
    ----------
    gradient : torch.Tensor of shape (n_steps, n, width)
        Gradient by what is made of each state itself.
    gates, recalled, before : torch.Tensor
        Of `_walk_block`, and the state before each step.
    recurrent : torch.Tensor of shape (3 * width, width)
        Recurrent weights.
    later : torch.Tensor of shape (n, width)
        Gradient by the last state through the steps behind the block.

    Returns
    -------
    by_product : torch.Tensor of shape (n_steps, n, 3 * width)
        Gradient by the products of recurrent weights and states.
    by_new : torch.Tensor of shape (n_steps, n, width)
        Gradient by the argument of the candidate's tanh.
    earlier : torch.Tensor of shape (n, width)
        Gradient by the state before the block.
    """
    by_product, new_factors = _factors(gates, recalled, before)
    by_states = gradient.clone(memory_format=torch.contiguous_format)
    by_states[-1] += later
    factors = by_product.unflatten(-1, (3, -1)).unbind()
    parts = by_product.unbind(), gates.chunk(3, dim=-1)[1].unbind(), by_states.unsqueeze(2).unbind()
    flat = by_states.unbind()
    for t in reversed(range(len(flat))):
        factors[t].mul_(parts[2][t])
        earlier = flat[t - 1] if t else torch.zeros_like(later)
        earlier.addmm_(parts[0][t], recurrent).addcmul_(flat[t], parts[1][t])
    return by_product, new_factors.mul_(by_states), earlier


def _factors(gates: Tensor, recalled: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives of each state by its three recurrent products, and by the candidate's argument.

    h = (1 - z) tanh(a) + z h_before with a = W x + r p, where p is the third product.
    """
    reset, update, new = gates.chunk(3, dim=-1)
    found, admitted = torch.empty_like(gates), 1.0 - update
    by_reset, by_update, by_third = found.chunk(3, dim=-1)
    by_new = torch.addcmul(admitted, admitted * new, new, value=-1.0)
    torch.mul(by_new, reset, out=by_third)
    torch.mul(by_third, recalled, out=by_reset)
    by_reset.addcmul_(by_reset, reset, value=-1.0)
    torch.sub(before, new, out=by_update)
    by_update.mul_(update).mul_(admitted)
    return found, by_new


def gru_walk(
    inputs: Tensor, of_inputs: Tensor, recurrent: Tensor, bias: Tensor, initial: Tensor
) -> Tensor:
    r"""Walk through all steps of a gated recurrent unit, in the form of ``torch.nn.GRU`` [1]_.

    .. math::
        r_t, z_t = \sigma(W x_t + U h_{t-1} + b), \quad
        n_t = \tanh(W_n x_t + b_n + r_t (U_n h_{t-1} + c_n)), \quad
        h_t = (1 - z_t) n_t + z_t h_{t-1}

    Parameters
    ----------
    inputs : torch.Tensor of shape (n_steps, n, n_inputs)
        Inputs x.
    of_inputs : torch.Tensor of shape (3 * width, n_inputs)
        Weights of the inputs: rows of r, z and n.
    recurrent : torch.Tensor of shape (3 * width, width)
        Weights of the states, likewise.
    bias : torch.Tensor of shape (6 * width,)
        Bias of the inputs, then of the states.
    initial : torch.Tensor of shape (n, width)
        State before the first step.

    Returns
    -------
    states : torch.Tensor of shape (n_steps, n, width)
        State after each step.

    References
    ----------
    .. [1] K. Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical
       machine translation", EMNLP 2014, arXiv:1406.1078; eq. 5 to 8, with the reset gate behind
       the product.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ext._torch.gru_walk import gru_walk
    >>> layer, inputs = torch.nn.GRU(4, 3), torch.ones(5, 2, 4)
    >>> bias = torch.cat([layer.bias_ih_l0, layer.bias_hh_l0])
    >>> weights = layer.weight_ih_l0, layer.weight_hh_l0, bias
    >>> torch.allclose(gru_walk(inputs, *weights, torch.zeros(2, 3)), layer(inputs)[0], atol=1e-6)
    True
    """
    states: Tensor = _GRUWalk.apply(inputs, of_inputs, recurrent, bias, initial)
    return states
