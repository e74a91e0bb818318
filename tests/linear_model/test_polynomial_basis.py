"""Bases against scipy's orthogonal polynomials, quadrature and exact fractions."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.polynomial import Polynomial
from numpy.testing import assert_allclose
from scipy.special import eval_chebyt, eval_legendre

from sklearn_ext.linear_model._basis_change import change_of_basis
from sklearn_ext.linear_model._degree_reduction import reduce_degree
from sklearn_ext.linear_model._extended_basis import (
    evaluate_extended,
    monomial_matrix,
    univariate_monomials,
)
from sklearn_ext.linear_model._index_sets import downward_closure, hyperbolic_powers
from sklearn_ext.linear_model._polynomial_basis import (
    evaluate,
    make_basis,
    mapped_columns,
    univariate_values,
)
from sklearn_ext.linear_model._recurrences import empirical_recurrence

FAMILIES = ("legendre", "chebyshev", "monomial")
BOUNDS = np.array([[-1.0, 2.0, 0.0], [1.0, 5.0, 100.0]])


def rows_within(bounds, n_rows=40, seed=0):
    return np.random.default_rng(seed).uniform(*bounds, size=(n_rows, bounds.shape[1]))


def values_of(basis, X):
    return evaluate(basis, mapped_columns(basis, X))


def reference_values(family, k, z):
    """Values of p_k by scipy, orthonormal for the family's own measure."""
    if family == "legendre":
        return np.sqrt(2 * k + 1) * eval_legendre(k, z)
    if family == "chebyshev":
        return (np.sqrt(2.0) if k else 1.0) * eval_chebyt(k, z)
    return z**k


@pytest.mark.parametrize("family", FAMILIES)
def test_columns_are_scipys_polynomials(family):
    basis = make_basis(family, BOUNDS, hyperbolic_powers(3, 9))
    X = rows_within(BOUNDS)
    z = 2 * (X - BOUNDS[0]) / (BOUNDS[1] - BOUNDS[0]) - 1
    values = univariate_values(basis, mapped_columns(basis, X))
    for k in range(1, 10):
        assert_allclose(values[k - 1], reference_values(family, k, z).T, atol=2e-13)


@pytest.mark.parametrize("family", FAMILIES)
def test_terms_are_products_of_columns(family):
    powers = hyperbolic_powers(3, 4)
    basis = make_basis(family, BOUNDS, powers)
    X = rows_within(BOUNDS)
    z = mapped_columns(basis, X)
    wanted = [
        np.prod([reference_values(family, int(k), z[j]) for j, k in enumerate(row)], axis=0)
        for row in powers
    ]
    assert_allclose(values_of(basis, X), wanted, atol=1e-12)


@pytest.mark.parametrize("family", ["legendre", "chebyshev"])
def test_classical_terms_are_orthonormal_on_the_box(family):
    nodes, weights = np.polynomial.legendre.leggauss(12)
    if family == "chebyshev":
        nodes, weights = np.polynomial.chebyshev.chebgauss(12)
    grid = np.array([(a, b) for a in nodes for b in nodes])
    measure = np.outer(weights, weights).ravel() / weights.sum() ** 2
    bounds = np.array([[-3.0, 10.0], [7.0, 11.0]])
    X = bounds[0] + (grid + 1) / 2 * (bounds[1] - bounds[0])
    values = values_of(make_basis(family, bounds, hyperbolic_powers(2, 6)), X)
    assert_allclose((values * measure) @ values.T, np.eye(len(values)), atol=1e-12)


def test_the_root_of_weights_scales_every_term():
    basis = make_basis("legendre", BOUNDS, hyperbolic_powers(3, 3))
    z = mapped_columns(basis, rows_within(BOUNDS))
    root = np.random.default_rng(1).uniform(0, 2, size=z.shape[1])
    assert_allclose(evaluate(basis, z, root), root * evaluate(basis, z), rtol=1e-14)


def test_evaluate_writes_where_it_is_told():
    basis = make_basis("legendre", BOUNDS, hyperbolic_powers(3, 2))
    z = mapped_columns(basis, rows_within(BOUNDS))
    out = np.full((basis.n_columns, z.shape[1]), np.nan)
    assert evaluate(basis, z, out=out) is out
    np.testing.assert_array_equal(out, evaluate(basis, z))


def test_a_constant_column_is_mapped_to_zero():
    bounds = np.array([[7.0], [7.0]])
    basis = make_basis("legendre", bounds, hyperbolic_powers(1, 2))
    np.testing.assert_array_equal(mapped_columns(basis, np.full((3, 1), 7.0)), np.zeros((1, 3)))


@pytest.mark.parametrize("family", FAMILIES)
def test_without_intercept_terms_vanish_where_their_columns_do(family):
    powers = hyperbolic_powers(3, 4)
    basis = make_basis(family, BOUNDS, powers, fit_intercept=False)
    X = rows_within(BOUNDS)
    X[:, 1] = 0.0
    values = values_of(basis, X)
    assert_allclose(values[powers[:, 1] > 0], 0.0, atol=1e-12)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_raw_coefficients_of_columns_are_those_of_numpy_polynomials(family, fit_intercept):
    bounds = np.array([[-2.0], [3.0]])
    basis = make_basis(family, bounds, hyperbolic_powers(1, 6), fit_intercept=fit_intercept)
    # The same recurrence with numpy's polynomials in place of numbers.
    z = (Polynomial([0, 1]) - basis.center[0]) * basis.scale[0]
    before, now = Polynomial([0.0]), Polynomial([1.0])
    table = univariate_monomials(basis)[0][0]
    for k in range(6):
        slope, shift, back = basis.recurrence[:, 0, k]
        before, now = now, (slope * z + shift) * now - back * before
        assert_allclose(table[k + 1, : k + 2], now.coef, atol=1e-12 * np.abs(now.coef).max())


@pytest.mark.parametrize("family", FAMILIES)
def test_monomial_matrix_rewrites_a_polynomial(family):
    powers = hyperbolic_powers(3, 4, 0.75)
    basis = make_basis(family, np.array([[-1.0, 0.5, -2.0], [1.5, 2.0, 2.0]]), powers)
    monomials = downward_closure(powers)
    rows, columns, (high, low) = monomial_matrix(basis, monomials)
    matrix = np.zeros((len(monomials), len(powers)))
    np.add.at(matrix, (rows, columns), high + low)
    X = rows_within(np.array([[-1.0, 0.5, -2.0], [1.5, 2.0, 2.0]]))
    raw = np.prod(X[:, None, :] ** monomials.astype(float), axis=2)
    assert_allclose(raw @ matrix, values_of(basis, X).T, atol=1e-11)


@pytest.mark.parametrize("new_family", FAMILIES)
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_change_of_basis_gives_the_new_terms(new_family, fit_intercept):
    powers = hyperbolic_powers(3, 5, 0.75)
    wider = np.array([[-2.0, 1.0, -50.0], [1.0, 5.5, 300.0]])
    old = make_basis("legendre", BOUNDS, powers, fit_intercept=fit_intercept)
    new = make_basis(new_family, wider, powers, fit_intercept=fit_intercept)
    change = change_of_basis(old, new, has_constant=fit_intercept)
    X = rows_within(BOUNDS)
    assert_allclose(change @ values_of(old, X), values_of(new, X), atol=1e-11)


def test_change_of_basis_from_a_constant_column():
    powers = hyperbolic_powers(2, 3)
    old = make_basis("legendre", np.array([[-1.0, 4.0], [1.0, 4.0]]), powers)
    new = make_basis("legendre", np.array([[-1.0, 0.0], [1.0, 10.0]]), powers)
    change = change_of_basis(old, new, constant=np.array([False, True]))
    X = np.column_stack([np.linspace(-1, 1, 9), np.full(9, 4.0)])
    assert_allclose(change @ values_of(old, X), values_of(new, X), atol=1e-12)


@pytest.mark.parametrize("truncation", [1.0, 0.5])
@pytest.mark.parametrize("degree", [1, 2, 3, 6])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_reduced_form_has_the_same_values(family, fit_intercept, degree, truncation):
    powers = hyperbolic_powers(3, degree, truncation)
    basis = make_basis(family, BOUNDS, powers, fit_intercept=fit_intercept)
    coefficients = np.random.default_rng(0).normal(size=(len(powers), 2))
    z = mapped_columns(basis, rows_within(BOUNDS))
    reduced = reduce_degree(basis, coefficients)
    assert_allclose(reduced(z), coefficients.T @ evaluate(basis, z), atol=1e-11)
    assert degree == 1 or reduced.basis.n_columns < basis.n_columns


def test_the_reduced_form_of_a_constant():
    basis = make_basis("legendre", BOUNDS, np.zeros((1, 3), dtype=np.uint8))
    reduced = reduce_degree(basis, np.array([[2.5]]))
    np.testing.assert_array_equal(reduced(np.zeros((3, 4))), np.full((1, 4), 2.5))


@pytest.mark.parametrize("weighted", [False, True])
def test_empirical_polynomials_are_orthonormal_on_the_data(weighted):
    rng = np.random.default_rng(0)
    X = rng.lognormal(size=(500, 2))
    weight = rng.uniform(0.1, 3, size=500) if weighted else np.ones(500)
    z = (2 * (X - X.min(axis=0)) / np.ptp(X, axis=0) - 1).T
    slope, shift, back = empirical_recurrence(z.T, weight, 6)
    for column in range(2):
        values = [np.ones(500)]
        for k in range(6):
            grown = (slope[column, k] * z[column] + shift[column, k]) * values[k]
            values.append(grown - (back[column, k] * values[k - 1] if k else 0.0))
        values = np.array(values)
        assert_allclose((values * weight / weight.sum()) @ values.T, np.eye(7), atol=1e-8)


def test_the_first_empirical_polynomial_is_the_standardised_column():
    z = np.random.default_rng(1).lognormal(size=(300, 2))
    slope, shift, _ = empirical_recurrence(z, np.ones(300), 3)
    wanted = (z - z.mean(axis=0)) / z.std(axis=0)
    assert_allclose(slope[:, 0] * z + shift[:, 0], wanted, atol=1e-12)


def test_a_column_of_few_values_has_few_empirical_polynomials():
    z = np.array([[-1.0], [0.0], [1.0], [1.0]])
    recurrence = empirical_recurrence(z, np.ones(4), 5)
    assert recurrence[0, 0, :2].all()
    assert not recurrence[:, 0, 2:].any()


@pytest.mark.parametrize("family", FAMILIES)
def test_extended_values_hold_25_digits(family):
    bounds = np.array([[-1.3, 2.1], [0.7, 9.9]])
    powers = hyperbolic_powers(2, 7)
    basis = make_basis(family, bounds, powers)
    X = rows_within(bounds, n_rows=4)
    high, low = evaluate_extended(basis, X)
    for i, row in enumerate(X.tolist()):
        columns = [_exact_columns(basis, j, Fraction(x), 7) for j, x in enumerate(row)]
        for term, (a, b) in enumerate(powers.tolist()):
            wanted = columns[0][a] * columns[1][b]
            got = Fraction(float(high[term, i])) + Fraction(float(low[term, i]))
            assert abs(got - wanted) <= Fraction(1, 10**25) * max(1, abs(wanted))


def _exact_columns(basis, feature, x, degree):
    """p_0 .. p_degree of a column in exact arithmetic over the stored coefficients."""
    z = (x - Fraction(basis.center[feature])) * Fraction(basis.scale[feature])
    values = [Fraction(1)]
    for k in range(degree):
        slope, shift, back = (Fraction(c) for c in basis.recurrence[:, feature, k].tolist())
        before = values[k - 1] if k else Fraction(0)
        values.append((slope * z + shift) * values[k] - back * before)
    return values
