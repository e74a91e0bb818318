"""Leave-one-out scores equal brute force, and "auto" takes the best of them."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.preprocessing import MinMaxScaler

from sklearn_ext import PolynomialRegressor
from sklearn_ext.linear_model._index_sets import count_terms, hyperbolic_powers
from sklearn_ext.linear_model._model_choice import candidate_degrees, choose_solver, penalty_grid
from sklearn_ext.linear_model._terms import Terms

SOLVERS = ("cholesky", "qr", "dual", "refined")
BOUNDS = (-1, 1)


def sample(n_rows=40, n_features=2, n_targets=None, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(*BOUNDS, size=(n_rows, n_features))
    X[:2] = np.transpose([BOUNDS])
    signal = np.sin(3 * X[:, 0]) + X[:, -1] ** 2
    if n_targets is None:
        return X, signal + 0.2 * rng.normal(size=n_rows)
    return X, signal[:, None] * np.arange(1, n_targets + 1) + rng.normal(size=(n_rows, n_targets))


def brute_force(model, X, y):
    """Leave-one-out R² by one fit for each row."""
    deleted = cross_val_predict(clone(model), X, y, cv=LeaveOneOut())
    return np.mean(
        1 - np.sum((y - deleted) ** 2, axis=0) / np.sum((y - y.mean(axis=0)) ** 2, axis=0)
    )


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("alpha", [0.0, 0.3])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("n_targets", [None, 2])
def test_loo_score_is_brute_force(n_targets, fit_intercept, alpha, solver):
    X, y = sample(n_targets=n_targets)
    model = PolynomialRegressor(
        3, alpha=alpha, fit_intercept=fit_intercept, solver=solver, bounds=BOUNDS
    )
    assert_allclose(model.fit(X, y).loo_score_, brute_force(model, X, y), atol=1e-8)


@pytest.mark.parametrize("basis", ["chebyshev", "monomial"])
@pytest.mark.parametrize("settings", [{"truncation": 0.5}, {"interaction_only": True}])
def test_loo_score_of_other_bases_and_sets(settings, basis):
    X, y = sample()
    model = PolynomialRegressor(4, alpha=0.1, basis=basis, bounds=BOUNDS, **settings)
    assert_allclose(model.fit(X, y).loo_score_, brute_force(model, X, y), atol=1e-8)


# Without a penalty each of the fits says that it has more terms than rows.
@pytest.mark.filterwarnings("ignore::sklearn_ext.exceptions.RankWarning")
@pytest.mark.parametrize("alpha", [0.0, 1e-3, 1.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_loo_score_of_more_terms_than_rows(fit_intercept, alpha):
    X, y = sample(15, 5)
    model = PolynomialRegressor(3, alpha=alpha, fit_intercept=fit_intercept, bounds=BOUNDS)
    model.fit(X, y)
    assert model.solver_ == "dual"
    assert_allclose(model.loo_score_, brute_force(model, X, y), atol=1e-7)


def test_loo_score_of_sparse_rows():
    X, y = sample(30, 3)
    X[np.abs(X) < 0.4] = 0.0
    model = PolynomialRegressor(2, solver="cholesky").fit(csr_array(X), y)
    # Without a penalty the ranges of the columns play no part.
    wanted = brute_force(PolynomialRegressor(2, bounds=BOUNDS), X, y)
    assert_allclose(model.loo_score_, wanted, atol=1e-8)


def test_loo_score_of_the_empirical_basis():
    # Deleted residuals in exact rational arithmetic: raw powers lose all digits in float64.
    rng = np.random.default_rng(0)
    X = np.repeat([0.0, 1.0], 20)[:, None] + 1e-4 * rng.uniform(size=(40, 1))
    y = np.sin(3 * X[:, 0]) + 0.1 * rng.normal(size=40)
    model = PolynomialRegressor(4).fit(X, y)
    assert model.basis_ == "empirical"
    rows = [[Fraction(x) ** k for k in range(5)] for x in X[:, 0].tolist()]
    errors = exact_deleted_residuals(rows, [Fraction(value) for value in y.tolist()])
    wanted = np.sum(np.square(errors)) / np.sum((y - y.mean()) ** 2)
    assert_allclose(1 - model.loo_score_, wanted, rtol=1e-7)


def exact_deleted_residuals(rows, targets):
    """Residuals of each row under the least-squares solution of all others (exact PRESS)."""
    size = len(rows[0])
    gram = [[sum(r[a] * r[b] for r in rows) for b in range(size)] for a in range(size)]
    system = [row + [Fraction(int(a == b)) for b in range(size)] for a, row in enumerate(gram)]
    for i in range(size):  # Gauss-Jordan: the inverse of the Gram matrix
        system[i] = [value / system[i][i] for value in system[i]]
        for j in (j for j in range(size) if j != i):
            factor = system[j][i]
            system[j] = [a - factor * b for a, b in zip(system[j], system[i], strict=True)]
    inverse = [row[size:] for row in system]
    moments = [sum(r[a] * t for r, t in zip(rows, targets, strict=True)) for a in range(size)]
    errors = []
    for row, target in zip(rows, targets, strict=True):
        moved = [sum(a * b for a, b in zip(line, row, strict=True)) for line in inverse]
        residual = target - sum(a * b for a, b in zip(moved, moments, strict=True))
        leverage = sum(a * b for a, b in zip(moved, row, strict=True))
        errors.append(float(residual / (1 - leverage)))
    return errors


def test_a_row_that_stands_alone_has_no_loo_score():
    X = np.array([[0.0], [0.0], [0.0], [1.0]])
    model = PolynomialRegressor(1).fit(X, [1.0, 2.0, 3.0, 4.0])
    assert model.loo_score_ == -np.inf


@pytest.mark.parametrize("solver", ["auto", *SOLVERS])
def test_degree_auto_takes_the_best_loo_score(solver):
    X, y = sample(60)
    settings = {"solver": solver, "bounds": BOUNDS}
    scores = [
        PolynomialRegressor(degree, **settings).fit(X, y).loo_score_ for degree in range(1, 7)
    ]
    model = PolynomialRegressor("auto", max_degree=6, **settings).fit(X, y)
    assert model.degree_ == np.argmax(scores) + 1
    assert_allclose(model.loo_score_, max(scores), rtol=1e-8)
    fixed = PolynomialRegressor(model.degree_, **settings).fit(X, y)
    assert_allclose(model.predict(X), fixed.predict(X), atol=1e-9)


@pytest.mark.parametrize("solver", ["auto", *SOLVERS])
@pytest.mark.parametrize("alphas", [None, [1e-3, 1e-1, 10.0, 1000.0], (5.0, 0.01)])
def test_alpha_auto_takes_the_best_loo_score(alphas, solver):
    X, y = sample()
    settings = {"degree": 4, "solver": solver, "bounds": BOUNDS}
    grid = 40 * np.logspace(-8, 1, 19) if alphas is None else np.sort(alphas)
    scores = [PolynomialRegressor(alpha=a, **settings).fit(X, y).loo_score_ for a in grid]
    model = PolynomialRegressor(alpha="auto", alphas=alphas, **settings).fit(X, y)
    assert_allclose(model.alpha_, grid[np.argmax(scores)], rtol=1e-12)
    assert_allclose(model.loo_score_, max(scores), atol=1e-9)
    fixed = PolynomialRegressor(alpha=model.alpha_, **settings).fit(X, y)
    assert_allclose(model.predict(X), fixed.predict(X), atol=1e-8)


@pytest.mark.parametrize("solver", ["auto", "qr", "dual"])
def test_degree_and_alpha_are_chosen_together(solver):
    X, y = sample(30)
    settings = {"solver": solver, "bounds": BOUNDS}
    grid = [0.01, 1.0, 30.0]
    scores = {
        (degree, alpha): PolynomialRegressor(degree, alpha=alpha, **settings).fit(X, y).loo_score_
        for degree in range(1, 9)
        for alpha in grid
    }
    model = PolynomialRegressor("auto", max_degree=8, alpha="auto", alphas=grid, **settings)
    model.fit(X, y)
    assert (model.degree_, model.alpha_) == max(scores, key=scores.get)
    assert_allclose(model.loo_score_, max(scores.values()), atol=1e-9)


@pytest.mark.parametrize("degree", [4, "auto"])
def test_truncation_auto_takes_the_best_loo_score(degree):
    X, y = sample(80, 3)
    scores = {
        q: PolynomialRegressor(degree, truncation=q, bounds=BOUNDS).fit(X, y).loo_score_
        for q in (1.0, 0.75, 0.5)
    }
    model = PolynomialRegressor(degree, truncation="auto", bounds=BOUNDS).fit(X, y)
    assert model.truncation_ == max(scores, key=scores.get)
    assert_allclose(model.loo_score_, max(scores.values()), rtol=1e-10)


def test_alpha_auto_at_degree_one_is_ridge_cv():
    X, y = sample()
    alphas = np.logspace(-3, 3, 13)
    scaled = MinMaxScaler((-np.sqrt(3), np.sqrt(3))).fit_transform(X)
    reference = RidgeCV(alphas).fit(scaled, y)
    model = PolynomialRegressor(1, alpha="auto", alphas=alphas).fit(X, y)
    assert_allclose(model.alpha_, reference.alpha_)
    assert_allclose(model.predict(X), reference.predict(scaled), atol=1e-9)


def test_auto_mostly_finds_the_degree_of_a_polynomial():
    # Leave-one-out takes one degree too many now and then, never one too few.
    rng = np.random.default_rng(0)
    found = []
    for _ in range(20):
        X = rng.uniform(-2, 2, size=(100, 2))
        y = X[:, 0] ** 3 - X[:, 1] + 0.1 * rng.normal(size=100)
        found.append(PolynomialRegressor("auto").fit(X, y).degree_)
    assert min(found) == 3
    assert found.count(3) >= 15


@pytest.mark.parametrize("solver", ["cholesky", "qr", "refined"])
def test_loo_score_can_be_left_out(solver):
    X, y = sample()
    model = PolynomialRegressor(2, solver=solver, compute_loo=False).fit(X, y)
    assert not hasattr(model, "loo_score_")
    with pytest.raises(AttributeError, match="compute_loo=True"):
        model.loo_score_  # noqa: B018
    asked = PolynomialRegressor(2, solver=solver, compute_loo=True).fit(X, y)
    assert np.isfinite(asked.loo_score_)


@pytest.mark.parametrize("alpha", [0.0, 0.5, "auto"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_integer_weights_are_repetitions(solver, alpha):
    X, y = sample()
    weight = np.random.default_rng(3).integers(1, 4, size=len(y))
    model = PolynomialRegressor(2, alpha=alpha, solver=solver)
    weighted = clone(model).fit(X, y, sample_weight=weight)
    repeated = clone(model).fit(X.repeat(weight, axis=0), y.repeat(weight))
    assert_allclose(weighted.coef_, repeated.coef_, atol=1e-9)
    assert_allclose(weighted.loo_score_, repeated.loo_score_, atol=1e-9)
    assert_allclose(weighted.alpha_, repeated.alpha_)
    assert_allclose(weighted.noise_variance_, repeated.noise_variance_, rtol=1e-9)
    for got, wanted in zip(
        weighted.predict(X, return_std=True), repeated.predict(X, return_std=True), strict=True
    ):
        assert_allclose(got, wanted, atol=1e-9)


@pytest.mark.parametrize("alpha", [0.0, 0.5, "auto"])
@pytest.mark.parametrize("solver", ["auto", *SOLVERS])
def test_weight_zero_is_removal(solver, alpha):
    X, y = sample()
    X[5], y[5] = 1e6, np.pi  # counts for nothing, not even for the bounds
    weight = np.ones(len(y))
    weight[[0, 5, 9]] = 0.0
    model = PolynomialRegressor("auto", max_degree=3, alpha=alpha, solver=solver)
    weighted = clone(model).fit(X, y, sample_weight=weight)
    removed = clone(model).fit(X[weight > 0], y[weight > 0])
    rows = X[weight > 0]
    np.testing.assert_array_equal(weighted.predict(rows), removed.predict(rows))
    assert weighted.loo_score_ == removed.loo_score_
    assert weighted.degree_ == removed.degree_


def test_only_affordable_degrees_are_looked_at():
    box = np.stack([-np.ones(3), np.ones(3)])
    terms = Terms("legendre", box, 1.0, False, True)
    assert candidate_degrees(terms, 30, 10, penalised=False) == [1, 2, 3]  # 34 terms at degree 4
    assert candidate_degrees(terms, 30, 10, penalised=True) == list(range(1, 11))
    assert candidate_degrees(terms, 3, 10, penalised=False) == [1]


def test_the_default_grid_grows_with_the_weights():
    grid = penalty_grid("auto", None, 100.0)
    assert_allclose(grid[[0, -1]], [1e-6, 1e3])
    assert len(grid) == 19
    assert penalty_grid(0.5, None, 100.0).tolist() == [0.5]


@pytest.mark.parametrize(
    ("n_terms", "n_rows", "solver"),
    [(11, 10, "dual"), (10, 10, "qr"), (100, 1000, "qr"), (100, 10**6, "cholesky")],
)
def test_auto_solver(n_terms, n_rows, solver):
    assert choose_solver("auto", n_terms, n_rows) == solver
    assert choose_solver("refined", n_terms, n_rows) == "refined"


@pytest.mark.parametrize("alpha", [0.0, "auto"])
def test_automatic_model_follows_a_fast_oscillation(alpha):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(500, 1))
    y = np.sin(20 * X[:, 0]) + 0.1 * rng.normal(size=500)
    model = PolynomialRegressor("auto", alpha=alpha).fit(X, y)
    assert model.degree_ > 20
    assert model.loo_score_ > 0.97
    new = np.linspace(-0.99, 0.99, 200)
    assert model.score(new[:, None], np.sin(20 * new)) > 0.99


def test_count_of_high_degrees_is_immediate():
    assert count_terms(1, 255) == 255
    assert count_terms(2, 200, 0.5) == len(hyperbolic_powers(2, 200, 0.5)) - 1
