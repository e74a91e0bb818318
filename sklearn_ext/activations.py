"""The Gaussian error linear unit, exact and approximated, for arrays and tensors."""

import sys
from math import pi, sqrt
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import ndtr

__all__ = ["GeluDifference", "gelu", "gelu_derivative", "gelu_max_difference"]

# The tanh form: 0.5 x (1 + tanh(SLOPE (x + CUBIC x^3))).
SLOPE, CUBIC = sqrt(2.0 / pi), 0.044715


class GeluDifference(NamedTuple):
    """Largest difference of both forms of GELU, and where it is (also at minus that x)."""

    value: float
    location: float


def gelu(x, approximate="none"):
    r"""Gaussian error linear unit.

    .. math:: x \Phi(x) \quad\text{or}\quad \tfrac{1}{2} x \left(1 + \tanh\left(\sqrt{2 / \pi}
              (x + 0.044715 x^3)\right)\right)

    with the distribution function Φ of the standard normal distribution [1]_.

    Parameters
    ----------
    x : array-like or torch.Tensor
        Real numbers.
    approximate : {"none", "tanh"}, default="none"
        Which form: the exact one, or the one by a hyperbolic tangent.

    Returns
    -------
    y : ndarray, numpy scalar or torch.Tensor of the shape of x
        In the dtype of x; float64 for integers.

    References
    ----------
    .. [1] D. Hendrycks and K. Gimpel, "Gaussian error linear units (GELUs)", arXiv:1606.08415,
       2016; section 2.

    Examples
    --------
    >>> from sklearn_ext.activations import gelu
    >>> gelu([-1.0, 0.0, 1.0]).round(4)
    array([-0.1587,  0.    ,  0.8413])
    """
    _check_form(approximate)
    if _is_tensor(x):
        return sys.modules["torch"].nn.functional.gelu(x, approximate=approximate)
    x = _real(x)
    # -inf times a share of 0 is a limit of 0.
    finite = np.where(np.isneginf(x), x.dtype.type(0), x)
    share = ndtr(finite) if approximate == "none" else _tanh_share(finite)
    return (finite * share).astype(x.dtype, copy=False)[()]


def gelu_derivative(x, approximate="none"):
    r"""Derivative of the Gaussian error linear unit.

    Of the exact form it is :math:`\Phi(x) + x \varphi(x)` with the normal density φ.

    Parameters
    ----------
    x : array-like or torch.Tensor
        Real numbers.
    approximate : {"none", "tanh"}, default="none"
        Which form.

    Returns
    -------
    slope : ndarray, numpy scalar or torch.Tensor of the shape of x
        In the dtype of x; float64 for integers.

    Examples
    --------
    >>> from sklearn_ext.activations import gelu_derivative
    >>> float(gelu_derivative(0.0))
    0.5
    """
    _check_form(approximate)
    if _is_tensor(x):
        return _tensor_derivative(x, approximate)
    x = _real(x)
    clipped = np.clip(x, -50.0, 50.0)  # beyond it the slope is 0 or 1 to the last digit
    if approximate == "none":
        slope = ndtr(clipped) + clipped * np.exp(-0.5 * clipped**2) / sqrt(2.0 * pi)
    else:
        share = _tanh_share(clipped)
        inner = SLOPE * (1.0 + 3.0 * CUBIC * clipped**2)
        slope = share + 2.0 * clipped * share * (1.0 - share) * inner
    return slope.astype(x.dtype, copy=False)[()]


def gelu_max_difference():
    """Find the largest difference between both forms of GELU over the reals.

    Returns
    -------
    difference : GeluDifference
        4.73e-4 at x = 2.70 and -2.70: the difference is an even function.

    Examples
    --------
    >>> from sklearn_ext.activations import gelu_max_difference
    >>> value, location = gelu_max_difference()
    >>> f"{value:.3e} at {location:.2f}"
    '4.732e-04 at 2.70'
    """

    def negative(x):
        return -abs(float(gelu(x) - gelu(x, approximate="tanh")))

    found = minimize_scalar(negative, bounds=(2.0, 4.0), method="bounded", options={"xatol": 1e-9})
    return GeluDifference(-float(found.fun), float(found.x))


def _tanh_share(x):
    """(1 + tanh z) / 2 as a logistic function of 2 z, which keeps the digits of a small share."""
    z = 2.0 * SLOPE * (x + CUBIC * x**3)
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, small) / (1.0 + small)


def _tensor_derivative(x, approximate):
    torch = sys.modules["torch"]
    clipped = x.clamp(-50.0, 50.0)
    if approximate == "none":
        density = torch.exp(-0.5 * clipped**2) / sqrt(2.0 * pi)
        return torch.special.ndtr(clipped) + clipped * density
    share = torch.sigmoid(2.0 * SLOPE * (clipped + CUBIC * clipped**3))
    inner = SLOPE * (1.0 + 3.0 * CUBIC * clipped**2)
    return share + 2.0 * clipped * share * (1.0 - share) * inner


def _is_tensor(x):
    """Recognise a tensor without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)


def _real(x):
    """Array of float32 or float64."""
    x = np.asarray(x)
    if x.dtype.kind not in "fiub":
        raise TypeError(f"x must hold real numbers, got an array of dtype {x.dtype}.")
    return x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)


def _check_form(approximate):
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate must be 'none' or 'tanh', got {approximate!r}.")
