"""Standard deviations and intervals against the textbook formulas and simulation."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from sklearn.preprocessing import PolynomialFeatures

from sklearn_ext import PolynomialRegressor

PRIMAL = ("cholesky", "qr", "refined")


def sample(n_rows=60, n_targets=None):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(n_rows, 2))
    y = X[:, :1] ** 2 + rng.normal(scale=0.3, size=(n_rows, n_targets or 1))
    return X, y[:, 0] if n_targets is None else y


def ols(X, y, degree, weight=None, fit_intercept=True):
    """Design expansion, noise variance and inverse Gram matrix of the raw monomials."""
    expansion = PolynomialFeatures(degree, include_bias=fit_intercept).fit(X)
    A = expansion.transform(X)
    weight = np.ones(len(X)) if weight is None else weight
    inverse = np.linalg.inv(A.T @ (weight[:, None] * A))
    coef = inverse @ (A.T @ (weight * y.T).T)
    noise = weight @ (y - A @ coef) ** 2 / (weight.sum() - A.shape[1])
    return expansion, noise, inverse


@pytest.mark.parametrize("solver", ["auto", *PRIMAL])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_targets", [None, 2])
def test_std_and_standard_errors_are_those_of_ols(n_targets, weighted, fit_intercept, solver):
    X, y = sample(n_targets=n_targets)
    weight = np.random.default_rng(1).uniform(0.5, 3, size=len(X)) if weighted else None
    model = PolynomialRegressor(3, solver=solver, fit_intercept=fit_intercept)
    model.fit(X, y, sample_weight=weight)
    expansion, noise, inverse = ols(X, y, 3, weight, fit_intercept)
    assert_allclose(model.noise_variance_, noise, rtol=1e-9)
    new = expansion.transform(X[:10])
    spread = 1 + np.sum((new @ inverse) * new, axis=1)
    wanted = np.sqrt(np.multiply.outer(spread, noise))
    assert_allclose(model.predict(X[:10], return_std=True)[1], wanted, rtol=1e-9)
    errors = np.sqrt(np.multiply.outer(noise, np.diag(inverse)))
    first = int(fit_intercept)
    assert_allclose(model.coef_stderr_, errors[..., first:], rtol=1e-8)
    if fit_intercept:
        assert_allclose(model.intercept_stderr_, errors[..., 0], rtol=1e-8)


def test_std_without_penalty_is_the_same_by_the_kernel():
    X, y = sample()
    wanted = PolynomialRegressor(3, solver="qr").fit(X, y).predict(X, return_std=True)[1]
    got = PolynomialRegressor(3, solver="dual").fit(X, y).predict(X, return_std=True)[1]
    assert_allclose(got, wanted, rtol=1e-8)


@pytest.mark.parametrize("solver", ["qr", "cholesky", "dual"])
def test_penalised_std_counts_the_effective_parameters(solver):
    X, y = sample()
    model = PolynomialRegressor(2, alpha=2.0, solver=solver, bounds=(-1, 1)).fit(X, y)
    r3, r5 = np.sqrt(3), np.sqrt(5)
    x0, x1 = X.T
    columns = [x0**0, r3 * x0, r3 * x1, r5 * (1.5 * x0**2 - 0.5), 3 * x0 * x1]
    A = np.column_stack([*columns, r5 * (1.5 * x1**2 - 0.5)])
    inverse = np.linalg.inv(A.T @ A + 2.0 * np.diag([0, 1, 1, 4, 4, 4]))
    residual = y - A @ (inverse @ (A.T @ y))
    noise = residual @ residual / (len(y) - np.trace(A @ inverse @ A.T))
    assert_allclose(model.noise_variance_, noise, rtol=1e-10)
    wanted = np.sqrt(noise * (1 + np.sum((A @ inverse) * A, axis=1)))
    assert_allclose(model.predict(X, return_std=True)[1], wanted, rtol=1e-9)


@pytest.mark.parametrize("confidence_level", [0.5, 0.95, 0.99])
def test_intervals_are_students(confidence_level):
    X, y = sample(15)
    model = PolynomialRegressor(2).fit(X, y)
    mean, std = model.predict(X, return_std=True)
    lower, upper = model.predict_interval(X, confidence_level)
    wanted = stats.t(15 - 6, loc=mean, scale=std).interval(confidence_level)
    assert_allclose((lower, upper), wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("confidence_level", [0.8, 0.95])
@pytest.mark.parametrize("n_rows", [12, 60])
def test_intervals_cover_as_promised(n_rows, confidence_level):
    # Each target is one simulated data set: 1000 draws of noise around one polynomial, and
    # 1000 new observations at each of 5 places.
    rng = np.random.default_rng(n_rows)
    X, new = rng.uniform(-1, 1, size=(n_rows, 2)), rng.uniform(-0.9, 0.9, size=(5, 2))

    def observe(rows):
        truth = 1 + rows[:, 0] - 2 * rows[:, 0] * rows[:, 1] + rows[:, 1] ** 2
        return truth[:, None] + rng.normal(scale=0.7, size=(len(rows), 1000))

    model = PolynomialRegressor(2, bounds=(-1, 1)).fit(X, observe(X))
    lower, upper = model.predict_interval(new, confidence_level)
    observed = observe(new)
    coverage = np.mean((lower <= observed) & (observed <= upper))
    assert abs(coverage - confidence_level) <= 0.015


@pytest.mark.parametrize("confidence_level", [0, 1, -0.5, 95])
def test_confidence_must_be_a_probability(confidence_level):
    X, y = sample()
    model = PolynomialRegressor(2).fit(X, y)
    with pytest.raises(ValueError, match=r"confidence_level must be in \(0, 1\)"):
        model.predict_interval(X, confidence_level)


@pytest.mark.parametrize("solver", PRIMAL)
def test_no_freedom_is_an_error_that_says_so(solver):
    X, y = sample(6)
    model = PolynomialRegressor(2, solver=solver).fit(X, y)
    assert np.isnan(model.noise_variance_)
    with pytest.raises(ValueError, match="return_std needs residual degrees of freedom"):
        model.predict(X, return_std=True)


def test_noise_variance_estimates_the_noise():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(50, 1))
    Y = X**3 + rng.normal(scale=0.5, size=(50, 1000))
    model = PolynomialRegressor(3).fit(X, Y)
    assert_allclose(np.mean(model.noise_variance_), 0.25, rtol=0.02)
    wanted = np.std(model.coef_, axis=0)
    assert_allclose(np.sqrt(np.mean(model.coef_stderr_**2, axis=0)), wanted, rtol=0.06)
