"""Layers whose weights are quantised, and how those of a module become such."""

from typing import Any

import torch
from torch import nn

from sklearn_ext._torch.adaptable import is_transposed_linear
from sklearn_ext._torch.packed_linear import PackedLinear
from sklearn_ext._torch.products import is_transformed
from sklearn_ext._torch.quantization import NF4, Int8Rows, StoredWeight

__all__ = [
    "QuantizedLinear",
    "quantizable_layers",
    "quantize_layers",
    "restore_layer",
    "set_stored",
    "stored_weight",
]

Tensor = torch.Tensor

# What reads the weights of the layers in it past their `forward`, at least sometimes.
_READS_WEIGHTS = (nn.TransformerEncoderLayer, nn.MultiheadAttention)


class _FrozenProduct(torch.autograd.Function):
    """Product of inputs and a quantised weight, which both passes dequantise anew."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, stored: StoredWeight) -> Tensor:
        """Multiply inputs by the weight."""
        ctx.stored = stored
        return stored.product(inputs.to(_computed_in(inputs)))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Multiply back; a frozen weight has no gradient."""
        return ctx.stored.product_back(gradients[0]), None


def _computed_in(inputs: Tensor) -> torch.dtype:
    """Precision of a product, which autocast may lower."""
    kind = inputs.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else inputs.dtype


class _Quantized:
    """What a layer of a class derived from this and its own one has: no weight but `stored`."""

    stored: StoredWeight
    rows_first = True
    dtype = torch.float32  # of what is computed

    @property
    def weight(self) -> Tensor:
        """The dequantised weight, for those who ask for its dtype, device or values."""
        return self.stored.dequantized(self.dtype)

    def forward(self, inputs: Tensor) -> Tensor:
        """Multiply."""
        bias: Tensor | None = self.bias  # type: ignore[attr-defined]
        if is_transformed():  # by torch.func, which knows nothing of the function
            weight = self.stored.dequantized(inputs.dtype)
            outputs = inputs @ (weight.mT if self.rows_first else weight)
            return outputs if bias is None else outputs + bias
        rows = inputs.reshape(-1, self.stored.shape[1]) if self.rows_first else inputs
        product: Tensor = _FrozenProduct.apply(rows, self.stored)
        outputs = product if bias is None else product.add_(bias)
        return outputs.view(*inputs.shape[:-1], outputs.shape[-1])


class QuantizedLinear(_Quantized, nn.Linear):  # type: ignore[override]
    """A linear layer."""


class QuantizedPackedLinear(_Quantized, PackedLinear):  # type: ignore[misc]
    """A linear layer of each member."""

    rows_first = False


class QuantizedEmbedding(_Quantized, nn.Embedding):  # type: ignore[override]
    """A table in int8."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Take rows."""
        assert isinstance(self.stored, Int8Rows)
        return self.stored.rows(inputs, self.dtype)


_CLASSES: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: QuantizedLinear,
    PackedLinear: QuantizedPackedLinear,
    nn.Embedding: QuantizedEmbedding,
}


def _class_for(layer: nn.Module) -> type[nn.Module] | None:
    """Class of a layer when its weight is quantised; None where that is not possible."""
    kind = type(layer)
    if kind not in _CLASSES and is_transposed_linear(layer):
        _CLASSES[kind] = type(
            f"Quantized{kind.__name__}", (_Quantized, kind), {"rows_first": False}
        )
    if isinstance(layer, nn.Embedding) and not _is_plain_table(layer):
        return None
    return _CLASSES.get(kind)


def _is_plain_table(layer: nn.Embedding) -> bool:
    return layer.max_norm is None and not layer.sparse and not layer.scale_grad_by_freq


def quantizable_layers(module: nn.Module, kept: set[str]) -> dict[str, list[nn.Module]]:
    """Find linear layers and tables of a module whose weights can be quantised.

    Parameters
    ----------
    module : torch.nn.Module
        Module.
    kept : set of str
        Names of weights that are to stay as they are.

    Returns
    -------
    layers : dict of str to list of torch.nn.Module
        Layers with each weight, by the first name of the weight.
    """
    return {name: layers for name, layers in _candidates(module).items() if name not in kept}


def quantize_layers(layers: list[nn.Module], weight: Tensor, kind: str) -> None:
    """Put a quantised weight in the place of the one that some layers share.

    Parameters
    ----------
    layers : list of torch.nn.Module
        Layers. Their parameter is given up, not changed.
    weight : torch.Tensor
        Its values.
    kind : {"nf4", "int8"}
        How; tables, and weights that are tied to one, are "int8" always.
    """
    is_table = any(isinstance(layer, nn.Embedding) for layer in layers)
    stored = (Int8Rows if is_table or kind == "int8" else NF4)(weight, _rows_first(layers[0]))
    for layer in layers:
        set_stored(layer, stored)


def _candidates(module: nn.Module) -> dict[str, list[nn.Module]]:
    """Layers with each weight that can be quantised in all its places."""
    first = {id(parameter): name for name, parameter in module.named_parameters()}
    places: dict[str, list[nn.Module]] = {}
    unable: set[str] = set()
    inside = {
        id(part) for m in module.modules() if isinstance(m, _READS_WEIGHTS) for part in m.modules()
    }
    for owner in module.modules():
        able = _class_for(owner) is not None and id(owner) not in inside
        for local, parameter in owner._parameters.items():
            if parameter is None:
                continue
            name = first[id(parameter)]
            places.setdefault(name, []).append(owner)
            if not able or local != "weight":
                unable.add(name)
    return {
        name: layers
        for name, layers in places.items()
        if name not in unable and len({_rows_first(layer) for layer in layers}) == 1
    }


def _rows_first(layer: nn.Module) -> bool:
    return bool(getattr(_class_for(layer), "rows_first", True))


def set_stored(layer: nn.Module, stored: StoredWeight) -> None:
    """Put a quantised weight in the place of the weight of a layer."""
    layer._parameters.pop("weight", None)
    cls = _class_for(layer)
    if cls is not None:
        layer.__class__ = cls
    layer._modules["stored"] = stored


def stored_weight(layer: nn.Module) -> StoredWeight:
    """Give the quantised weight of a layer."""
    stored = layer._modules["stored"]
    assert isinstance(stored, StoredWeight)
    return stored


def restore_layer(layer: nn.Module, weight: nn.Parameter) -> None:
    """Make a quantised layer a plain one with this weight."""
    layer.__class__ = type(layer).__mro__[2]
    del layer._modules["stored"]
    # The weight comes first, as in a layer that was never quantised.
    layer._parameters = {"weight": weight, **layer._parameters}
