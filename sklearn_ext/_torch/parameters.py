"""Parameters of a module as numpy arrays and back, and their change of precision."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

__all__ = ["load_arrays", "module_arrays", "named_parameters", "set_dtype"]


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


def named_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """Give parameters by name; a compiled module gives the names of the plain one."""
    return dict(getattr(module, "_orig_mod", module).named_parameters())


def module_arrays(module: nn.Module) -> dict[str, np.ndarray]:
    """Copy parameters and buffers into arrays; a tied one is the same array under all its names.

    A compiled module gives the names of the plain one.
    """
    plain: nn.Module = getattr(module, "_orig_mod", module)
    tensors = plain.state_dict(keep_vars=True)
    copies = {id(t): t.detach().cpu().numpy().copy() for t in tensors.values()}
    return {name: copies[id(tensor)] for name, tensor in tensors.items()}


def load_arrays(module: nn.Module, arrays: Mapping[str, np.ndarray]) -> None:
    """Put arrays of :func:`module_arrays` into a module of the same shapes, with their dtype."""
    tensors = {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}
    for name, kept in module.state_dict(keep_vars=True).items():
        if isinstance(kept, nn.Parameter):
            kept.data = kept.data.to(tensors[name].dtype)
    module.load_state_dict(tensors)
