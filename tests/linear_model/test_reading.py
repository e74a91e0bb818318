"""What a fitted model tells: sensitivity indices, warnings of rank and of extrapolation."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array

from sklearn_ext import PolynomialRegressor
from sklearn_ext.exceptions import ExtrapolationWarning, RankWarning

UNIT = {"bounds": (-1, 1)}


def polynomial_sample(n_rows=60, seed=0):
    """y = 5 + x0 + 2 x1 + 3 x0 x1: for uniform columns the variances are 1/3, 4/3 and 1."""
    X = np.random.default_rng(seed).uniform(-1, 1, size=(n_rows, 3))
    return X, 5 + X[:, 0] + 2 * X[:, 1] + 3 * X[:, 0] * X[:, 1]


@pytest.mark.parametrize("solver", ["qr", "cholesky", "refined", "dual"])
@pytest.mark.parametrize("basis", ["legendre", "chebyshev", "monomial"])
def test_sobol_indices_of_a_known_polynomial(basis, solver):
    X, y = polynomial_sample()
    indices = PolynomialRegressor(3, basis=basis, solver=solver, **UNIT).fit(X, y).sobol_indices_
    assert_allclose(indices.first_order, [1 / 8, 4 / 8, 0], atol=1e-10)
    assert_allclose(indices.total_order, [4 / 8, 7 / 8, 0], atol=1e-10)


def test_sobol_indices_are_for_uniform_columns_on_the_bounds():
    # y = x^2 + z with x in [0, 2], z in [-1, 1]: variances 64/45 and 1/3.
    rng = np.random.default_rng(0)
    X = rng.uniform([0, -1], [2, 1], size=(40, 2))
    model = PolynomialRegressor(2, bounds=[(0, 2), (-1, 1)]).fit(X, X[:, 0] ** 2 + X[:, 1])
    share = (64 / 45) / (64 / 45 + 1 / 3)
    assert_allclose(model.sobol_indices_.first_order, [share, 1 - share], atol=1e-12)
    assert_allclose(model.sobol_indices_.total_order, [share, 1 - share], atol=1e-12)


def test_sobol_indices_without_intercept():
    X, y = polynomial_sample()
    model = PolynomialRegressor(2, fit_intercept=False, **UNIT).fit(X, y - 5)
    assert_allclose(model.sobol_indices_.first_order, [1 / 8, 4 / 8, 0], atol=1e-10)


def test_sobol_indices_of_the_ishigami_function():
    rng = np.random.default_rng(0)
    X = rng.uniform(-np.pi, np.pi, size=(2000, 3))
    y = np.sin(X[:, 0]) + 7 * np.sin(X[:, 1]) ** 2 + 0.1 * X[:, 2] ** 4 * np.sin(X[:, 0])
    model = PolynomialRegressor(12, bounds=(-np.pi, np.pi), truncation=0.75).fit(X, y)
    half = 0.5 * (1 + 0.1 * np.pi**4 / 5) ** 2
    shared = 8 * 0.01 * np.pi**8 / 225
    total = half + 49 / 8 + shared
    assert_allclose(
        model.sobol_indices_.first_order, np.array([half, 49 / 8, 0]) / total, atol=5e-3
    )
    wanted = np.array([half + shared, 49 / 8, shared]) / total
    assert_allclose(model.sobol_indices_.total_order, wanted, atol=5e-3)


def test_sobol_indices_of_several_targets():
    X, y = polynomial_sample()
    both = PolynomialRegressor(2, **UNIT).fit(X, np.column_stack([y, X[:, 2]])).sobol_indices_
    assert both.first_order.shape == both.total_order.shape == (2, 3)
    assert_allclose(both.first_order, [[1 / 8, 4 / 8, 0], [0, 0, 1]], atol=1e-10)


def test_basis_coefficients_are_shares_of_variance():
    X, y = polynomial_sample()
    model = PolynomialRegressor(2, **UNIT).fit(X, y)
    assert_allclose(np.sum(model.basis_coef_**2), 8 / 3, rtol=1e-12)


def test_extrapolation_is_warned_of_once_beyond_ten_percent():
    X = np.linspace(0, 10, 30)[:, None]
    model = PolynomialRegressor(2).fit(X, X[:, 0])
    with pytest.warns(ExtrapolationWarning, match="first in column 0") as caught:
        model.predict(np.array([[11.01], [12.0], [-5.0]]))
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_no_warning_within_ten_percent():
    X = np.linspace(0, 10, 30)[:, None]
    model = PolynomialRegressor(2).fit(X, X[:, 0])
    assert_allclose(model.predict(np.array([[10.99], [-0.99]])), [10.99, -0.99], atol=1e-10)


def test_extrapolation_of_a_later_column_and_by_every_method():
    X = np.random.default_rng(0).uniform(size=(40, 3))
    model = PolynomialRegressor(2).fit(X, X.sum(axis=1) + 0.1 * np.sin(50 * X[:, 0]))
    far = np.array([[0.5, 0.5, 7.0]])
    for ask in (
        lambda: model.predict(far, return_std=True),
        lambda: model.predict_interval(far),
        lambda: model.score(np.repeat(far, 2, axis=0), [0.0, 1.0]),
        lambda: model.predict(csr_array(far)),
    ):
        with pytest.warns(ExtrapolationWarning, match="first in column 2") as caught:
            ask()
        assert len(caught) == 1


def test_training_rows_never_extrapolate():
    X = np.random.default_rng(0).normal(size=(40, 3))
    X[:, 1] = 3.0
    with pytest.warns(RankWarning):
        model = PolynomialRegressor(2).fit(X, X[:, 0])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.predict(X)
    assert not caught


def test_many_dependent_terms_are_counted_not_listed():
    X = np.random.default_rng(0).uniform(size=(60, 4))
    X[:, 1:] = X[:, :1]
    with pytest.warns(RankWarning, match=r"determine 3 of 34 terms.* and 23 more\.") as caught:
        PolynomialRegressor(3).fit(X, X[:, 0])
    assert len(caught) == 1


@pytest.mark.parametrize("solver", ["qr", "cholesky", "refined"])
def test_few_distinct_values_lower_the_rank(solver):
    X = np.tile([0.0, 1.0, 2.0], 10)[:, None]
    with pytest.warns(RankWarning, match="determine 2 of 4 terms"):
        model = PolynomialRegressor(4, solver=solver).fit(X, X[:, 0] ** 2)
    assert model.rank_ == 2
    assert_allclose(model.predict(X), X[:, 0] ** 2, atol=1e-10)


def test_a_penalty_determines_every_term():
    X = np.tile([0.0, 1.0, 2.0], 10)[:, None]
    model = PolynomialRegressor(4, alpha=1e-3).fit(X, X[:, 0] ** 2)
    assert model.rank_ == model.n_terms_ == 4
