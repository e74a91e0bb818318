"""Which weights of a module can have a low-rank change, and how each is read as a matrix."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import nn

from sklearn_ext._torch.encoding import PackedEmbedding
from sklearn_ext._torch.packed_linear import PackedLinear
from sklearn_ext._torch.stem import DilatedConv

__all__ = [
    "Adaptable",
    "adaptable_weights",
    "as_matrix",
    "as_weight",
    "computed_weights",
    "is_transposed_linear",
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

_OF_CELL = "weight_(ih|hh)"
_OF_LAYER = r"weight_(ih|hh|hr)_l\d+(_reverse)?"
_OF_ATTENTION = "(in|q|k|v)_proj_weight"
# Kinds of modules, regular expressions of the names of their weights, layout, whether the map is
# linear and so among "all-linear".
_KINDS: tuple[tuple[type[nn.Module], str, str, bool], ...] = (
    (nn.Linear, "weight", "matrix", True),
    (PackedLinear, "weight", "transposed", True),
    (nn.RNNBase, _OF_LAYER, "matrix", True),
    (nn.RNNCellBase, _OF_CELL, "matrix", True),
    (nn.MultiheadAttention, _OF_ATTENTION, "matrix", True),
    (nn.Embedding, "weight", "matrix", False),
    (PackedEmbedding, "table", "matrix", False),
    (nn.Conv1d, "weight", "channels_first", False),
    (nn.Conv2d, "weight", "channels_first", False),
    (DilatedConv, "weight", "taps_first", False),
)
# What torch's weight_norm, spectral_norm and pruning call the parameters of a weight.
_OF_COMPUTED = re.compile("(.+)_(g|v|orig)")


def as_matrix(weight: Tensor, layout: str) -> Tensor:
    """Read a weight as a matrix (..., n_out, n_in)."""
    return _TO_MATRIX[layout](weight)


def as_weight(matrix: Tensor, layout: str, shape: torch.Size) -> Tensor:
    """Give a matrix the form of a weight."""
    return _TO_WEIGHT[layout](matrix, shape)


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
        Whether it is among "all-linear": a table of embeddings is not, tied to a head or not.
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
    >>> from sklearn_ext._torch.adaptable import adaptable_weights
    >>> list(adaptable_weights(nn.Sequential(nn.LSTM(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))))
    ['0.weight_ih_l0', '0.weight_hh_l0', '2.weight']
    """
    first_name = {id(parameter): name for name, parameter in module.named_parameters()}
    found: dict[str, Adaptable] = {}
    for path, owner, pattern, layout, is_linear in _kinds_in(module):
        for local, parameter in owner._parameters.items():
            if parameter is None or not re.fullmatch(pattern, local):
                continue
            name = first_name[id(parameter)]
            weight = found.setdefault(name, Adaptable(name, layout, is_linear))
            weight.is_linear &= is_linear  # a table that is the head too is none
            weight.paths.append(f"{path}.{local}".lstrip("."))
    return found


def computed_weights(module: nn.Module) -> dict[str, Adaptable]:
    """Find the weights that would be adaptable if they were parameters, by their names.

    Examples
    --------
    >>> from torch import nn
    >>> from sklearn_ext._torch.adaptable import computed_weights
    >>> list(computed_weights(nn.utils.parametrizations.weight_norm(nn.Linear(3, 4))))
    ['weight']
    """
    found: dict[str, Adaptable] = {}
    for path, owner, pattern, layout, is_linear in _kinds_in(module):
        for local in _computed(owner):
            if re.fullmatch(pattern, local):
                name = f"{path}.{local}".lstrip(".")
                found[name] = Adaptable(name, layout, is_linear, [name])
    return found


def _computed(owner: nn.Module) -> set[str]:
    """Names of what a module computes of its parameters."""
    matches = (_OF_COMPUTED.fullmatch(local) for local in owner._parameters)
    old = {match[1] for match in matches if match is not None}
    parametrized = owner._modules.get("parametrizations")
    new = set() if parametrized is None else set(parametrized._modules)
    return (old | new) - set(owner._parameters)


def is_transposed_linear(owner: nn.Module) -> bool:
    """Tell whether a layer is the `Conv1D` of transformers, a linear one of weight (n_in, n_out).

    That package is not imported for it.
    """
    return type(owner).__name__ == "Conv1D" and hasattr(owner, "nf") and hasattr(owner, "nx")


def _kinds_in(module: nn.Module) -> Iterator[tuple[str, nn.Module, str, str, bool]]:
    """Yield path, module, names of weights, layout, and whether the map is linear."""
    for path, owner in module.named_modules(remove_duplicate=False):
        if is_transposed_linear(owner):
            yield path, owner, "weight", "transposed", True
            continue
        for kind, pattern, layout, is_linear in _KINDS:
            if isinstance(owner, kind):
                yield path, owner, pattern, layout, is_linear
