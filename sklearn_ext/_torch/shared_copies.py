"""Copies of modules that share the memory of their parameters, and where each parameter is."""

import copy
from typing import Any, cast

from torch import nn

__all__ = ["places_of", "shared_copy"]


def shared_copy(base: nn.Module) -> nn.Module:
    """Copy modules and buffers; the parameters are frozen and share the memory of the base."""
    for path, module in base.named_modules():
        if getattr(module, "max_norm", None) is not None:
            raise ValueError(
                f"{path!r} has max_norm={module.max_norm}, by which it changes its weights "
                "whenever it is called. A base that is frozen needs max_norm=None."
            )
    parameters = {id(p): nn.Parameter(p.detach(), False) for p in base.parameters()}
    return copy.deepcopy(base, cast(dict[int, Any], parameters))


def places_of(base: nn.Module) -> dict[str, list[tuple[nn.Module, str]]]:
    """Find the modules that have each parameter, and what they call it."""
    first = {id(parameter): name for name, parameter in base.named_parameters()}
    found: dict[str, list[tuple[nn.Module, str]]] = {name: [] for name in first.values()}
    for module in base.modules():
        for local, parameter in module._parameters.items():
            if parameter is not None:
                found[first[id(parameter)]].append((module, local))
    return found
