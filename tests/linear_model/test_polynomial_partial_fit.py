"""Chunks give the model of all rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from sklearn.base import clone

from sklearn_ext import PolynomialRegressor
from sklearn_ext.exceptions import PrecisionWarning, RankWarning

# The first rows alone do not determine the model, and partial_fit says so.
FEW_ROWS = pytest.mark.filterwarnings("ignore::sklearn_ext.exceptions.RankWarning")
every_solver = pytest.mark.parametrize("solver", ["auto", "qr", "cholesky"])


def sample(n_rows=300, n_targets=None):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(n_rows, 2)) * [1, 50] + [0, 10]
    y = np.cos(X[:, :1]) + rng.normal(size=(n_rows, n_targets or 1))
    return X, y[:, 0] if n_targets is None else y


def chunked(model, X, y, cuts, weight=None):
    model, weights = clone(model), np.ones(len(y)) if weight is None else weight
    for rows in np.split(np.arange(X.shape[0]), cuts):
        given = None if weight is None else weights[rows]
        model.partial_fit(X[rows], y[rows], sample_weight=given)
    return model


def assert_same(got, wanted, X, tolerance=1e-10):
    assert_allclose(got.predict(X), wanted.predict(X), rtol=tolerance, atol=tolerance)
    std = wanted.predict(X, return_std=True)[1]
    assert_allclose(got.predict(X, return_std=True)[1], std, rtol=tolerance)
    assert_allclose(got.noise_variance_, wanted.noise_variance_, rtol=tolerance)
    assert_allclose(got.coef_stderr_, wanted.coef_stderr_, rtol=1e-8)
    assert_allclose(got.bounds_, wanted.bounds_)
    assert got.rank_ == wanted.rank_


@FEW_ROWS
@every_solver
@pytest.mark.parametrize("n_targets", [None, 2])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("basis", ["legendre", "chebyshev", "monomial"])
def test_chunks_are_the_whole(basis, fit_intercept, n_targets, solver):
    X, y = sample(n_targets=n_targets)
    model = PolynomialRegressor(3, basis=basis, fit_intercept=fit_intercept, solver=solver)
    assert_same(chunked(model, X, y, [100, 150, 290]), clone(model).fit(X, y), X)


@FEW_ROWS
@every_solver
@pytest.mark.parametrize("settings", [{"truncation": 0.5}, {"interaction_only": True}])
def test_other_index_sets(settings, solver):
    X, y = sample()
    model = PolynomialRegressor(4, solver=solver, **settings)
    assert_same(chunked(model, X, y, [50, 200]), clone(model).fit(X, y), X)


@FEW_ROWS
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("solver", ["auto", "qr"])
def test_a_first_chunk_of_one_row(solver, fit_intercept):
    X, y = sample()
    model = PolynomialRegressor(3, solver=solver, fit_intercept=fit_intercept)
    assert_same(chunked(model, X, y, [1, 2, 3]), clone(model).fit(X, y), X)


@FEW_ROWS
# The Gram matrix of few rows is singular, which cholesky says on the way.
@pytest.mark.filterwarnings("ignore::sklearn_ext.exceptions.PrecisionWarning")
def test_a_first_chunk_of_one_row_by_cholesky():
    X, y = sample()
    model = PolynomialRegressor(3, solver="cholesky")
    assert_same(chunked(model, X, y, [1, 2]), clone(model).fit(X, y), X)


@FEW_ROWS
@pytest.mark.filterwarnings("ignore::sklearn_ext.exceptions.PrecisionWarning")
@every_solver
def test_ranges_that_grow(solver):
    X, y = sample()
    order = np.argsort(np.abs(X[:, 0]))
    X, y = X[order], y[order]
    model = PolynomialRegressor(4, solver=solver)
    assert_same(chunked(model, X, y, [20, 60, 150]), clone(model).fit(X, y), X)


@FEW_ROWS
@pytest.mark.filterwarnings("ignore::sklearn_ext.exceptions.PrecisionWarning")
@every_solver
@pytest.mark.parametrize("column", [0, 1])
def test_a_first_chunk_with_a_constant_column(column, solver):
    X, y = sample()
    X[:40, column] = X[100, column]
    model = PolynomialRegressor(3, solver=solver)
    assert_same(chunked(model, X, y, [40, 120]), clone(model).fit(X, y), X)


@every_solver
def test_given_bounds_are_kept(solver):
    X, y = sample()
    model = PolynomialRegressor(3, solver=solver, bounds=[(-2, 2), (-100, 100)], alpha=0.1)
    assert_same(chunked(model, X, y, [100, 200]), clone(model).fit(X, y), X)


@every_solver
def test_a_penalty(solver):
    X, y = sample()
    model = PolynomialRegressor(4, solver=solver, alpha=0.7)
    assert_same(chunked(model, X, y, [7, 150]), clone(model).fit(X, y), X)


@every_solver
def test_weights(solver):
    X, y = sample()
    weight = np.random.default_rng(1).uniform(0, 3, size=len(y)).round()
    model = PolynomialRegressor(3, solver=solver)
    whole = clone(model).fit(X, y, sample_weight=weight)
    assert_same(chunked(model, X, y, [100, 200], weight), whole, X[weight > 0])


@every_solver
def test_sparse_chunks(solver):
    rng = np.random.default_rng(0)
    X = np.where(rng.uniform(size=(300, 3)) < 0.5, 0.0, rng.uniform(-1, 5, size=(300, 3)))
    y = rng.normal(size=300)
    X = csr_array(X)
    model = PolynomialRegressor(2, solver=solver)
    got = chunked(model, X, y, [100, 200])
    assert_allclose(got.predict(X), clone(model).fit(X, y).predict(X), atol=1e-10)


@pytest.mark.parametrize("formats", [(csr_array, np.asarray), (np.asarray, csr_array)])
def test_sparse_and_dense_chunks_do_not_mix(formats):
    X, y = sample()
    model = PolynomialRegressor(2).partial_fit(formats[0](X), y)
    with pytest.raises(ValueError, match="sparse"):
        model.partial_fit(formats[1](X), y)


def test_sparse_and_dense_chunks_mix_in_the_basis_of_sparse_rows():
    X, y = sample()
    model = PolynomialRegressor(2, basis="monomial", bounds=[(-2, 2), (-100, 100)])
    assert_allclose(
        model.partial_fit(X[:150], y[:150]).partial_fit(csr_array(X[150:]), y[150:]).predict(X),
        PolynomialRegressor(2).fit(X, y).predict(X),
        atol=1e-10,
    )


@every_solver
def test_partial_fit_continues_a_fit(solver):
    X, y = sample()
    model = PolynomialRegressor(3, solver=solver).fit(X[:200], y[:200])
    model.partial_fit(X[200:], y[200:])
    assert_same(model, PolynomialRegressor(3, solver=solver).fit(X, y), X)


def test_fit_forgets_what_was_seen():
    X, y = sample()
    model = PolynomialRegressor(3).partial_fit(X[:100], y[:100])
    model.fit(X[100:], y[100:])
    fresh = PolynomialRegressor(3).fit(X[100:], y[100:])
    np.testing.assert_array_equal(model.predict(X[100:]), fresh.predict(X[100:]))


def test_a_chunk_that_has_lost_digits_is_told_and_salvaged():
    X, y = sample()
    X[:, 1] = X[:, 0] + 1e-9 * X[:, 1]  # beyond a Gram matrix, not beyond a triangle
    model = PolynomialRegressor(1, solver="cholesky")
    with pytest.warns(PrecisionWarning, match="solver='cholesky' has lost digits.*solver='qr'"):
        model.partial_fit(X, y)
    assert model.solver_ == "cholesky"
    wanted = PolynomialRegressor(1, solver="qr").fit(X, y).predict(X)
    assert_allclose(model.predict(X), wanted, atol=1e-3)


@pytest.mark.filterwarnings("ignore::sklearn_ext.exceptions.PrecisionWarning")
def test_a_salvaged_stream_goes_on_and_recovers():
    X, y = sample()
    near = X.copy()
    near[:, 1] = near[:, 0]
    model = PolynomialRegressor(2, solver="cholesky")
    with pytest.warns(RankWarning):
        model.partial_fit(near, y)
    model.partial_fit(X, y)
    both = np.concatenate([near, X]), np.concatenate([y, y])
    assert_allclose(model.predict(X), PolynomialRegressor(2).fit(*both).predict(X), atol=1e-9)


@pytest.mark.parametrize(
    "settings",
    [
        {"degree": "auto"},
        {"truncation": "auto"},
        {"alpha": "auto"},
        {"selection": "lars"},
        {"solver": "dual"},
        {"solver": "refined"},
        {"compute_loo": True},
    ],
    ids=lambda settings: next(iter(settings)) + "=" + str(next(iter(settings.values()))),
)
def test_settings_that_need_all_rows_have_no_partial_fit(settings):
    model = PolynomialRegressor(**settings)
    assert not hasattr(model, "partial_fit")
    # The reason is in the cause: available_if words the outer error itself.
    with pytest.raises(AttributeError) as caught:
        model.partial_fit  # noqa: B018
    reason = f"{caught.value} {caught.value.__cause__}"
    assert next(iter(settings)) in reason
    assert "needs all rows at once" in reason


def test_a_model_without_sums_cannot_be_continued():
    X, y = sample()
    model = PolynomialRegressor("auto").fit(X, y)
    model.set_params(degree=model.degree_)
    before = model.predict(X)
    with pytest.raises(ValueError, match="partial_fit cannot continue this model"):
        model.partial_fit(X, y)
    np.testing.assert_array_equal(model.predict(X), before)


def test_targets_may_not_change_their_number():
    X, y = sample(n_targets=2)
    model = PolynomialRegressor(2).partial_fit(X, y)
    with pytest.raises(ValueError, match="another number of columns"):
        model.partial_fit(X, y[:, 0])


@pytest.mark.parametrize(
    "changed",
    [
        {"degree": 4},
        {"basis": "chebyshev"},
        {"truncation": 0.5},
        {"interaction_only": True},
        {"fit_intercept": False},
        {"solver": "cholesky"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_settings_may_not_change_on_the_way(changed):
    X, y = sample()
    model = PolynomialRegressor(2).partial_fit(X, y)
    before = model.predict(X)
    with pytest.raises(ValueError, match=next(iter(changed))):
        model.set_params(**changed).partial_fit(X, y)
    np.testing.assert_array_equal(model.predict(X), before)


def test_columns_are_held_to_the_first_chunk():
    X, y = sample()
    model = PolynomialRegressor(2).partial_fit(X, y)
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(X[:, :1], y)


def test_streamed_models_have_no_loo_score():
    X, y = sample()
    assert not hasattr(PolynomialRegressor(2).partial_fit(X, y), "loo_score_")


def test_a_large_fit_keeps_no_sums(monkeypatch):
    monkeypatch.setattr("sklearn_ext.linear_model._primal._MOST_KEPT", 5)
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(50, 2))
    y = rng.normal(size=50)
    model = PolynomialRegressor(2).fit(X, y)
    with pytest.raises(ValueError, match="keep no sums over rows"):
        model.partial_fit(X, y)
    stream = PolynomialRegressor(2).partial_fit(X[:30], y[:30]).partial_fit(X[30:], y[30:])
    np.testing.assert_allclose(stream.predict(X), model.predict(X), rtol=0, atol=1e-12)
