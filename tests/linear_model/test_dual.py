"""The kernel form is the primal form, and reaches where that cannot."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array

from sklearn_ext import PolynomialRegressor
from sklearn_ext.exceptions import RankWarning

BASES = ("legendre", "chebyshev", "monomial")


def sample(n_rows=50, n_features=3, n_targets=None):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(n_rows, n_features))
    return X, rng.normal(size=n_rows if n_targets is None else (n_rows, n_targets))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("settings", [{}, {"truncation": 0.5}, {"interaction_only": True}])
@pytest.mark.parametrize("degree", [3, 4])
def test_dual_is_primal(degree, settings, basis, fit_intercept, weighted):
    X, y = sample(n_targets=2)
    weight = np.random.default_rng(1).uniform(0.1, 3, size=len(y)) if weighted else None
    settings = {"alpha": 0.2, "basis": basis, "fit_intercept": fit_intercept, **settings}
    primal, dual = (
        PolynomialRegressor(degree, solver=solver, **settings).fit(X, y, sample_weight=weight)
        for solver in ("qr", "dual")
    )
    for got, wanted in zip(
        dual.predict(X, return_std=True), primal.predict(X, return_std=True), strict=True
    ):
        assert_allclose(got, wanted, atol=1e-9)
    assert_allclose(dual.coef_, primal.coef_, atol=1e-8)
    assert_allclose(dual.intercept_, primal.intercept_, atol=1e-8)
    assert_allclose(dual.basis_coef_, primal.basis_coef_, atol=1e-9)
    assert_allclose(dual.noise_variance_, primal.noise_variance_, rtol=1e-9)
    assert_allclose(dual.loo_score_, primal.loo_score_, atol=1e-9)
    assert dual.n_terms_ == primal.n_terms_


def test_the_std_of_new_rows_is_that_of_the_primal():
    X, y = sample(80)
    new = np.random.default_rng(5).uniform(-1.1, 1.1, size=(30, 3))
    settings = {"alpha": 1e-3, "bounds": (-1.1, 1.1)}
    wanted = PolynomialRegressor(3, solver="qr", **settings).fit(X, y).predict(new, True)
    got = PolynomialRegressor(3, solver="dual", **settings).fit(X, y).predict(new, True)
    assert_allclose(got, wanted, rtol=1e-7, atol=1e-9)


def test_without_penalty_it_interpolates_with_the_smallest_penalised_norm():
    X, y = sample(10)
    with pytest.warns(RankWarning, match="determine 9 of 19 terms"):
        model = PolynomialRegressor(3).fit(X, y)
    assert model.solver_ == "dual"
    assert_allclose(model.predict(X), y, atol=1e-10)
    # The limit of a vanishing penalty.
    limit = PolynomialRegressor(3, alpha=1e-9, solver="dual").fit(X, y)
    new = X[:5] * 0.5
    assert_allclose(model.predict(new), limit.predict(new), atol=1e-6)


def test_an_interpolating_model_leaves_no_noise_to_estimate():
    X, y = sample(10)
    with pytest.warns(RankWarning):
        model = PolynomialRegressor(3).fit(X, y)
    assert np.isnan(model.noise_variance_)
    with pytest.raises(ValueError, match="return_std needs residual degrees of freedom"):
        model.predict(X, return_std=True)


def test_a_thousand_columns_at_degree_three():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(500, 1000))
    y = X[:, :5].sum(axis=1) + X[:, 0] * X[:, 1]
    with pytest.warns(RankWarning, match="determine 499 of 167668500 terms"):
        model = PolynomialRegressor(3).fit(X, y)
    assert model.solver_ == "dual"
    assert model.n_terms_ == 1003 * 1002 * 1001 // 6 - 1
    assert_allclose(model.predict(X), y, atol=1e-8)
    assert not hasattr(model, "coef_")
    for name in ("coef_", "powers_", "intercept_", "basis_coef_", "sobol_indices_"):
        with pytest.raises(AttributeError, match=r"kernel solver fitted 167,668,500 terms"):
            getattr(model, name)


def test_a_thousand_sparse_columns():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(200, 1000))
    X = csr_array(np.where(X < 0.02, 50 * X, 0.0))
    y = rng.normal(size=200)
    model = PolynomialRegressor(2, alpha=0.1).fit(X, y)
    dense = PolynomialRegressor(2, alpha=0.1, basis="monomial", bounds=_symmetric(X))
    assert_allclose(model.predict(X), dense.fit(X.toarray(), y).predict(X.toarray()), atol=1e-9)


def _symmetric(X):
    largest = abs(X).max(axis=0).toarray().ravel()
    largest[largest == 0] = 1.0
    return np.stack([-largest, largest], axis=1)


def test_standard_errors_are_absent_and_say_why():
    X, y = sample()
    model = PolynomialRegressor(3, alpha=0.1, solver="dual").fit(X, y)
    assert not hasattr(model, "coef_stderr_")
    with pytest.raises(AttributeError, match="solver other than 'dual'"):
        model.intercept_stderr_  # noqa: B018


def test_equal_rows_do_not_hurt():
    X, y = sample(12)
    X, y = np.concatenate([X, X]), np.concatenate([y, y + 1])
    with pytest.warns(RankWarning, match="determine 11 of 19 terms"):
        model = PolynomialRegressor(3, solver="dual").fit(X, y)
    assert_allclose(model.predict(X[:12]), y[:12] + 0.5, atol=1e-8)
