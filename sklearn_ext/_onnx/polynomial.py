"""A polynomial in an orthogonal basis as a graph; raw monomials never occur, so digits are kept."""

import numpy as np

__all__ = ["add_polynomial"]


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
    if not powers.any():  # a constant
        nothing = graph.add("Mul", graph.take(z, [0]), 0.0)
        return graph.add("Add", nothing, coefficients[used].sum(axis=0))
    factors = _univariate(graph, z, basis, int(powers.max()))
    terms = _products(graph, factors, powers)
    return graph.add("MatMul", terms, coefficients[used])


def _univariate(graph, z, basis, degree):
    """Constant 1 and p_1 .. p_degree of all columns side by side, (n, 1 + degree * n_features)."""
    inside = graph.add("Clip", z, -1.0, 1.0) if basis.continued else z
    slope, shift, back = np.moveaxis(basis.recurrence, 2, 1)  # each (degree, n_features)
    values, slopes = [graph.add("Add", graph.add("Mul", inside, 0.0), 1.0)], [None]
    for k in range(degree):
        factor = _affine(graph, inside, slope[k], shift[k])
        values.append(_next(graph, factor, values, back[k]))
        if basis.continued:
            slopes.append(_next_slope(graph, factor, values[k], slopes, slope[k], back[k]))
    one = graph.take(values[0], [0])
    if basis.continued:
        beyond = graph.add("Sub", z, inside)
        values[1:] = [
            graph.add("Add", value, graph.add("Mul", tangent, beyond))
            for value, tangent in zip(values[1:], slopes[1:], strict=True)
        ]
    return graph.joined([one, *values[1:]], axis=1)


def _affine(graph, z, slope, shift):
    scaled = graph.add("Mul", z, slope)
    return graph.add("Add", scaled, shift) if shift.any() else scaled


def _next(graph, factor, values, back):
    """(A z + B) p_k - C p_{k - 1}."""
    grown = graph.add("Mul", factor, values[-1])
    if len(values) == 1 or not back.any():
        return grown
    return graph.add("Sub", grown, graph.add("Mul", values[-2], back))


def _next_slope(graph, factor, value, slopes, slope, back):
    """Derivative of the next polynomial: (A z + B) p_k' + A p_k - C p_{k - 1}'."""
    grown = graph.add("Mul", value, slope)
    if slopes[-1] is not None:
        grown = graph.add("Add", grown, graph.add("Mul", factor, slopes[-1]))
    if len(slopes) > 1 and slopes[-2] is not None:
        grown = graph.add("Sub", grown, graph.add("Mul", slopes[-2], back))
    return grown


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
