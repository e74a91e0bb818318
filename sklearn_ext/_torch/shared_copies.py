"""Copies of modules that share the memory of their parameters, and where each parameter is.

A parameter has the first of its names. Its key is the name in a form that a `torch.nn.ModuleDict`
takes.
"""

import copy
import re
from typing import Any

import torch
from torch import nn

__all__ = ["all_names", "key_of", "name_in_base", "name_of", "places_of", "shared_copy"]

# Trained parameters of an adapted module, by their own names.
_TRAINED = re.compile(r"low_rank\.(.+)\.(?:weight_A|weight_B|magnitude)|whole\.(.+)")


def shared_copy(base: nn.Module) -> nn.Module:
    """Copy modules and buffers; the parameters are frozen and share the memory of the base."""
    for path, module in base.named_modules():
        if getattr(module, "max_norm", None) is not None:
            raise ValueError(
                f"{path!r} has max_norm={module.max_norm}, by which it changes its weights "
                "whenever it is called. A base that is frozen needs max_norm=None."
            )
    known: dict[int, Any] = {id(p): nn.Parameter(p.detach(), False) for p in base.parameters()}
    for module in base.modules():  # results of the last pass, as weight_norm leaves them
        own = [value for value in vars(module).values() if isinstance(value, torch.Tensor)]
        known |= {id(tensor): tensor.detach() for tensor in own if not tensor.is_leaf}
    return copy.deepcopy(base, known)


def places_of(base: nn.Module) -> dict[str, list[tuple[nn.Module, str]]]:
    """Find the modules that have each parameter, and what they call it."""
    first = {id(parameter): name for name, parameter in base.named_parameters()}
    found: dict[str, list[tuple[nn.Module, str]]] = {name: [] for name in first.values()}
    for module in base.modules():
        for local, parameter in module._parameters.items():
            if parameter is not None:
                found[first[id(parameter)]].append((module, local))
    return found


def all_names(base: nn.Module) -> dict[str, list[str]]:
    """Find the names of each parameter by its first one; a tied parameter has several."""
    first = {id(parameter): name for name, parameter in base.named_parameters()}
    found: dict[str, list[str]] = {name: [] for name in first.values()}
    for name, parameter in base.named_parameters(remove_duplicate=False):
        found[first[id(parameter)]].append(name)
    return found


def key_of(name: str) -> str:
    """Give the key of a name: "/" for ".", and "~1" for the "/" of a name, "~0" for its "~".

    Examples
    --------
    >>> from sklearn_ext._torch.shared_copies import key_of, name_of
    >>> key_of("layers.a/b.weight"), name_of(key_of("layers.a/b.weight"))
    ('layers/a~1b/weight', 'layers.a/b.weight')
    """
    return name.replace("~", "~0").replace("/", "~1").replace(".", "/")


def name_of(key: str) -> str:
    """Give the name of a key."""
    return key.replace("/", ".").replace("~1", "/").replace("~0", "~")


def name_in_base(own: str) -> str:
    """Give the name in the base that a trained parameter of an adapted module belongs to.

    Examples
    --------
    >>> from sklearn_ext._torch.shared_copies import name_in_base
    >>> name_in_base("low_rank.layers/0/weight.weight_A"), name_in_base("whole.head/bias")
    ('layers.0.weight', 'head.bias')
    >>> name_in_base("layers.0.weight")
    'layers.0.weight'
    """
    match = _TRAINED.fullmatch(own)
    return name_of(own if match is None else match[1] or match[2])
