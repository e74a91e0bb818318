"""Weights that stay in their files until they are asked for, one at a time."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

__all__ = ["dequantized_rows", "leave_in_files", "loaded", "safetensors_readers"]

Tensor = torch.Tensor
Reader = Callable[[], Tensor]

ROWS_AT_ONCE = 2**12  # of a table in GGUF


def loaded(parameter: Tensor) -> Tensor:
    """Give the values of a parameter, of one that is still in a file as a new tensor."""
    if not parameter.is_meta:
        return parameter.detach()
    read: Reader = parameter.read  # type: ignore[attr-defined]
    values = read()
    if values.shape != parameter.shape:
        raise ValueError(
            f"A weight of shape {tuple(values.shape)} lies in the file in the place of one of "
            f"shape {tuple(parameter.shape)}: the file is not that of the model."
        )
    return values.to(parameter.dtype)


@torch.no_grad()
def leave_in_files(
    module: nn.Module, readers: Mapping[str, Reader], beginnings: Sequence[str]
) -> bool:
    """Put parameters without memory, which :func:`loaded` reads, in the places of a module's own.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place, if all its parameters are in the files.
    readers : dict of str to callable
        What reads a weight, by its name in the files.
    beginnings : sequence of str
        What may stand in front of the names there.

    Returns
    -------
    are_left : bool
        Whether all were found.
    """
    names: dict[int, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    found: dict[int, Reader] = {}
    for number, own in names.items():
        wanted = (front + name for front in beginnings for name in own)
        reader = next((readers[name] for name in wanted if name in readers), None)
        if reader is None:
            return False
        found[number] = reader
    _replace(module, found)
    return True


def _replace(module: nn.Module, found: dict[int, Reader]) -> None:
    """Exchange parameters; a tied one stays tied."""
    new: dict[int, nn.Parameter] = {}
    for owner in module.modules():
        for local, parameter in owner._parameters.items():
            if parameter is None:
                continue
            if id(parameter) not in new:
                empty = nn.Parameter(parameter.to("meta"), parameter.requires_grad)
                empty.read = found[id(parameter)]  # type: ignore[attr-defined]
                new[id(parameter)] = empty
            owner._parameters[local] = new[id(parameter)]


def safetensors_readers(folder: Path) -> dict[str, Reader]:
    """Find the weights of a folder in safetensors; there may be none.

    Parameters
    ----------
    folder : pathlib.Path
        With ``model.safetensors``, or several files and ``model.safetensors.index.json``.

    Returns
    -------
    readers : dict of str to callable
        What reads a weight, by its name.
    """
    index, single = folder / "model.safetensors.index.json", folder / "model.safetensors"
    if index.is_file():
        pairs = json.loads(index.read_text("utf-8"))["weight_map"].items()
        return {name: partial(_from_safetensors, folder / file, name) for name, file in pairs}
    if not single.is_file():
        return {}
    from safetensors import safe_open

    with safe_open(single, framework="pt") as file:
        names = list(file.keys())
    return {name: partial(_from_safetensors, single, name) for name in names}


def _from_safetensors(path: Path, name: str) -> Tensor:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        # A view of the mapped file, which it would keep resident.
        tensor: Tensor = file.get_tensor(name).clone()
    return tensor


def dequantized_rows(data: np.ndarray, kind: Any) -> np.ndarray:
    """Give a tensor of a file in GGUF in single precision, computed some rows at a time."""
    from gguf import dequantize

    if data.ndim < 2:
        return np.array(dequantize(data, kind), dtype=np.float32)
    first = np.asarray(dequantize(data[:1], kind))
    found = np.empty((len(data), *first.shape[1:]), dtype=np.float32)
    for start in range(0, len(data), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        found[rows] = dequantize(data[rows], kind)
    return found
