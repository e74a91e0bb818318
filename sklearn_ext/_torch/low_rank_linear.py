"""A linear layer with a frozen weight and a low-rank change, as one autograd function."""

from typing import Any

import torch

__all__ = ["low_rank_linear"]

Tensor = torch.Tensor


class _LowRankLinear(torch.autograd.Function):
    """y = W x + b + s B A x. W and b are constants, so nothing is computed for them."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        A: Tensor,
        B: Tensor,
        scaling: float,
    ) -> Tensor:
        """Add the change in the place of the outputs, which autograd could only copy."""
        rows = inputs.flatten(0, -2)  # (n_rows, n_in)
        narrow = rows @ A.mT  # (n_rows, r)
        outputs = rows @ weight.mT if bias is None else torch.addmm(bias, rows, weight.mT)
        outputs.addmm_(narrow, B.mT, alpha=scaling)
        ctx.save_for_backward(rows, weight, A, B, narrow)
        ctx.scaling, ctx.front = scaling, inputs.shape[:-1]
        return outputs.view(*ctx.front, -1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Turn dL/dy into the gradients of x, A and B."""
        rows, weight, A, B, narrow = ctx.saved_tensors
        gradient = gradient.flatten(0, -2)
        by_narrow = torch.mul(gradient @ B, ctx.scaling)
        by_B = torch.mul(gradient.mT @ narrow, ctx.scaling)
        by_inputs = None
        if ctx.needs_input_grad[0]:
            by_inputs = (gradient @ weight).addmm_(by_narrow, A).view(*ctx.front, -1)
        return by_inputs, None, None, by_narrow.mT @ rows, by_B, None


def low_rank_linear(
    inputs: Tensor, weight: Tensor, bias: Tensor | None, A: Tensor, B: Tensor, scaling: float
) -> Tensor:
    """Apply a frozen linear map and its low-rank change, (W + s B A) x + b.

    Parameters
    ----------
    inputs : torch.Tensor of shape (..., n_in)
        x, with at least one axis in front.
    weight : torch.Tensor of shape (n_out, n_in)
        W; no gradient reaches it.
    bias : torch.Tensor of shape (n_out,) or None
        b; no gradient reaches it.
    A, B : torch.Tensor of shape (r, n_in) and (n_out, r)
        Factors of the change.
    scaling : float
        s.

    Returns
    -------
    outputs : torch.Tensor of shape (..., n_out)
        Outputs. They can be differentiated once.

    Notes
    -----
    Autograd's own form writes the outputs twice and sums two gradients of the inputs; this one
    adds to either in place.
    """
    outputs: Tensor = _LowRankLinear.apply(inputs, weight, bias, A, B, scaling)
    return outputs
