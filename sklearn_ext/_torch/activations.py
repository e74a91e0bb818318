"""Activation functions by name."""

from collections.abc import Callable

import torch
from torch.nn import functional

__all__ = ["activation_function"]


def _gelu_tanh(x: torch.Tensor) -> torch.Tensor:
    return functional.gelu(x, approximate="tanh")


def _identity(x: torch.Tensor) -> torch.Tensor:
    return x


_FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "gelu": functional.gelu,
    "gelu_tanh": _gelu_tanh,
    "relu": functional.relu,
    "silu": functional.silu,
    "tanh": torch.tanh,
    "logistic": torch.sigmoid,
    "identity": _identity,
}


def activation_function(name: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the elementwise function of that name.

    Parameters
    ----------
    name : {"gelu", "gelu_tanh", "relu", "silu", "tanh", "logistic", "identity"}
        "gelu" is exact, x Φ(x); "gelu_tanh" its approximation by a hyperbolic tangent.

    Returns
    -------
    function : callable
        Tensor in, tensor of the same shape out.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ext._torch.activations import activation_function
    >>> activation_function("relu")(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return _FUNCTIONS[name]
