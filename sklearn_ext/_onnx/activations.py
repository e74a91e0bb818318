"""Activation functions as nodes of a graph."""

from functools import lru_cache
from math import pi, sqrt

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial
from scipy.special import erfcx

__all__ = ["activated"]

ERFC_DEGREE = 26  # enough for all digits of float64


def activated(graph, value, name):
    """Add an activation function.

    Parameters
    ----------
    graph : Graph
        Graph.
    value : str
        Its argument.
    name : {"gelu", "gelu_tanh", "relu", "silu", "tanh", "logistic", "identity"}
        Function.

    Returns
    -------
    value : str
        Of the shape of the argument.
    """
    return _FUNCTIONS[name](graph, value)


def _gelu(graph, x):
    if graph.dtype == np.float32:
        twice = graph.add("Add", graph.add("Erf", graph.add("Mul", x, sqrt(0.5))), 1.0)
    else:
        twice = _erfc(graph, graph.add("Mul", x, -sqrt(0.5)))
    return graph.add("Mul", graph.add("Mul", x, 0.5), twice)


def _erfc(graph, z):
    r"""1 - erf(z) in float64, for which runtimes have no Erf.

    For z >= 0 it is :math:`t \exp(P(t) - z^2)` with t = 2 / (2 + z) and a polynomial P [1]_.

    References
    ----------
    .. [1] W. H. Press, S. A. Teukolsky, W. T. Vetterling and B. P. Flannery, "Numerical Recipes",
       3rd edition, Cambridge, 2007; eq. 6.2.12.
    """
    size = graph.add("Abs", z)
    t = graph.add("Div", 2.0, graph.add("Add", size, 2.0))
    unit = graph.add("Sub", graph.add("Mul", t, 2.0), 1.0)  # from (0, 1] to (-1, 1]
    first, *others = reversed(_erfc_polynomial())
    exponent = graph.add("Mul", unit, first)
    for coefficient in others[:-1]:
        exponent = graph.add("Mul", graph.add("Add", exponent, coefficient), unit)
    exponent = graph.add("Sub", graph.add("Add", exponent, others[-1]), graph.add("Mul", z, z))
    tail = graph.add("Mul", t, graph.add("Exp", exponent))
    return graph.add("Where", graph.add("Less", z, 0.0), graph.add("Sub", 2.0, tail), tail)


@lru_cache(maxsize=1)
def _erfc_polynomial():
    """Coefficients of P in powers of 2 t - 1, by interpolation at Chebyshev points."""

    def exponent(unit):
        t = np.maximum((unit + 1.0) / 2.0, 1e-300)
        return np.log(erfcx(2.0 / t - 2.0) / t)

    return Chebyshev.interpolate(exponent, ERFC_DEGREE).convert(kind=Polynomial).coef


def _gelu_tanh(graph, x):
    cube = graph.add("Mul", graph.add("Mul", x, x), x)
    inner = graph.add("Add", x, graph.add("Mul", cube, 0.044715))
    tanh = graph.add("Tanh", graph.add("Mul", inner, sqrt(2.0 / pi)))
    return graph.add("Mul", graph.add("Mul", x, 0.5), graph.add("Add", tanh, 1.0))


def _silu(graph, x):
    return graph.add("Mul", x, graph.add("Sigmoid", x))


def _identity(graph, x):
    return x


def _one_node(op):
    return lambda graph, x: graph.add(op, x)


_FUNCTIONS = {
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "relu": _one_node("Relu"),
    "silu": _silu,
    "tanh": _one_node("Tanh"),
    "logistic": _one_node("Sigmoid"),
    "identity": _identity,
}
