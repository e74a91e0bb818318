"""The state of an optimizer as plain values and numpy arrays, and back."""

from typing import Any

import numpy as np
import torch
from torch import nn

from sklearn_ext._torch.optimizers import SGD, AdamW, Optimizer
from sklearn_ext._torch.parameters import named_parameters, plain_state, tensor_state

__all__ = ["optimizer_arrays", "optimizer_of"]

# Kinds that go on from their running tensors, and what each has besides "lr" and "weight_decay".
KINDS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "AdamW": (AdamW, ("betas", "eps")),
    "SGD": (SGD, ("momentum", "nesterov")),
}


def optimizer_arrays(optimizer: Optimizer, module: nn.Module) -> dict[str, Any]:
    """Copy all that the next step of an optimizer depends on.

    Parameters
    ----------
    optimizer : Optimizer
        One of `KINDS`.
    module : torch.nn.Module
        What it moves.

    Returns
    -------
    arrays : dict
        Plain values and arrays; parameters are called by their names in the module.
    """
    kind = type(optimizer).__name__
    own = {name: getattr(optimizer, name) for name in KINDS[kind][1]}
    names = {id(parameter): name for name, parameter in named_parameters(module).items()}
    return {
        "kind": kind,
        "settings": optimizer.defaults | own,
        "groups": [
            group | {"params": [names[id(parameter)] for parameter in group["params"]]}
            for group in optimizer.param_groups
        ],
        "state": [
            {slot: _arrays(tensors) for slot, tensors in state.items()} for state in optimizer.state
        ],
    }


def optimizer_of(arrays: dict[str, Any], module: nn.Module) -> Optimizer:
    """Make the optimizer that :func:`optimizer_arrays` was given, for a module of equal names.

    Parameters
    ----------
    arrays : dict
        What it gave.
    module : torch.nn.Module
        Its parameters have the dtype that they had then.

    Returns
    -------
    optimizer : Optimizer
        With running tensors of its own.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ext._torch.optimizer_arrays import optimizer_arrays, optimizer_of
    >>> from sklearn_ext._torch.optimizers import AdamW
    >>> layer = torch.nn.Linear(2, 1)
    >>> optimizer = AdamW(layer.parameters(), lr=0.1)
    >>> _ = optimizer.step([torch.ones(1, 2), torch.ones(1)])
    >>> twin = optimizer_of(optimizer_arrays(optimizer, layer), layer)
    >>> torch.equal(twin.state[0]["exp_avg"][0], optimizer.state[0]["exp_avg"][0])
    True
    """
    named = named_parameters(module)
    groups = [
        group | {"params": [named[name] for name in group["params"]]} for group in arrays["groups"]
    ]
    optimizer: Optimizer = KINDS[arrays["kind"]][0](groups, **arrays["settings"])
    state = [
        {slot: _tensors(values) for slot, values in slots.items()} for slots in arrays["state"]
    ]
    # Which lays them out in memory like the parameters.
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
    return optimizer


def _arrays(tensors: list[torch.Tensor]) -> np.ndarray | list[np.ndarray]:
    """Copies of tensors; of counters one array, which is smaller than many of one number."""
    arrays = plain_state(tensors)
    return np.array(arrays) if all(array.ndim == 0 for array in arrays) else arrays


def _tensors(arrays: np.ndarray | list[np.ndarray]) -> list[torch.Tensor]:
    return tensor_state([np.asarray(array) for array in arrays])  # type: ignore[no-any-return]
