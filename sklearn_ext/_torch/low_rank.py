"""Low-rank changes of weights: which weights of a module can have one, and the change itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import sqrt

import torch
from torch import nn

from sklearn_ext._torch.dropout import SharedDropout
from sklearn_ext._torch.encoding import PackedEmbedding
from sklearn_ext._torch.initialization import normal, uniform
from sklearn_ext._torch.low_rank_linear import low_rank_linear
from sklearn_ext._torch.modules import PackedLinear
from sklearn_ext._torch.stem import DilatedConv

__all__ = [
    "Adaptable",
    "LoRASettings",
    "LowRank",
    "adaptable_weights",
    "as_matrix",
    "as_weight",
    "is_transposed_linear",
    "principal_factors",
]

Tensor = torch.Tensor

# How a weight is read as a matrix (..., n_out, n_in), and how a matrix becomes a weight again.
_TO_MATRIX: dict[str, Callable[[Tensor], Tensor]] = {
    "matrix": lambda weight: weight,
    "transposed": lambda weight: weight.mT,
    "channels_first": lambda weight: weight.flatten(1),
    "taps_first": lambda weight: weight.flatten(0, 1).mT,
}
_TO_WEIGHT: dict[str, Callable[[Tensor, torch.Size], Tensor]] = {
    "matrix": lambda matrix, shape: matrix,
    "transposed": lambda matrix, shape: matrix.mT,
    "channels_first": lambda matrix, shape: matrix.reshape(shape),
    "taps_first": lambda matrix, shape: matrix.mT.reshape(shape),
}

# Kinds of modules, beginnings of the names of their weights, layout, whether the map is linear and
# so among "all-linear".
_KINDS: tuple[tuple[type[nn.Module], tuple[str, ...], str, bool], ...] = (
    (nn.Linear, ("weight",), "matrix", True),
    (PackedLinear, ("weight",), "transposed", True),
    (nn.RNNBase, ("weight_",), "matrix", True),
    (nn.RNNCellBase, ("weight_",), "matrix", True),
    (
        nn.MultiheadAttention,
        ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"),
        "matrix",
        True,
    ),
    (nn.Embedding, ("weight",), "matrix", False),
    (PackedEmbedding, ("table",), "matrix", False),
    (nn.Conv1d, ("weight",), "channels_first", False),
    (nn.Conv2d, ("weight",), "channels_first", False),
    (DilatedConv, ("weight",), "taps_first", False),
)


def as_matrix(weight: Tensor, layout: str) -> Tensor:
    """Read a weight as a matrix (..., n_out, n_in)."""
    return _TO_MATRIX[layout](weight)


def as_weight(matrix: Tensor, layout: str, shape: torch.Size) -> Tensor:
    """Give a matrix the form of a weight."""
    return _TO_WEIGHT[layout](matrix, shape)


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

    @property
    def scaling(self) -> float:
        """Factor of the product of both matrices."""
        return self.lora_alpha / (sqrt(self.r) if self.use_rslora else self.r)


@dataclass
class Adaptable:
    """A weight that can have a low-rank change.

    Attributes
    ----------
    name : str
        First of its names.
    layout : str
        How it is read as a matrix.
    is_linear : bool
        Whether it is among "all-linear".
    paths : list of str
        All its names; a tied weight has several.
    """

    name: str
    layout: str
    is_linear: bool
    paths: list[str] = field(default_factory=list)


def adaptable_weights(module: nn.Module) -> dict[str, Adaptable]:
    """Find the weights of a module that can have a low-rank change, by their names.

    Examples
    --------
    >>> from torch import nn
    >>> from sklearn_ext._torch.low_rank import adaptable_weights
    >>> list(adaptable_weights(nn.Sequential(nn.LSTM(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))))
    ['0.weight_ih_l0', '0.weight_hh_l0', '2.weight']
    """
    first_name = {id(parameter): name for name, parameter in module.named_parameters()}
    found: dict[str, Adaptable] = {}
    for path, owner in module.named_modules():
        for beginnings, layout, is_linear in _kinds_of(owner):
            for local, parameter in owner._parameters.items():
                if parameter is None or not local.startswith(beginnings):
                    continue
                name = first_name[id(parameter)]
                weight = found.setdefault(name, Adaptable(name, layout, is_linear))
                weight.is_linear |= is_linear
                weight.paths.append(f"{path}.{local}".lstrip("."))
    return found


def is_transposed_linear(owner: nn.Module) -> bool:
    """Tell whether a layer is the `Conv1D` of transformers, a linear one of weight (n_in, n_out).

    That package is not imported for it.
    """
    return type(owner).__name__ == "Conv1D" and hasattr(owner, "nf") and hasattr(owner, "nx")


def _kinds_of(owner: nn.Module) -> list[tuple[tuple[str, ...], str, bool]]:
    """Beginnings of the names of weights, layout, and whether the map is linear."""
    if is_transposed_linear(owner):
        return [(("weight",), "transposed", True)]
    return [what for kind, *what in _KINDS if isinstance(owner, kind)]  # type: ignore[misc]


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

    def linear(self, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Apply a linear layer whose own weights are frozen, with the change."""
        if self.is_shifted or inputs.ndim == 1 or (bias is not None and bias.requires_grad):
            return self.added_to(nn.functional.linear(inputs, weight, bias), inputs)
        factors = self._dropped_A(), self.weight_B
        return low_rank_linear(inputs, weight, bias, *factors, self.scaling)

    def added_to_rows(self, rows: Tensor, index: Tensor) -> Tensor:
        """Add the change of a table to some of its rows."""
        return rows + torch.mul(self.weight_B[index] @ self._dropped_A(), self.scaling)

    def change(self) -> Tensor:
        """Product of both matrices, scaled, (..., n_out, n_in)."""
        product = self.weight_B @ self._dropped_A()
        if self.is_shifted:
            B, A = self._shift()
            product = product - B @ A
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
    flat = torch.addmm(outputs.flatten(0, -2), narrow.flatten(0, -2), B.mT, alpha=scaling)
    return flat.view(outputs.shape)


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
    """A and B whose scaled product is the best approximation of rank r."""
    smallest = min(matrix.shape[-2:])
    if r > smallest:
        raise ValueError(
            f"init_lora_weights='pissa' and 'loftq' need r <= {smallest}, the smaller side of a "
            f"weight of shape {tuple(matrix.shape)}, got r={r}. Lower r or leave the weight out of "
            "target_modules."
        )
    U, S, Vh = torch.linalg.svd(matrix.double(), full_matrices=False)
    roots = (S[..., :r] / scaling).sqrt()
    A, B = roots.unsqueeze(-1) * Vh[..., :r, :], U[..., :r] * roots.unsqueeze(-2)
    return A.to(matrix.dtype).contiguous(), B.to(matrix.dtype).contiguous()
