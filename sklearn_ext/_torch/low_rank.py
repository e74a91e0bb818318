"""A low-rank change of a weight."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import torch
from torch import nn

from sklearn_ext._torch.adaptable import as_matrix, as_weight
from sklearn_ext._torch.dropout import SharedDropout
from sklearn_ext._torch.initialization import normal, uniform
from sklearn_ext._torch.low_rank_linear import is_plain, low_rank_linear
from sklearn_ext._torch.quantization import StoredWeight

__all__ = ["LoRASettings", "LowRank", "principal_factors"]

Tensor = torch.Tensor


@dataclass(frozen=True)
class LoRASettings:
    """What is adapted, and how.

    Attributes
    ----------
    r : int
        Rank, >= 1.
    lora_alpha : float
        Numerator of the scaling, > 0.
    lora_dropout : float
        Probability, in [0, 1), that the low-rank path leaves out an input unit in a step.
    target_modules : str or sequence of str
        "all-linear", another string as a regular expression, or names; see
        :func:`sklearn_ext._torch.targets.chosen_weights`.
    use_rslora : bool
        Whether the scaling is lora_alpha / sqrt(r), not lora_alpha / r.
    use_dora : bool
        Whether the length of each output's weights is learned apart from their direction.
    init_lora_weights : True, "gaussian", "pissa" or "loftq"
        Start of A and B.
    modules_to_save : sequence of str or None
        Modules that are trained whole.
    bias : {"none", "all", "lora_only"}
        Which biases are trained: those of adapted modules for "lora_only".
    loraplus_lr_ratio : float or None
        Learning rate of B over that of A, > 0; None for 1.
    quantization : {"nf4", "int8"} or None
        How the frozen weights of linear layers and tables are kept.
    gradient_checkpointing : bool
        Whether blocks are computed anew for gradients.
    """

    r: int = 8
    lora_alpha: float = 16.0
    lora_dropout: float = 0.0
    target_modules: str | Sequence[str] = "all-linear"
    use_rslora: bool = False
    use_dora: bool = False
    init_lora_weights: bool | str = True
    modules_to_save: Sequence[str] | None = None
    bias: str = "none"
    loraplus_lr_ratio: float | None = None
    quantization: str | None = None
    gradient_checkpointing: bool = False

    @property
    def scaling(self) -> float:
        """Factor of the product of both matrices."""
        return self.lora_alpha / (sqrt(self.r) if self.use_rslora else self.r)


class LowRank(nn.Module):
    r"""A weight and its low-rank change [1]_.

    .. math:: W = W_0 + s B A, \qquad s = \alpha / r \text{ or } \alpha / \sqrt{r}

    A weight with axes in front of the matrix, those of members, has a change for each of them.

    Parameters
    ----------
    weight : torch.Tensor
        W_0. It is not kept.
    layout : str
        How it is read as a matrix.
    settings : LoRASettings
        Rank, scaling [2]_, start [3]_, dropout and whether there is a magnitude [4]_.
    generator : torch.Generator
        Draws A.

    Attributes
    ----------
    weight_A : torch.nn.Parameter of shape (..., r, n_in)
        A.
    weight_B : torch.nn.Parameter of shape (..., n_out, r)
        B.
    magnitude : torch.nn.Parameter of shape (..., n_out, 1) or None
        Norms of the rows, for DoRA.

    Notes
    -----
    "pissa" starts at the largest singular values, and what A and B hold then is taken off again:
    :math:`W = W_0 + s (B A - B_{start} A_{start})`, which is the residual of [3]_ plus its change,
    but equals W_0 to the bit before training.

    The change is one of the weight, so dropout leaves out the same input units for all rows, steps
    and positions of a batch: A loses columns, and the others are scaled up. Rows given twice are
    then the same as rows of weight 2.

    References
    ----------
    .. [1] E. J. Hu et al., "LoRA: Low-rank adaptation of large language models", ICLR 2022,
       arXiv:2106.09685; eq. 3.
    .. [2] D. Kalajdzievski, "A rank stabilization scaling factor for fine-tuning with LoRA",
       arXiv:2312.03732, 2023; theorem 3.2.
    .. [3] F. Meng, Z. Wang and M. Zhang, "PiSSA: Principal singular values and singular vectors
       adaptation of large language models", NeurIPS 2024, arXiv:2404.02948; eq. 2 to 4.
    .. [4] S.-Y. Liu et al., "DoRA: Weight-decomposed low-rank adaptation", ICML 2024,
       arXiv:2402.09353; eq. 5, with the norm held constant in the gradient (section 4.3).
    """

    def __init__(
        self, weight: Tensor, layout: str, settings: LoRASettings, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.layout, self.scaling = layout, settings.scaling
        matrix = as_matrix(weight.detach(), layout)
        A, B = _start(matrix, settings, generator)
        self.weight_A, self.weight_B = nn.Parameter(A), nn.Parameter(B)
        self.is_shifted = settings.init_lora_weights == "pissa"
        if self.is_shifted:
            self.register_buffer("start_A", A.clone())
            self.register_buffer("start_B", B.clone())
        self.magnitude: nn.Parameter | None = None
        if settings.use_dora:
            self.magnitude = nn.Parameter(_row_norms(matrix))
        self.dropout = SharedDropout(settings.lora_dropout)

    def forward(self, weight: Tensor) -> Tensor:
        """Give the changed weight, W of W_0."""
        # The strides stay those of W_0: products in another order are rounded otherwise.
        changed = weight + self._as_weight(self.change(), weight)
        if self.magnitude is not None:
            matrix = as_matrix(changed.detach(), self.layout)
            norms = _row_norms(matrix).clamp_min(torch.finfo(matrix.dtype).tiny)
            factors = (self.magnitude / norms).expand_as(matrix)
            changed = changed * self._as_weight(factors, weight)
        return changed

    def _as_weight(self, matrix: Tensor, weight: Tensor) -> Tensor:
        return as_weight(matrix, self.layout, weight.shape)

    def added_to(self, outputs: Tensor, inputs: Tensor) -> Tensor:
        """Add the change of a linear layer to its outputs, s B A x, without a magnitude."""
        narrow = inputs @ self._dropped_A().mT
        if not self.is_shifted:
            return _plus_product(outputs, narrow, self.weight_B, self.scaling)
        B, A = self._shift()  # the difference is 0 to the bit before training
        added = narrow @ self.weight_B.mT - (inputs @ A.mT) @ B.mT
        return outputs + torch.mul(added, self.scaling)

    def joins(self, inputs: Tensor, bias: Tensor | None) -> bool:
        """Tell whether `linear` can take the place of a linear layer and its change."""
        return not self.is_shifted and is_plain(inputs, bias)

    def linear(self, inputs: Tensor, weight: Tensor | StoredWeight, bias: Tensor | None) -> Tensor:
        """Apply a linear layer whose own weights are frozen, with the change."""
        factors = self._dropped_A(), self.weight_B
        return low_rank_linear(inputs, weight, bias, *factors, self.scaling)

    def added_to_rows(self, rows: Tensor, index: Tensor, padding: int | None) -> Tensor:
        """Add the change of a table to some of its rows; that of the padding is not trained."""
        added = self.change(index)
        if padding is not None:
            added = torch.where((index == padding).unsqueeze(-1), added.detach(), added)
        return rows + added

    def change(self, rows: Tensor | slice = slice(None)) -> Tensor:
        """Product of both matrices, scaled, (..., n_out, n_in), or some rows of it."""
        product = self.weight_B[rows] @ self._dropped_A()
        if self.is_shifted:
            B, A = self._shift()
            product = product - B[rows] @ A
        return torch.mul(product, self.scaling)

    def _dropped_A(self) -> Tensor:
        """Leave out columns of A while training."""
        A = self.weight_A
        if not self.training or self.dropout.p == 0.0:
            return A
        kept: Tensor = self.dropout(A.new_ones(1, A.shape[-1]))
        return A * kept

    def _shift(self) -> tuple[Tensor, Tensor]:
        """Give B and A of the start."""
        dtype = self.weight_A.dtype
        return self.get_buffer("start_B").to(dtype), self.get_buffer("start_A").to(dtype)

    def extra_repr(self) -> str:
        """Describe the shapes for printing."""
        *front, n_outputs, r = self.weight_B.shape
        sizes = f"in_features={self.weight_A.shape[-1]}, out_features={n_outputs}, r={r}"
        return f"n_members={front[0]}, {sizes}" if front else sizes


def _plus_product(outputs: Tensor, narrow: Tensor, B: Tensor, scaling: float) -> Tensor:
    """Add s B (A x) in one pass over the outputs, which are the largest of all these."""
    if B.ndim == 3:  # one matrix a member
        return torch.baddbmm(outputs, narrow, B.mT, alpha=scaling)
    rows, narrow = outputs.reshape(-1, B.shape[0]), narrow.reshape(-1, B.shape[1])
    return torch.addmm(rows, narrow, B.mT, alpha=scaling).view(outputs.shape)


def _row_norms(matrix: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(matrix, dim=-1, keepdim=True)
    return norms


def _start(
    matrix: Tensor, settings: LoRASettings, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Start of A and B in the dtype of the matrix."""
    *front, n_outputs, n_inputs = matrix.shape
    if settings.init_lora_weights == "pissa":
        return principal_factors(matrix, settings.r, settings.scaling)
    shape = (*front, settings.r, n_inputs)
    if settings.init_lora_weights == "gaussian":
        A = normal(shape, 1.0 / settings.r, generator)
    else:  # Kaiming's uniform distribution with a slope of sqrt(5), as in nn.Linear
        A = uniform(shape, 1.0 / sqrt(max(n_inputs, 1)), generator)
    return A.to(matrix), matrix.new_zeros(*front, n_outputs, settings.r)


def principal_factors(matrix: Tensor, r: int, scaling: float) -> tuple[Tensor, Tensor]:
    """A and B whose scaled product is the best approximation of rank r.

    A matrix with a side smaller than r is the product itself; the further rows of A and columns of
    B are 0, and have no gradient.
    """
    U, S, Vh = torch.linalg.svd(matrix.double(), full_matrices=False)
    roots = (S[..., :r] / scaling).sqrt()
    A, B = roots.unsqueeze(-1) * Vh[..., :r, :], U[..., :r] * roots.unsqueeze(-2)
    further = r - A.shape[-2]
    A, B = nn.functional.pad(A, (0, 0, 0, further)), nn.functional.pad(B, (0, further))
    return A.to(matrix.dtype).contiguous(), B.to(matrix.dtype).contiguous()
