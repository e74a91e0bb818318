"""A linear layer with a frozen weight, with or without a low-rank change, as one function."""

from typing import Any

import torch

from sklearn_ext._torch.products import is_transformed, product
from sklearn_ext._torch.quantization import StoredWeight

__all__ = ["frozen_linear", "is_plain", "low_rank_linear"]

Tensor = torch.Tensor


class _LowRankLinear(torch.autograd.Function):
    """y = W x + b + s B A x of rows x. W and b are constants, so nothing is computed for them.

    Products with a narrow factor have it on the left, with its rank as rows: the other way round
    a CPU takes up to four times as long.
    """

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        weight: Tensor | StoredWeight,
        bias: Tensor | None,
        A: Tensor,
        B: Tensor,
        scaling: float,
    ) -> Tensor:
        """Add the change in the place of the outputs, which autograd could only copy."""
        narrow = A @ rows.mT  # (r, n_rows)
        outputs = _outputs(rows, weight, bias).addmm_(narrow.mT, B.mT, alpha=scaling)
        ctx.stored = weight if isinstance(weight, StoredWeight) else None
        ctx.save_for_backward(rows, None if ctx.stored else weight, A, B, narrow)
        ctx.scaling = scaling
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Turn dL/dy into the gradients of x, A and B."""
        (gradient,), (rows, weight, A, B, narrow) = gradients, ctx.saved_tensors
        if torch.is_grad_enabled():  # they will be differentiated again, and so must this be
            narrow = A @ rows.mT
        by_narrow = torch.mul(B.mT.contiguous() @ gradient.mT, ctx.scaling)  # (r, n_rows)
        by_B = torch.mul(narrow @ gradient, ctx.scaling).mT.contiguous()
        by_rows, stored = None, ctx.stored
        if ctx.needs_input_grad[0]:
            by_rows = stored.product_back(gradient) if stored else product(gradient, weight)
            by_rows = by_rows.addmm_(by_narrow.mT, A)
        return by_rows, None, None, by_narrow @ rows, by_B, None


class _FrozenLinear(torch.autograd.Function):
    """y = W x + b of rows x, where W and b are constants."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        return product(rows, weight.mT, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return product(gradients[0], *ctx.saved_tensors), None, None


def is_plain(inputs: Tensor, bias: Tensor | None) -> bool:
    """Tell whether these functions are enough: they know of no gradient of b, nor of transforms."""
    return not (
        (bias is not None and bias.requires_grad)
        or torch.is_autocast_enabled(inputs.device.type)
        or is_transformed()
    )


def frozen_linear(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Apply a frozen linear map, W x + b, to inputs of shape (..., n_in)."""
    rows = inputs.reshape(-1, weight.shape[1])
    outputs: Tensor = _FrozenLinear.apply(rows, weight, bias)
    return outputs.view(*inputs.shape[:-1], weight.shape[0])


def _outputs(rows: Tensor, weight: Tensor | StoredWeight, bias: Tensor | None) -> Tensor:
    """W x + b."""
    if isinstance(weight, StoredWeight):
        outputs = weight.product(rows)
        return outputs if bias is None else outputs.add_(bias)
    return product(rows, weight.mT, bias)


def low_rank_linear(
    inputs: Tensor,
    weight: Tensor | StoredWeight,
    bias: Tensor | None,
    A: Tensor,
    B: Tensor,
    scaling: float,
) -> Tensor:
    """Apply a frozen linear map and its low-rank change, (W + s B A) x + b.

    Parameters
    ----------
    inputs : torch.Tensor of shape (..., n_in)
        x.
    weight : torch.Tensor or StoredWeight, of shape (n_out, n_in)
        W; no gradient reaches it. One that is quantised is dequantised anew for gradients.
    bias : torch.Tensor of shape (n_out,) or None
        b; no gradient reaches it.
    A, B : torch.Tensor of shape (r, n_in) and (n_out, r)
        Factors of the change.
    scaling : float
        s.

    Returns
    -------
    outputs : torch.Tensor of shape (..., n_out)
        Outputs.

    Notes
    -----
    Autograd's own form writes the outputs twice and sums two gradients of the inputs; this one
    adds to either in place.
    """
    # The shapes change outside, or what is returned would be a view, and not to be written to.
    rows = inputs.reshape(-1, A.shape[1])
    outputs: Tensor = _LowRankLinear.apply(rows, weight, bias, A, B, scaling)
    return outputs.view(*inputs.shape[:-1], B.shape[0])
