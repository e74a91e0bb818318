"""PolynomialRegressor equals the textbook model, whatever the solver and the basis."""

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array, csr_matrix
from sklearn import config_context
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures

from sklearn_ext import PolynomialRegressor
from sklearn_ext.exceptions import RankWarning

SOLVERS = ("cholesky", "qr", "dual", "refined")
STREAMED = ("cholesky", "qr")
BASES = ("legendre", "chebyshev", "monomial")

every_solver = pytest.mark.parametrize("solver", SOLVERS)
every_basis = pytest.mark.parametrize("basis", BASES)


def sample(n_rows=150, n_features=3, n_targets=None, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 2, size=(n_rows, n_features))
    noise = rng.normal(size=(n_rows, n_targets or 1))
    y = X[:, :1] + noise
    return X, y[:, 0] if n_targets is None else y


def sparse_sample(n_rows=150, n_features=4):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 2, size=(n_rows, n_features))
    X[rng.uniform(size=X.shape) < 0.5] = 0.0
    return csr_array(X), rng.normal(size=n_rows)


def pipeline(degree, interaction_only=False, fit_intercept=True):
    expansion = PolynomialFeatures(degree, include_bias=False, interaction_only=interaction_only)
    return make_pipeline(expansion, LinearRegression(fit_intercept=fit_intercept, tol=1e-14))


def assert_same_model(model, reference, X):
    inner = reference[-1]
    assert_allclose(model.predict(X), reference.predict(X), atol=1e-9)
    assert_allclose(model.coef_, inner.coef_, atol=1e-8)
    assert_allclose(model.intercept_, inner.intercept_, atol=1e-8)
    assert model.coef_.shape == inner.coef_.shape
    if model.fit_intercept:  # LinearRegression's is the number 0 otherwise
        assert np.shape(model.intercept_) == np.shape(inner.intercept_)


@every_solver
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("n_targets", [None, 1, 3])
def test_degree_one_is_linear_regression(n_targets, fit_intercept, solver):
    X, y = sample(n_targets=n_targets)
    model = PolynomialRegressor(1, fit_intercept=fit_intercept, solver=solver).fit(X, y)
    assert_same_model(
        model, make_pipeline(LinearRegression(fit_intercept=fit_intercept)).fit(X, y), X
    )


@every_solver
@every_basis
@pytest.mark.parametrize("degree", [2, 4])
@pytest.mark.parametrize("n_targets", [None, 2])
def test_any_degree_is_the_pipeline(n_targets, degree, basis, solver):
    X, y = sample(n_targets=n_targets)
    model = PolynomialRegressor(degree, basis=basis, solver=solver).fit(X, y)
    assert_same_model(model, pipeline(degree).fit(X, y), X)
    assert model.solver_ == solver
    assert model.basis_ == basis
    assert model.rank_ == model.n_terms_ == len(model.powers_)
    assert model.predict(X).shape == y.shape


@every_solver
@every_basis
@pytest.mark.parametrize("interaction_only", [False, True])
def test_without_intercept(interaction_only, basis, solver):
    X, y = sample()
    settings = {"interaction_only": interaction_only, "fit_intercept": False}
    model = PolynomialRegressor(3, basis=basis, solver=solver, **settings).fit(X, y)
    assert_same_model(model, pipeline(3, **settings).fit(X, y), X)
    assert_allclose(model.predict(np.zeros((1, 3))), 0.0, atol=1e-12)


@every_solver
def test_interactions_only(solver):
    X, y = sample()
    model = PolynomialRegressor(3, interaction_only=True, solver=solver).fit(X, y)
    assert_same_model(model, pipeline(3, interaction_only=True).fit(X, y), X)


@every_solver
@pytest.mark.parametrize("truncation", [0.75, 0.5, 0.3])
def test_truncation_keeps_the_hyperbolic_set(truncation, solver):
    X, y = sample()
    model = PolynomialRegressor(5, truncation=truncation, solver=solver).fit(X, y)
    budget = 5**truncation + 1e-9
    powers = [
        row for row in product(range(6), repeat=3) if sum(a**truncation for a in row if a) <= budget
    ]
    design = np.prod(X[:, None, :] ** np.array(powers, dtype=float), axis=2)
    wanted = design @ np.linalg.lstsq(design, y, rcond=None)[0]
    assert_allclose(model.predict(X), wanted, atol=1e-9)
    assert model.n_terms_ == len(powers) - 1
    assert model.truncation_ == truncation


@pytest.mark.parametrize("solver", ["auto", "cholesky", "qr", "dual"])
@pytest.mark.parametrize("container", [csr_array, csr_matrix])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("degree", [1, 2, 3])
def test_sparse_rows_give_the_dense_model(degree, fit_intercept, container, solver):
    X, y = sparse_sample()
    model = PolynomialRegressor(degree, fit_intercept=fit_intercept, solver=solver)
    model.fit(container(X), y)
    reference = pipeline(degree, fit_intercept=fit_intercept).fit(X.toarray(), y)
    assert_same_model(model, reference, X.toarray())
    assert_allclose(model.predict(X), model.predict(X.toarray()), atol=1e-11)


@pytest.mark.parametrize("settings", [{"truncation": 0.5}, {"interaction_only": True}])
def test_sparse_index_sets(settings):
    X, y = sparse_sample()
    sparse = PolynomialRegressor(4, **settings).fit(X, y)
    dense = PolynomialRegressor(4, **settings).fit(X.toarray(), y)
    assert_allclose(sparse.predict(X), dense.predict(X.toarray()), atol=1e-9)


def test_sparse_rows_are_weighted_like_dense_ones():
    X, y = sparse_sample()
    weight = np.random.default_rng(1).uniform(0.2, 3, size=len(y))
    sparse = PolynomialRegressor(2).fit(X, y, sample_weight=weight)
    dense = PolynomialRegressor(2).fit(X.toarray(), y, sample_weight=weight)
    assert_allclose(sparse.predict(X), dense.predict(X.toarray()), atol=1e-9)
    assert_allclose(sparse.noise_variance_, dense.noise_variance_, rtol=1e-9)
    assert_allclose(sparse.loo_score_, dense.loo_score_, rtol=1e-9)


@every_solver
@every_basis
def test_a_model_of_dense_rows_reads_sparse_ones(basis, solver):
    # Zeros of the caller are not zeros of a basis that is centred on the training range.
    X, y = sparse_sample()
    model = PolynomialRegressor(3, basis=basis, solver=solver, alpha=0.1).fit(X.toarray() + 1, y)
    new = X.toarray()[np.all(X.toarray() >= 0, axis=1)]
    mean, std = model.predict(csr_array(new), return_std=True)
    assert_allclose(mean, model.predict(new), atol=1e-10)
    assert_allclose(std, model.predict(new, return_std=True)[1], rtol=1e-9)


@every_solver
@every_basis
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alpha", [0.01, 3.0])
def test_alpha_penalises_the_basis_by_degree(alpha, fit_intercept, basis, solver):
    # Explicit ridge on listed orthonormal columns, by an augmented least-squares problem.
    X, y = sample(60, 2)
    bounds = np.array([[-1.0, 2.0], [-1.5, 2.5]])
    model = PolynomialRegressor(
        3, alpha=alpha, basis=basis, bounds=bounds, fit_intercept=fit_intercept, solver=solver
    ).fit(X, y)
    z = (2 * X - bounds.sum(axis=1)) / np.diff(bounds, axis=1).ravel()
    columns = [_columns(basis, z[:, j], X[:, j], bounds[j], fit_intercept) for j in range(2)]
    powers = [row for row in product(range(4), repeat=2) if 0 < sum(row) <= 3]
    A = np.column_stack([columns[0][a] * columns[1][b] for a, b in powers])
    root = np.sqrt(alpha * 4.0 ** (np.array(powers).sum(axis=1) - 1))
    penalty = np.diag(root)
    if fit_intercept:
        A, penalty = np.column_stack([np.ones(60), A]), np.pad(penalty, [(0, 0), (1, 0)])
    stacked = np.concatenate([A, penalty])
    coef = np.linalg.lstsq(stacked, np.r_[y, np.zeros(len(powers))], rcond=None)[0]
    assert_allclose(model.predict(X), A @ coef, atol=1e-9)


def _columns(basis, z, x, bounds, fit_intercept):
    """p_0 .. p_3 of one column; without intercept, x times p_0 .. p_2."""
    legendre = [np.ones_like(z), np.sqrt(3) * z, np.sqrt(5) * (1.5 * z**2 - 0.5)]
    legendre += [np.sqrt(7) * (2.5 * z**3 - 1.5 * z)]
    root = np.sqrt(2)
    chebyshev = [np.ones_like(z), root * z, root * (2 * z**2 - 1), root * (4 * z**3 - 3 * z)]
    values = {"legendre": legendre, "chebyshev": chebyshev, "monomial": [z**k for k in range(4)]}
    if fit_intercept:
        return values[basis]
    return [np.ones_like(z), *(x / np.abs(bounds).max() * p for p in values[basis][:3])]


@every_solver
def test_alpha_at_degree_one_is_ridge_on_scaled_columns(solver):
    X, y = sample(n_targets=2)
    model = PolynomialRegressor(1, alpha=2.5, solver=solver).fit(X, y)
    scaled = MinMaxScaler((-np.sqrt(3), np.sqrt(3))).fit_transform(X)
    assert_allclose(model.predict(X), Ridge(2.5).fit(scaled, y).predict(scaled), atol=1e-10)
    assert model.alpha_ == 2.5


@every_solver
def test_basis_coefficients_are_orthonormal_ones(solver):
    # y = 2 + sqrt(3) z is 2 p_0 + 1 p_1.
    X = np.linspace(0, 10, 30)[:, None]
    model = PolynomialRegressor(3, solver=solver).fit(X, 2 + np.sqrt(3) * (X[:, 0] / 5 - 1))
    assert_allclose(model.basis_coef_, [1, 0, 0], atol=1e-10)


@every_solver
def test_one_feature_is_polyfit(solver):
    x = np.linspace(-1, 3, 40)
    y = np.cos(2 * x)
    model = PolynomialRegressor(7, solver=solver).fit(x[:, None], y)
    assert_allclose(model.predict(x[:, None]), np.polyval(np.polyfit(x, y, 7), x), atol=1e-8)


@pytest.mark.parametrize("solver", ["auto", *SOLVERS])
def test_one_sample_is_its_own_constant(solver):
    model = PolynomialRegressor(2, solver=solver)
    with pytest.warns(RankWarning, match="determine 0 of 5 terms"):
        model.fit([[1.0, 2.0]], [3.0])
    assert_allclose(model.predict([[1.0, 2.0]]), [3.0], rtol=1e-14)
    assert model.rank_ == 0


@pytest.mark.parametrize("solver", STREAMED)
def test_a_constant_column_is_named(solver):
    X, y = sample(n_features=2)
    X[:, 1] = 5.0
    with pytest.warns(RankWarning, match=r"determine 2 of 5 terms.*x1, x0 x1, x1\^2"):
        model = PolynomialRegressor(2, solver=solver).fit(X, y)
    assert model.rank_ == 2
    reference = PolynomialRegressor(2).fit(X[:, :1], y)
    assert_allclose(model.predict(X), reference.predict(X[:, :1]), atol=1e-10)


@pytest.mark.parametrize("solver", STREAMED)
def test_duplicated_columns_are_named_by_their_names(solver):
    pd = pytest.importorskip("pandas")
    X, y = sample(n_features=2)
    X[:, 1] = X[:, 0]
    frame = pd.DataFrame(X, columns=["width", "breadth"])
    with pytest.warns(RankWarning, match=r"width|breadth"):
        model = PolynomialRegressor(2, solver=solver).fit(frame, y)
    assert model.rank_ == 2
    reference = PolynomialRegressor(2).fit(X[:, :1], y)
    assert_allclose(model.predict(frame), reference.predict(X[:, :1]), atol=1e-9)


@pytest.mark.parametrize("solver", [*STREAMED, "dual"])
def test_more_terms_than_samples_interpolate(solver):
    X, y = sample(8, 3)
    model = PolynomialRegressor(2, solver=solver)
    with pytest.warns(RankWarning, match="determine 7 of 9 terms"):
        model.fit(X, y)
    assert model.n_terms_ == 9
    assert model.rank_ == 7
    assert_allclose(model.predict(X), y, atol=1e-9)


def test_auto_takes_the_kernel_for_more_terms_than_samples():
    X, y = sample(8, 3)
    assert PolynomialRegressor(2, alpha=0.1).fit(X, y).solver_ == "dual"


def test_auto_gives_up_a_poor_basis_for_an_empirical_one():
    rng = np.random.default_rng(0)
    X = rng.lognormal(sigma=1.5, size=(2000, 3))
    y = np.log(X).sum(axis=1) + rng.normal(size=2000)
    model = PolynomialRegressor(6).fit(X, y)
    assert model.basis_ == "empirical"
    reference = PolynomialRegressor(6, solver="refined").fit(X, y)
    assert_allclose(model.predict(X), reference.predict(X), atol=1e-8 * y.std())


@pytest.mark.parametrize("solver", STREAMED)
@pytest.mark.parametrize("n_targets", [None, 2])
def test_a_tiny_working_memory_changes_nothing(n_targets, solver):
    X, y = sample(700, n_targets=n_targets)
    whole = PolynomialRegressor(3, solver=solver).fit(X, y)
    with config_context(working_memory=0.01):
        blocks = PolynomialRegressor(3, solver=solver).fit(X, y)
        assert_allclose(blocks.predict(X), whole.predict(X), atol=1e-11)
        wanted = whole.predict(X, return_std=True)[1]
        assert_allclose(blocks.predict(X, return_std=True)[1], wanted, rtol=1e-10)
    assert_allclose(blocks.loo_score_, whole.loo_score_, atol=1e-12)


def test_a_tiny_working_memory_changes_no_kernel_prediction():
    X, y = sample(60, 6)
    model = PolynomialRegressor(3, alpha=1.0).fit(X, y)
    wanted = model.predict(X, return_std=True)
    with config_context(working_memory=0.01):
        assert_allclose(model.predict(X, return_std=True), wanted, rtol=1e-9, atol=1e-12)


@every_solver
def test_bounds_are_the_training_range_or_the_callers(solver):
    X, y = sample(40, 2)
    model = PolynomialRegressor(1, solver=solver).fit(X, y)
    assert_allclose(model.bounds_, np.stack([X.min(axis=0), X.max(axis=0)], axis=1))
    given = PolynomialRegressor(1, solver=solver, bounds=(-4, 4)).fit(X, y)
    np.testing.assert_array_equal(given.bounds_, [[-4, 4], [-4, 4]])
    assert_allclose(given.predict(X), model.predict(X), atol=1e-10)


def test_adjusted_r2_charges_for_terms():
    X, y = sample(50, 2)
    model = PolynomialRegressor(2).fit(X, y)
    r2 = pipeline(2).fit(X, y).score(X, y)
    assert_allclose(model.adjusted_r2(X, y), 1 - (1 - r2) * 49 / (50 - 5 - 1), rtol=1e-12)


def test_adjusted_r2_counts_weights_as_samples():
    X, y = sample(40, 2)
    weight = np.random.default_rng(0).integers(1, 4, size=40)
    model = PolynomialRegressor(2).fit(X, y, sample_weight=weight)
    repeated = model.adjusted_r2(X.repeat(weight, axis=0), y.repeat(weight))
    assert_allclose(model.adjusted_r2(X, y, sample_weight=weight), repeated, rtol=1e-12)


def test_adjusted_r2_without_freedom_is_nan():
    X, y = sample(6, 2)
    assert np.isnan(PolynomialRegressor(2).fit(X, y).adjusted_r2(X, y))


def test_score_is_one_zero_and_negative_as_promised():
    X = np.linspace(-1, 1, 20)[:, None]
    model = PolynomialRegressor(2).fit(X, X[:, 0] ** 2)
    assert_allclose(model.score(X, X[:, 0] ** 2), 1.0)
    mean = PolynomialRegressor(1).fit(X, X[:, 0] ** 2)
    assert_allclose(mean.score(X, X[:, 0] ** 2), 0.0, atol=1e-12)
    assert model.score(X, -(X[:, 0] ** 2)) < 0


def test_a_constant_target():
    X, _ = sample(30, 2)
    model = PolynomialRegressor(2).fit(X, np.full(30, 7.0))
    assert_allclose(model.predict(X), 7.0, rtol=1e-12)
    assert_allclose(model.coef_, 0.0, atol=1e-12)
