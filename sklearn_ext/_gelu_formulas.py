"""Formulas of GELU and its derivative, for arrays and for tensors.

The numbers of equations are those in the docstrings of :mod:`sklearn_ext.activations`.
"""

import sys
from math import pi, sqrt

import numpy as np
from scipy.special import erfcx, expit

__all__ = ["evaluate", "gelu_slope", "gelu_value"]

_FORMS = ("none", "tanh")
_CUBIC = 0.044715
# In every floating type Φ(-64) is 0 and Φ(64) is 1. Clipping there changes no value, and keeps
# infinity times zero from coming up, in the values and in what autograd makes of them.
_FAR = 64.0


def evaluate(formula, x, approximate):
    """Check the arguments and hand them to the formula, with the library that computes."""
    if approximate not in _FORMS:
        raise ValueError(f"approximate must be one of {_FORMS}, got {approximate!r}")
    # A tensor can only come from a torch that is imported, if not fully while torch itself loads.
    tensor_type = getattr(sys.modules.get("torch"), "Tensor", ())
    on = _on_tensor if isinstance(x, tensor_type) else _on_array
    return on(formula, x, approximate)


def _on_array(formula, x, approximate):
    """Evaluate in float64, and give the result the dtype that the caller is owed."""
    x = np.asarray(x)
    if x.dtype.kind not in "biuf":
        raise TypeError(f"x must hold real numbers, got an array of dtype {x.dtype}")
    weight, slope = (_cdf, _density) if approximate == "none" else (_sigmoid, _sigmoid_slope)
    kept = np.float32 if x.dtype.type is np.float32 else np.float64
    with np.errstate(under="ignore"):  # the tail underflows to zero, which is its value
        result = formula(np, x.astype(np.float64), weight, slope)
        return result.astype(kept)[()]


def _on_tensor(formula, x, approximate):
    """Evaluate in float32 at least, on the device of the tensor, and give back its dtype."""
    torch = sys.modules["torch"]
    if x.is_complex():
        raise TypeError(f"x must hold real numbers, got a tensor of dtype {x.dtype}")
    if not x.is_floating_point():
        x = x.to(torch.get_default_dtype())
    weight, slope = _tensor_rules(torch, approximate)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return formula(torch, wide, weight, slope).to(x.dtype)


def gelu_value(library, x, weight, _):
    """Evaluate x w(x)."""
    inside = _clipped(library, x)
    return library.where(x > _FAR, x, inside * weight(inside))


def gelu_slope(library, x, weight, slope):
    """Evaluate the derivative of x w(x)."""
    inside = _clipped(library, x)
    return weight(inside) + inside * slope(inside)


def _clipped(library, x):
    """Clip to ±64; unlike that of torch.clip, the gradient at nan is nan."""
    return library.where(abs(x) > _FAR, _FAR * library.sign(x), x)


def _cdf(x):
    """Φ, as accurate on the left as on the right."""
    # Not erfc itself: rounding its argument alone would cost x² units in the last place.
    tail = 0.5 * erfcx(np.abs(x) / sqrt(2)) * _exp_half_square(x)
    return np.where(x < 0, tail, 1 - tail)


def _density(x):
    """φ."""
    return _exp_half_square(x) / sqrt(2 * pi)


def _exp_half_square(x):
    """exp(-x²/2) without the error of a rounded square: 24 bits of x have an exact one."""
    head = x.astype(np.float32).astype(np.float64)
    return np.exp(-0.5 * head * head) * np.exp(-0.5 * (x - head) * (x + head))


def _sigmoid(x):
    """(1 + tanh u) / 2 with u from equation (2)."""
    return expit(_logit(x))


def _sigmoid_slope(x):
    """Differentiate `_sigmoid`."""
    logit = _logit(x)
    # The second factor is 1 minus the first, without cancellation.
    return expit(logit) * expit(-logit) * _logit_slope(x)


def _logit(x):
    """2u with u from equation (2)."""
    return sqrt(8 / pi) * x * (1 + _CUBIC * x * x)


def _logit_slope(x):
    return sqrt(8 / pi) * (1 + 3 * _CUBIC * x * x)


def _tensor_rules(torch, approximate):
    """Weight and its derivative in torch operations, which autograd can follow."""
    if approximate == "none":
        return (
            # torch.special.ndtr is 1 + erf inside, and has no tail.
            lambda x: 0.5 * torch.special.erfc(x * -sqrt(0.5)),
            lambda x: torch.exp(-0.5 * x * x) / sqrt(2 * pi),
        )
    return (
        lambda x: torch.sigmoid(_logit(x)),
        lambda x: torch.sigmoid(_logit(x)) * torch.sigmoid(-_logit(x)) * _logit_slope(x),
    )
