"""The Gaussian error linear unit, its derivative, and what its cheaper form gives away.

NumPy arrays and PyTorch tensors are both taken; torch is never imported here, since whoever
has a tensor has imported it already.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from sklearn_ext._gelu_formulas import evaluate, gelu_slope, gelu_value

__all__ = ["gelu", "gelu_derivative", "gelu_max_difference"]


class GeluDifference(NamedTuple):
    """Largest distance between the two forms of GELU, and the positive x where it is taken."""

    value: float
    location: float


def gelu(x, approximate="none"):
    r"""Gaussian error linear unit, exact or approximated by a hyperbolic tangent.

    Both forms are smooth, tend to 0 on the left and to x on the right, and fall below zero in
    between, to -0.17 at x = -0.7518.

    Parameters
    ----------
    x : array-like or torch.Tensor
        Real numbers, of any shape.
    approximate : {"none", "tanh"}, default="none"
        The form, named as in ``torch.nn.functional.gelu``: "none" is equation (1) below,
        "tanh" is equation (2).

    Returns
    -------
    value : ndarray, numpy scalar or torch.Tensor
        GELU of each element, in the shape of `x`. A tensor gives a tensor of its own dtype on
        its own device, through which gradients flow; a tensor of integers gives torch's
        default dtype. Of anything else float32 stays float32, every other real dtype becomes
        float64, and a number gives a numpy scalar.

    Raises
    ------
    ValueError
        If `approximate` is not one of the names above.
    TypeError
        If `x` does not hold real numbers.

    See Also
    --------
    gelu_derivative : The derivative of both forms.
    gelu_max_difference : How far the two forms are apart.

    Notes
    -----
    With Φ the distribution function of the standard normal law, section 2 of [1]_ defines

    .. math::
       \mathrm{GELU}(x) = x\,\Phi(x)
       = \frac{x}{2}\left[1 + \mathrm{erf}\left(x / \sqrt 2\right)\right] \qquad (1)

    and approximates it by

    .. math::
       \mathrm{GELU}(x) \approx \frac{x}{2}
       \left[1 + \tanh\left(\sqrt{2/\pi}\,(x + 0.044715\,x^3)\right)\right]. \qquad (2)

    Both satisfy gelu(x) - gelu(-x) = x. As they are written, the brackets cancel for negative
    x: in float64 nothing is left of (1) below -8.3. Here (1) is computed from the scaled
    complementary error function, and (2) from (1 + tanh u) / 2 = 1 / (1 + exp(-2u)), so that
    the left tail keeps its relative accuracy until it underflows: for arrays a relative error
    of about 1e-15 in (1). The argument of the exponential is rounded in (2), which costs a
    relative error of about \|x\|³ / 10 rounding units, and in (1) for tensors, where
    ``torch.special.erfc`` computes Φ; there it is about x² rounding units.

    Infinity gives infinity, minus infinity gives 0, nan stays nan.

    References
    ----------
    .. [1] D. Hendrycks and K. Gimpel, "Gaussian error linear units (GELUs)",
       arXiv:1606.08415, 2016.

    Examples
    --------
    >>> from sklearn_ext.activations import gelu
    >>> gelu([-1.0, 0.0, 1.0, 10.0]).round(6)
    array([-0.158655,  0.      ,  0.841345, 10.      ])
    >>> gelu([-1.0, 0.0, 1.0, 10.0], approximate="tanh").round(6)
    array([-0.158808,  0.      ,  0.841192, 10.      ])
    >>> print(f"{gelu(-10):.6e}")
    -7.619853e-23
    """
    return evaluate(gelu_value, x, approximate)


def gelu_derivative(x, approximate="none"):
    r"""Derivative of the Gaussian error linear unit, of its exact or its approximate form.

    It is not confined to [0, 1]: it falls to -0.129 at x = -√2 and rises to 1.129 at √2.

    Parameters
    ----------
    x : array-like or torch.Tensor
        Real numbers, of any shape.
    approximate : {"none", "tanh"}, default="none"
        The form of GELU that is differentiated, as in :func:`gelu`.

    Returns
    -------
    slope : ndarray, numpy scalar or torch.Tensor
        Derivative at each element, in the shape of `x`; its type follows the rules of
        :func:`gelu`.

    Raises
    ------
    ValueError
        If `approximate` is not one of the names above.
    TypeError
        If `x` does not hold real numbers.

    See Also
    --------
    gelu : The function itself.

    Notes
    -----
    With φ the density of the standard normal law and σ the logistic function, the derivatives
    of equations (1) and (2) of :func:`gelu` [1]_ are

    .. math::
       \Phi(x) + x\,\varphi(x) \qquad (3)

    .. math::
       \sigma(v) + x\,\sigma(v)\,\sigma(-v)\,v', \quad
       v = \sqrt{8/\pi}\,(x + 0.044715\,x^3), \quad
       v' = \sqrt{8/\pi}\,(1 + 0.134145\,x^2). \qquad (4)

    Both satisfy the law that the derivatives at x and -x add up to 1. They are 1 at infinity
    and 0 at minus infinity; nan stays nan.

    References
    ----------
    .. [1] D. Hendrycks and K. Gimpel, "Gaussian error linear units (GELUs)",
       arXiv:1606.08415, 2016.

    Examples
    --------
    >>> from sklearn_ext.activations import gelu_derivative
    >>> gelu_derivative([-1.0, 0.0, 1.0, 10.0]).round(6)
    array([-0.083315,  0.5     ,  1.083315,  1.      ])
    >>> gelu_derivative([-1.0, 0.0, 1.0, 10.0], approximate="tanh").round(6)
    array([-0.082964,  0.5     ,  1.082964,  1.      ])
    """
    return evaluate(gelu_slope, x, approximate)


def gelu_max_difference():
    """Largest distance between the two forms of :func:`gelu` over all real numbers.

    It is 4.7324e-4, taken at x = ±2.6989. The difference of the forms is an even function, so
    the place is given as the positive one of the two.

    Returns
    -------
    difference : GeluDifference
        Named tuple.

        value : float
            The largest absolute difference of the exact and the approximate form.
        location : float
            The positive x at which it is taken.

    See Also
    --------
    gelu : The function in both forms, with the reference.

    Notes
    -----
    Every extremum of the difference is a root of the difference of equations (3) and (4) of
    :func:`gelu_derivative`. The roots between -6 and 0 are bracketed on a grid and polished by
    Brent's method. Left of -6 each form is smaller than 1e-8, and the left half line is
    enough, the difference being even; there it also suffers no cancellation.

    Examples
    --------
    >>> from sklearn_ext.activations import gelu_max_difference
    >>> value, location = gelu_max_difference()
    >>> print(f"{value:.6e} at {location:.5f}")
    4.732355e-04 at 2.69894
    """
    places = np.array([brentq(_slope_gap, *bracket, xtol=1e-14) for bracket in _brackets()])
    gaps = np.abs(gelu(places) - gelu(places, "tanh"))
    largest = gaps.argmax()
    return GeluDifference(float(gaps[largest]), float(-places[largest]))


def _slope_gap(x):
    """Derivative of the difference of the two forms."""
    return gelu_derivative(x) - gelu_derivative(x, "tanh")


def _brackets():
    """List the steps of a grid in which the difference of the forms has an extremum."""
    # It ends short of 0, an extremum too, where the forms agree.
    grid = np.linspace(-6.0, -0.125, 48)
    positive = _slope_gap(grid) > 0
    changes = np.flatnonzero(positive[1:] != positive[:-1])
    return [(grid[at], grid[at + 1]) for at in changes]
