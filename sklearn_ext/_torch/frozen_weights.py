"""Frozen weights of an adapted module, which share the memory of its base."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

__all__ = ["FrozenWeights"]

Tensor = torch.Tensor


class FrozenWeights(dict[str, nn.Parameter]):
    """Frozen weights by their names.

    They are never written to. That somebody else does so is noticed by the counters that torch
    keeps for memory, whoever writes to it; a copy has memory and counters of its own.

    Parameters
    ----------
    weights : dict of str to torch.nn.Parameter
        Weights.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ext._torch.frozen_weights import FrozenWeights
    >>> base = torch.nn.Parameter(torch.ones(3))
    >>> frozen = FrozenWeights({"weight": torch.nn.Parameter(base.detach(), False)})
    >>> frozen.check()
    >>> _ = torch.nn.init.zeros_(base)
    >>> try:
    ...     frozen.check()
    ... except ValueError as error:
    ...     print(str(error)[:29])
    The base was trained further,
    """

    def __init__(self, weights: Mapping[str, nn.Parameter]) -> None:
        super().__init__(weights)
        self._rounded: dict[str, Tensor] = {}
        self._versions = self._counted()

    def __reduce__(self) -> Any:
        self.check()
        return type(self), (dict(self),)

    def _counted(self) -> list[int]:
        return [0 if weight.is_inference() else weight._version for weight in self.values()]

    def check(self) -> None:
        """Raise an error if somebody has written to the weights."""
        if self._counted() != self._versions:
            raise ValueError(
                "The base was trained further, or written to in another way, after this adapter "
                "was made, and they share the weights: the adapter is not any more what it was "
                "fitted to be. Fit it again with warm_start=False, and train copy.deepcopy(base) "
                "where the adapters of a base are still needed."
            )

    def rounded(self, name: str, dtype: torch.dtype) -> Tensor:
        """Give a weight in a precision."""
        frozen = self[name].detach()
        if frozen.dtype == dtype or not frozen.is_floating_point():
            self._rounded.pop(name, None)
            return frozen
        kept = self._rounded.get(name)
        if kept is None or kept.dtype != dtype or kept.device != frozen.device:
            kept = self._rounded[name] = frozen.to(dtype)
        return kept

    def forget_rounded(self) -> None:
        """Keep nothing in another precision."""
        self._rounded.clear()

    def replaced(self, weights: Mapping[str, Tensor]) -> "FrozenWeights":
        """Give the same with other values for some, in memory of their own."""
        self.check()
        for name, weight in weights.items():
            if weight.shape != self[name].shape:
                raise RuntimeError(
                    f"size mismatch for {name}: {tuple(weight.shape)} instead of "
                    f"{tuple(self[name].shape)}."
                )
        others = {
            name: nn.Parameter(weight.detach().to(self[name], copy=True), False)
            for name, weight in weights.items()
            if not (weight.device == self[name].device and torch.equal(weight, self[name]))
        }
        return FrozenWeights({**self, **others})

    def moved(self, memory: Mapping[str, int]) -> "FrozenWeights":
        """Give the same; what is not any more where `memory` tells has a counter of its own."""
        others = {
            name: nn.Parameter(weight.data, False)
            for name, weight in self.items()
            if weight.data_ptr() != memory[name]
        }
        return FrozenWeights({**self, **others})
