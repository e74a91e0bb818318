"""Outside the training bounds: tangents of the univariate polynomials, if asked for."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.linear_model import LinearRegression

from sklearn_ext import PolynomialRegressor
from sklearn_ext.exceptions import ExtrapolationWarning


def sample(n_features=2, n_rows=80):
    rng = np.random.default_rng(1)
    X = rng.uniform(0, 2, size=(n_rows, n_features))
    return X, X[:, 0] ** 3 - X[:, -1] ** 2 * X[:, 0] + rng.normal(scale=0.1, size=n_rows)


SETTINGS = [
    {"degree": 3},
    {"degree": 3, "basis": "chebyshev", "alpha": 0.1},
    {"degree": 3, "fit_intercept": False},
    {"degree": 3, "solver": "refined"},
    {"degree": 3, "solver": "dual", "alpha": 0.1},
    {"degree": 4, "selection": "forward"},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_inside_nothing_changes(settings):
    X, y = sample()
    model = PolynomialRegressor(**settings).fit(X, y)
    linear = clone(model).set_params(extrapolation="linear").fit(X, y)
    np.testing.assert_array_equal(linear.predict(X), model.predict(X))


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_one_column_goes_on_along_its_tangent(settings):
    X, y = sample(n_features=1)
    model = PolynomialRegressor(extrapolation="linear", **settings).fit(X, y)
    end, step = X.max(), 1e-5
    inside = model.predict([[end - 2 * step], [end - step], [end]])
    slope = (3 * inside[2] - 4 * inside[1] + inside[0]) / (2 * step)
    far = np.array([[end + 1.0], [end + 5.0]])
    np.testing.assert_allclose(model.predict(far), inside[2] + slope * (far[:, 0] - end), rtol=1e-5)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_value_and_std_are_continuous_at_the_bounds(settings):
    X, y = sample()
    model = PolynomialRegressor(extrapolation="linear", **settings).fit(X, y)
    corner = X.max(axis=0)
    for inside, outside in zip(
        model.predict([corner], return_std=True),
        model.predict([corner + 1e-9], return_std=True),
        strict=True,
    ):
        np.testing.assert_allclose(outside, inside, rtol=1e-6)


def test_sparse_rows_go_on_like_dense_ones():
    X, y = sample()
    X[X < 0.7] = 0
    far = X * 3
    model = PolynomialRegressor(2, extrapolation="linear").fit(csr_matrix(X), y)
    np.testing.assert_allclose(model.predict(csr_matrix(far)), model.predict(far), rtol=1e-10)


def test_milder_than_the_polynomial_and_without_a_warning():
    X, y = sample()
    far = X + 20
    model = PolynomialRegressor(5).fit(X, y)
    with pytest.warns(ExtrapolationWarning):
        steep = np.abs(model.predict(far)).max()
    mild = PolynomialRegressor(5, extrapolation="linear").fit(X, y).predict(far)
    assert np.abs(mild).max() < 1e-3 * steep


@pytest.mark.parametrize(
    ("settings", "tangents"),
    [({"degree": "auto", "alpha": "auto"}, True), ({"degree": "auto"}, False), ({}, False)],
    ids=str,
)
def test_only_the_fully_automatic_model_goes_on_along_tangents_unasked(settings, tangents):
    X, y = sample()
    far = X + 0.1  # outside, but within the margin of the warning
    model = PolynomialRegressor(max_degree=4, **settings).fit(X, y)
    chosen = clone(model).set_params(extrapolation="linear" if tangents else "polynomial")
    other = clone(model).set_params(extrapolation="polynomial" if tangents else "linear")
    np.testing.assert_array_equal(model.predict(far), chosen.fit(X, y).predict(far))
    assert np.abs(model.predict(far) - other.fit(X, y).predict(far)).max() > 0


def test_a_plane_is_no_cause_for_a_warning_outside_the_range():
    X, y = sample()
    plane = PolynomialRegressor(1).fit(X, y)
    reference = LinearRegression().fit(X, y)
    assert_allclose(plane.predict(X + 20), reference.predict(X + 20), rtol=1e-9)
