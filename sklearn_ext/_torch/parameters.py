"""Parameters and states as numpy arrays and back, and the change of their precision."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

__all__ = [
    "load_arrays",
    "module_arrays",
    "named_parameters",
    "plain_state",
    "set_dtype",
    "take_dtypes",
    "tensor_state",
    "uncompiled",
]


def set_dtype(module: nn.Module, optimizer: Any, dtype: torch.dtype) -> None:
    """Change the precision of parameters in place, and of what the optimizer keeps of each.

    Parameters
    ----------
    module : torch.nn.Module
        Its parameters stay the same objects; buffers keep their dtype.
    optimizer : object
        With ``state`` as in :mod:`sklearn_ext._torch.optimizers`, or without.
    dtype : torch.dtype
        New precision.
    """
    for parameter in module.parameters():
        parameter.data = parameter.data.to(dtype)
    for state in getattr(optimizer, "state", []):
        for slot in set(state) - {"step"}:
            state[slot] = [tensor.to(dtype) for tensor in state[slot]]


def take_dtypes(module: nn.Module, arrays: Mapping[str, np.ndarray], front: str) -> None:
    """Give parameters the precision of the arrays of their names, with `front` before them.

    One without an array, such as that of a weight that is quantised, has that of another.
    """
    named = dict(module.named_parameters())
    found = {name: arrays[front + name].dtype for name in named if front + name in arrays}
    other = next(iter(found.values()), np.dtype(np.float32))
    for name, parameter in named.items():
        dtype = torch.from_numpy(np.empty(0, found.get(name, other))).dtype
        parameter.data = parameter.data.to(dtype)


def uncompiled(module: nn.Module) -> nn.Module:
    """Give the module that `torch.compile` was put around; another one is returned as it is."""
    plain: nn.Module = getattr(module, "_orig_mod", module)
    return plain


def named_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """Give parameters by name; a compiled module gives the names of the plain one."""
    return dict(uncompiled(module).named_parameters())


def module_arrays(module: nn.Module) -> dict[str, np.ndarray]:
    """Copy parameters and buffers into arrays; a tied one is the same array under all its names.

    A compiled module gives the names of the plain one.
    """
    tensors = uncompiled(module).state_dict(keep_vars=True)
    copies = {id(t): t.detach().cpu().numpy().copy() for t in tensors.values()}
    return {name: copies[id(tensor)] for name, tensor in tensors.items()}


def load_arrays(module: nn.Module, arrays: Mapping[str, np.ndarray]) -> None:
    """Put arrays of :func:`module_arrays` into a module of the same shapes, with their dtype."""
    tensors = {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}
    for name, kept in module.state_dict(keep_vars=True).items():
        if isinstance(kept, nn.Parameter):
            kept.data = kept.data.to(tensors[name].dtype)
    module.load_state_dict(tensors)


def plain_state(state: Any) -> Any:
    """Copy the state of a module or an optimizer, with arrays in the place of tensors.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ext._torch.parameters import plain_state, tensor_state
    >>> state = plain_state({"state": {0: {"step": torch.tensor(3.0)}}, "lr": [0.1]})
    >>> state
    {'state': {0: {'step': array(3., dtype=float32)}}, 'lr': [0.1]}
    >>> tensor_state(state)
    {'state': {0: {'step': tensor(3.)}}, 'lr': [0.1]}
    """
    return _mapped(state, torch.Tensor, lambda tensor: tensor.detach().cpu().numpy().copy())


def tensor_state(state: Any) -> Any:
    """Turn the arrays in what :func:`plain_state` gave into tensors again."""
    return _mapped(state, np.ndarray, lambda array: torch.from_numpy(np.array(array)))


def _mapped(state: Any, kind: type, change: Callable[[Any], Any]) -> Any:
    """Change all of a kind in nested dicts, lists and tuples."""
    if isinstance(state, kind):
        return change(state)
    if isinstance(state, Mapping):
        return {name: _mapped(value, kind, change) for name, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(_mapped(value, kind, change) for value in state)
    return state
