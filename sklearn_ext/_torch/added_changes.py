"""Layers that add the low-rank change of their weight to their outputs, or have a frozen one."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import nn

from sklearn_ext._torch.adaptable import is_transposed_linear
from sklearn_ext._torch.low_rank import LowRank
from sklearn_ext._torch.low_rank_linear import frozen_linear, is_plain
from sklearn_ext._torch.packed_linear import PackedLinear
from sklearn_ext._torch.quantization import StoredWeight
from sklearn_ext._torch.quantized_layers import QuantizedLinear

__all__ = ["add_change", "can_add", "freeze_product"]

Tensor = torch.Tensor

# A class derived from them may read its weight in another way.
_ABLE = (nn.Linear, PackedLinear)

# Classes of layers that add a change, by the class of the layer.
_CLASSES: dict[type[nn.Module], type[nn.Module]] = {}


def can_add(layer: nn.Module, local: str) -> bool:
    """Tell whether a layer can add the change of this parameter of its own to its outputs.

    What runs before its `forward` might read the weight, so there may be nothing.
    """
    known = type(layer) in _ABLE or is_transposed_linear(layer)
    return known and local == "weight" and not layer._forward_pre_hooks


def add_change(layer: nn.Module, change: LowRank) -> Callable[[], None]:
    """Let a layer, quantised or not, add a change to its outputs; return what ends it.

    Whoever reads its weight meanwhile, as a head that is tied by hand, gets the changed one.
    """
    kind = type(layer)
    if kind not in _CLASSES:
        _CLASSES[kind] = _adding(kind, "stored" in layer._modules)
    layer.__dict__["added"] = change
    layer.__class__ = _CLASSES[kind]

    def end() -> None:
        layer.__class__ = kind
        del layer.__dict__["added"]

    return end


def freeze_product(layer: nn.Module) -> Callable[[], None]:
    """Let a plain linear layer, whose weight has no gradient, know that; return what ends it."""
    kind = type(layer)
    if kind is not nn.Linear or layer._forward_pre_hooks:
        return lambda: None
    layer.__class__ = _FrozenLinear

    def end() -> None:
        layer.__class__ = kind

    return end


class _FrozenLinear(nn.Linear):
    """A linear layer that is a constant map."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply it; the argument has the name that it has in torch."""
        if self.weight.requires_grad or not is_plain(input, self.bias):
            return super().forward(input)
        return frozen_linear(input, self.weight, self.bias)


def _adding(kind: type[nn.Module], is_quantized: bool) -> type[nn.Module]:
    """Class of layers of a kind that add a change; it has the name of the kind."""
    of_weight = _OfStored if is_quantized else _OfParameter
    of_outputs = _AddsInside if kind in (nn.Linear, QuantizedLinear) else _Adds
    return type(kind.__name__, (of_outputs, of_weight, kind), {})


class _Adds(nn.Module):
    """Adds the change to the outputs of the layer."""

    added: LowRank

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Call the layer with its own weight."""
        inputs = args[0] if args else next(iter(kwargs.values()))
        outputs = cast(Any, self).frozen_outputs(*args, **kwargs)
        if isinstance(self, nn.Embedding):
            return self.added.added_to_rows(outputs, inputs, self.padding_idx)
        return self.added.added_to(outputs, inputs)


class _AddsInside(_Adds):
    """Computes a linear layer and its change as one function, where that is possible."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply both; the argument has the name that it has in torch."""
        layer = cast(Any, self)
        if not self.added.joins(input, layer.bias):
            return super().forward(input)
        return self.added.linear(input, layer.frozen_weight, layer.bias)


class _OfParameter(nn.Module):
    """Has a parameter as its own weight."""

    added: LowRank
    is_inside = False

    @property
    def frozen_weight(self) -> Tensor:
        """The weight of the layer."""
        return cast(Tensor, self._parameters["weight"])

    @property
    def weight(self) -> Tensor:
        """The changed weight; the layer itself sees its own one."""
        frozen = self.frozen_weight
        return frozen if self.is_inside else cast(Tensor, self.added(frozen))

    def frozen_outputs(self, *args: Any, **kwargs: Any) -> Tensor:
        """Outputs without the change."""
        self.__dict__["is_inside"] = True
        try:
            return cast(Tensor, super().forward(*args, **kwargs))
        finally:
            del self.__dict__["is_inside"]


class _OfStored(nn.Module):
    """Has a quantised weight."""

    added: LowRank

    @property
    def frozen_weight(self) -> StoredWeight:
        """The weight of the layer."""
        return cast(StoredWeight, self._modules["stored"])

    @property
    def weight(self) -> Tensor:
        """The changed weight; the layer itself uses the stored one."""
        return cast(Tensor, self.added(self.frozen_weight.dequantized(cast(Any, self).dtype)))

    def frozen_outputs(self, *args: Any, **kwargs: Any) -> Tensor:
        """Outputs without the change."""
        return cast(Tensor, super().forward(*args, **kwargs))
