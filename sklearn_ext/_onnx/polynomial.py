"""A polynomial in an orthogonal basis as a graph; raw monomials never occur, so digits are kept."""

import numpy as np

__all__ = ["add_kernel", "add_polynomial"]


def add_polynomial(graph, X, basis, coefficients):
    """Evaluate a polynomial.

    Parameters
    ----------
    graph : Graph
        Graph that computes in float64.
    X : str
        Rows, (n, n_features).
    basis : PolynomialBasis
        Maps and recurrences of the columns, and multi-indices.
    coefficients : ndarray of shape (n_terms + 1, n_outputs)
        Of the products that the multi-indices stand for.

    Returns
    -------
    values : str
        (n, n_outputs).
    """
    z = graph.add("Mul", graph.add("Sub", X, basis.center), basis.scale)
    used = coefficients.any(axis=1)
    powers = basis.powers[used].astype(np.int64)
    one = graph.add("Add", graph.add("Mul", graph.take(z, [0]), 0.0), 1.0)  # (n, 1)
    if not powers.any():
        return graph.add("MatMul", one, coefficients[used].sum(axis=0, keepdims=True))
    factors = graph.joined([one, *_univariate(graph, z, basis, int(powers.max()))], axis=1)
    return graph.add("MatMul", _products(graph, factors, powers), coefficients[used])


def add_kernel(graph, X, basis, fitted, degree, coefficients, intercept):
    r"""Evaluate a polynomial of total degree 3 at most in kernel form, its terms never listed.

    As :mod:`sklearn_ext.linear_model._polynomial_kernel` does, from sums over the columns.

    Parameters
    ----------
    graph : Graph
        Graph that computes in float64.
    X : str
        Rows, (n, n_features).
    basis : PolynomialBasis
        Maps and recurrences of the columns.
    fitted : list of ndarray of shape (n_features, n_fit)
        p_1, p_2, ... of the fitted rows, each divided by its part of the penalty; p_1 only where
        columns occur to the first power only.
    degree : int
        Total degree.
    coefficients : ndarray of shape (n_fit, n_outputs)
        Coefficients of the kernel with each fitted row.
    intercept : ndarray of shape (n_outputs,)
        Constant.

    Returns
    -------
    values : str
        (n, n_outputs).
    """
    z = graph.add("Mul", graph.add("Sub", X, basis.center), basis.scale)
    kernel = _kernel(graph, _univariate(graph, z, basis, len(fitted)), fitted, degree)
    return graph.add("Add", graph.add("MatMul", kernel, coefficients), intercept)


def _kernel(graph, values, fitted, degree):
    """Sum of all terms' products, (n, n_fit), from sums over the columns."""

    def summed(weight, *powers):
        """Sum over the columns of the product of p_k of both sides, for all k in `powers`."""
        first, second = values[powers[0] - 1], fitted[powers[0] - 1]
        for power in powers[1:]:
            first = graph.add("Mul", first, values[power - 1])
            second = second * fitted[power - 1]
        return graph.add("MatMul", first, weight * second)

    one = kernel = summed(1.0, 1)
    squared = len(fitted) > 1
    if degree > 1:
        two = summed(-0.5, 1, 1)
        two = graph.add("Sum", two, summed(1.0, 2)) if squared else two
        square = graph.add("Mul", one, one)
        kernel = graph.add("Sum", one, two, graph.add("Mul", square, 0.5))
    if degree > 2:
        three = summed(1.0 / 3.0, 1, 1, 1)
        three = graph.add("Sum", three, summed(1.0, 3), summed(-1.0, 1, 2)) if squared else three
        cube = graph.add("Mul", graph.add("Mul", square, one), 1.0 / 6.0)
        kernel = graph.add("Sum", kernel, three, graph.add("Mul", one, two), cube)
    return kernel


def _univariate(graph, z, basis, degree):
    """List p_1 .. p_degree of all columns, each (n, n_features)."""
    inside = graph.add("Clip", z, -1.0, 1.0) if basis.continued else z
    slope, shift, back = np.moveaxis(basis.recurrence, 2, 1)  # each (degree, n_features)
    factors = [_affine(graph, inside, slope[k], shift[k]) for k in range(degree)]
    values = []
    for k, factor in enumerate(factors):
        values.append(_next(graph, factor, values, back[k]))
    if not basis.continued:
        return values
    beyond, slopes = graph.add("Sub", z, inside), []
    for k, factor in enumerate(factors):
        slopes.append(_next_slope(graph, factor, values, slopes, slope[k], back[k]))
    return [
        graph.add("Add", value, graph.add("Mul", tangent, beyond))
        for value, tangent in zip(values, slopes, strict=True)
    ]


def _affine(graph, z, slope, shift):
    scaled = graph.add("Mul", z, slope)
    return graph.add("Add", scaled, shift) if shift.any() else scaled


def _next(graph, factor, values, back):
    """p_{k + 1} = (A z + B) p_k - C p_{k - 1}, with p_0 = 1 in front of `values`."""
    if not values:
        return factor
    grown = graph.add("Mul", factor, values[-1])
    before = graph.add("Mul", values[-2], back) if len(values) > 1 else back
    return graph.add("Sub", grown, before)


def _next_slope(graph, factor, values, slopes, slope, back):
    """p_{k + 1}' = (A z + B) p_k' + A p_k - C p_{k - 1}', with p_0' = 0 in front of `slopes`."""
    k = len(slopes)
    if k == 0:
        return graph.add("Expand", slope, graph.add("Shape", factor))
    grown = graph.add("Mul", values[k - 1], slope)
    grown = graph.add("Add", grown, graph.add("Mul", factor, slopes[-1]))
    if k == 1:
        return grown
    return graph.add("Sub", grown, graph.add("Mul", slopes[-2], back))


def _products(graph, factors, powers):
    """Product of the factors of each term, (n, n_terms): one gather for each factor in turn."""
    terms = None
    for chosen in _factor_positions(powers):
        gathered = graph.take(factors, chosen)
        terms = gathered if terms is None else graph.add("Mul", terms, gathered)
    return terms


def _factor_positions(powers):
    """Columns of the univariate values that the terms are products of, (n_factors, n_terms).

    Terms of fewer factors are filled up with column 0, the constant 1.
    """
    n_terms, n_features = powers.shape
    terms, features = np.nonzero(powers)
    turns = np.arange(len(terms)) - np.searchsorted(terms, terms)
    positions = np.zeros((turns.max() + 1, n_terms), dtype=np.int64)
    positions[turns, terms] = 1 + (powers[terms, features] - 1) * n_features + features
    return positions
