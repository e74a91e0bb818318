"""Bad input is refused whole, good input of any form is read alike, and fits are stored whole."""

import copy
import io
import pickle

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csc_array, csr_array
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_ext import PolynomialRegressor
from sklearn_ext.exceptions import RankWarning

KINDS = {
    "primal": {"degree": 3},
    "cholesky": {"solver": "cholesky"},
    "dual": {"solver": "dual", "alpha": 0.1},
    "refined": {"solver": "refined"},
    "chosen": {"degree": "auto", "alpha": "auto"},
    "lars": {"degree": 4, "selection": "lars"},
    "forward": {"degree": 4, "selection": "forward"},
}
every_kind = pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS)


def sample(n_rows=40, n_features=2):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(n_rows, n_features))
    return X, np.sin(X[:, 0]) + 0.1 * rng.normal(size=n_rows)


def spoiled(value, of="X"):
    X, y = sample()
    if of == "X":
        X = X.astype(object) if isinstance(value, str) else X.astype(type(value))
        X[3, 1] = value
    else:
        y = y.astype(object) if isinstance(value, str) else y.astype(type(value))
        y[3] = value
    return X, y


X_GOOD, Y_GOOD = sample()
BAD_ROWS = {
    "NaN": (*spoiled(np.nan), "NaN"),
    "inf": (*spoiled(np.inf), "infinity"),
    "complex": (*spoiled(1j), "Complex data not supported"),
    "text": (*spoiled("high"), "could not convert string to float"),
    "sparse NaN": (csr_array(spoiled(np.nan)[0]), Y_GOOD, "NaN"),
    "y NaN": (*spoiled(np.nan, "y"), "NaN"),
    "y inf": (*spoiled(-np.inf, "y"), "infinity"),
    "y complex": (*spoiled(1j, "y"), "Complex data not supported"),
    "y text": (*spoiled("high", "y"), "could not convert string to float"),
    "y missing": (X_GOOD, None, "requires y to be passed"),
    "y short": (X_GOOD, Y_GOOD[:-1], "inconsistent numbers of samples"),
    "y long": (X_GOOD, np.r_[Y_GOOD, 1.0], "inconsistent numbers of samples"),
    "y three-dimensional": (X_GOOD, Y_GOOD.reshape(-1, 1, 1), "dim 3"),
    "no rows": (X_GOOD[:0], Y_GOOD[:0], "0 sample"),
    "no columns": (X_GOOD[:, :0], Y_GOOD, "0 feature"),
    "one-dimensional": (X_GOOD[:, 0], Y_GOOD, "Expected 2D array, got 1D array"),
    "three-dimensional": (X_GOOD[None], Y_GOOD, "dim 3|3 dimensions"),
}
BAD_SETTINGS = {
    "degree": [0, -1, 2.5, "2", None, 256],
    "max_degree": [0, 1.5, "auto"],
    "truncation": [0, -0.5, 1.5, "all"],
    "alpha": [-1e-9, "best", None],
    "basis": ["hermite", 3],
    "solver": ["lstsq"],
    "selection": ["lasso"],
    "interaction_only": ["yes"],
    "fit_intercept": ["no"],
    "compute_loo": ["always"],
}
BAD_VALUES = {
    "bounds of a wrong shape": ({"bounds": [(0, 1)] * 3}, r"bounds must have shape \(2, 2\)"),
    "bounds in the wrong order": ({"bounds": (1, 0)}, "finite with lower < upper"),
    "bounds without width": ({"bounds": [(0, 1), (2, 2)]}, "finite with lower < upper"),
    "bounds not finite": ({"bounds": (0, np.inf)}, "finite with lower < upper"),
    "bounds of text": ({"bounds": ("low", "high")}, "could not convert string to float|bounds"),
    "alphas with a zero": ({"alpha": "auto", "alphas": [0.0, 1.0]}, "alphas must all be > 0"),
    "alphas negative": ({"alpha": "auto", "alphas": [-1.0]}, "alphas must all be > 0"),
    "alphas NaN": ({"alpha": "auto", "alphas": [np.nan, 1.0]}, "alphas must all be > 0"),
    "alphas inf": ({"alpha": "auto", "alphas": [1.0, np.inf]}, "alphas must .* finite"),
    "alphas empty": ({"alpha": "auto", "alphas": []}, "alphas must .* at least one"),
    "alphas of two dimensions": (
        {"alpha": "auto", "alphas": [[1.0, 2.0]]},
        "alphas must .* one dimension",
    ),
    "alpha NaN": ({"alpha": np.nan}, "alpha"),
    "alpha inf": ({"alpha": np.inf}, "alpha"),
}


def assert_refused(model, call, match, error=ValueError):
    """The call raises, and the model is what it was before."""
    before = dict(vars(model))
    with pytest.raises(error, match=match):
        call(model)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize(("X", "y", "match"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_bad_rows_leave_nothing_behind(X, y, match, fitted, method):
    model = PolynomialRegressor(2)
    if fitted:
        model.fit(*sample())
    assert_refused(model, lambda m: getattr(m, method)(X, y), match)
    if fitted:
        fresh = PolynomialRegressor(2).fit(*sample())
        np.testing.assert_array_equal(model.predict(X_GOOD), fresh.predict(X_GOOD))


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD_SETTINGS.items() for value in values]
)
def test_bad_settings_leave_nothing_behind(name, value, fitted):
    model = PolynomialRegressor(2)
    if fitted:
        model.fit(*sample())
    model.set_params(**{name: value})
    call = lambda m: m.fit(*sample())  # noqa: E731
    assert_refused(model, call, f"The '{name}' parameter", InvalidParameterError)
    if fitted:
        assert model.predict(X_GOOD).shape == Y_GOOD.shape


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize(("settings", "match"), BAD_VALUES.values(), ids=BAD_VALUES)
def test_contradicting_settings_leave_nothing_behind(settings, match, fitted):
    model = PolynomialRegressor(2)
    if fitted:
        model.fit(*sample())
    assert_refused(model.set_params(**settings), lambda m: m.fit(*sample()), match)


@pytest.mark.parametrize(
    ("weight", "match"),
    [
        (-np.ones(40), "Negative values"),
        (np.full(40, np.nan), "NaN"),
        (np.ones(39), "shape"),
        (np.ones((40, 1)), "Sample weights must be 1D"),
        (np.zeros(40), "weight"),
    ],
    ids=["negative", "NaN", "short", "two-dimensional", "all zero"],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_bad_weights_leave_nothing_behind(weight, match, method):
    model = PolynomialRegressor(2).fit(*sample())
    call = lambda m: getattr(m, method)(*sample(), sample_weight=weight)  # noqa: E731
    assert_refused(model, call, match)


@every_kind
@pytest.mark.parametrize("n_columns", [1, 3])
def test_predict_refuses_other_columns(n_columns, settings):
    model = PolynomialRegressor(**settings).fit(*sample())
    with pytest.raises(ValueError, match=f"X has {n_columns} features, but .* expecting 2"):
        model.predict(np.zeros((2, n_columns)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_predict_refuses_what_is_not_finite(value):
    model = PolynomialRegressor().fit(*sample())
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        model.predict([[0.0, value]])


@pytest.mark.parametrize(
    "name",
    ["coef_", "intercept_", "powers_", "coef_stderr_", "basis_coef_", "loo_score_"],
)
def test_unfitted_models_have_no_attributes(name):
    assert not hasattr(PolynomialRegressor(), name)


def test_unfitted_models_say_so():
    for call in (
        lambda m: m.predict(X_GOOD),
        lambda m: m.formula(),
        lambda m: m.get_term_names(),
        lambda m: m.predict_interval(X_GOOD),
        lambda m: m.adjusted_r2(X_GOOD, Y_GOOD),
    ):
        with pytest.raises(NotFittedError):
            call(PolynomialRegressor())


@every_kind
def test_float32_in_float32_out(settings):
    X, y = sample()
    model = PolynomialRegressor(**settings).fit(X.astype(np.float32), y.astype(np.float32))
    for values in (
        model.predict(X.astype(np.float32)),
        *model.predict(X.astype(np.float32), return_std=True),
        *model.predict_interval(X.astype(np.float32)),
    ):
        assert values.dtype == np.float32
    assert model.predict(X).dtype == np.float64
    wanted = PolynomialRegressor(**settings).fit(X, y).predict(X)
    assert_allclose(model.predict(X.astype(np.float32)), wanted, atol=2e-6)


def test_integers_and_lists():
    X, y = [[1, 2], [3, 4], [5, 7], [2, 2]], [1, 2, 3, 4]
    model = PolynomialRegressor(1).fit(X, y)
    wanted = PolynomialRegressor(1).fit(np.array(X, dtype=float), np.array(y, dtype=float))
    np.testing.assert_array_equal(model.predict(X), wanted.predict(np.array(X, dtype=float)))
    assert model.predict(X).dtype == np.float64


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


FORMS = {
    "F-order": np.asfortranarray,
    "strided": lambda a: np.repeat(a, 2, axis=0)[::2],
    "reversed": lambda a: a[::-1].copy()[::-1],
    "read-only": read_only,
}


@every_kind
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_memory_layout_plays_no_part(form, settings):
    X, y = sample()
    model = PolynomialRegressor(**settings).fit(form(X), form(y))
    wanted = PolynomialRegressor(**settings).fit(X, y)
    assert_allclose(model.predict(form(X)), wanted.predict(X), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("container", [csr_array, csc_array])
def test_read_only_sparse_rows(container):
    X, y = sample()
    X = container(np.where(np.abs(X) < 0.5, 0.0, X))
    for part in (X.data, X.indices, X.indptr):
        part.flags.writeable = False
    assert PolynomialRegressor().fit(X, y).predict(X).shape == y.shape


@every_kind
@pytest.mark.parametrize("container", [np.array, csr_array])
def test_the_callers_arrays_are_left_alone(container, settings):
    if not PolynomialRegressor(**settings).__sklearn_tags__().input_tags.sparse:
        container = np.array
    X, y = sample()
    X = container(np.where(np.abs(X) < 0.3, 0.0, X))
    weight = np.linspace(0, 2, 40)
    given = copy.deepcopy((X, y, weight))
    PolynomialRegressor(**settings).fit(X, y, sample_weight=weight).predict(X, return_std=True)
    kept = X.toarray() if container is csr_array else X
    before = given[0].toarray() if container is csr_array else given[0]
    np.testing.assert_array_equal(kept, before)
    np.testing.assert_array_equal(y, given[1])
    np.testing.assert_array_equal(weight, given[2])


def test_a_later_change_of_the_callers_rows_does_not_reach_the_model():
    X, y = sample()
    model = PolynomialRegressor(solver="dual", alpha=0.1).fit(X, y)
    new = X[:5].copy()
    wanted = model.predict(new)
    X[:] = 0.0
    np.testing.assert_array_equal(model.predict(new), wanted)


def test_feature_names_of_pandas_and_polars():
    X, y = sample()
    for library in (pytest.importorskip("pandas"), pytest.importorskip("polars")):
        frame = library.DataFrame({"width": X[:, 0], "height": X[:, 1]})
        model = PolynomialRegressor(2).fit(frame, y)
        assert model.feature_names_in_.tolist() == ["width", "height"]
        names = ["width", "height", "width^2", "width height", "height^2"]
        assert model.get_term_names().tolist() == names
        assert "width height" in model.formula()
        wanted = PolynomialRegressor(2).fit(X, y).predict(X)
        np.testing.assert_array_equal(model.predict(frame), wanted)


def test_frames_with_other_columns_are_refused():
    pd = pytest.importorskip("pandas")
    X, y = sample()
    model = PolynomialRegressor(2).fit(pd.DataFrame(X, columns=["a", "b"]), y)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(pd.DataFrame(X, columns=["b", "a"]))


def by_joblib(model):
    stream = io.BytesIO()
    joblib.dump(model, stream)
    stream.seek(0)
    return joblib.load(stream)


def by_skops(model):
    skops = pytest.importorskip("skops.io")
    name = "sklearn_ext.linear_model._polynomial.PolynomialRegressor"
    stored = skops.dumps(model)
    assert set(skops.get_untrusted_types(data=stored)) == {name}
    return skops.loads(stored, trusted=[name])


STORES = {
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "joblib": by_joblib,
    "skops": by_skops,
}


@every_kind
@pytest.mark.parametrize("store", STORES.values(), ids=STORES)
def test_stored_models_are_bitwise_the_same(store, settings):
    X, y = sample()
    model = PolynomialRegressor(**settings).fit(X, np.column_stack([y, y**2]))
    loaded = store(model)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    for got, wanted in zip(
        loaded.predict(X, return_std=True), model.predict(X, return_std=True), strict=True
    ):
        np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(loaded.coef_, model.coef_)
    assert loaded.get_params() == model.get_params()
    assert loaded.formula() == model.formula()


@pytest.mark.parametrize("store", STORES.values(), ids=STORES)
def test_models_with_read_coefficients_are_stored_too(store):
    X, y = sample()
    model = PolynomialRegressor().fit(X, y)
    wanted = model.coef_
    np.testing.assert_array_equal(store(model).coef_, wanted)


@pytest.mark.parametrize("store", STORES.values(), ids=STORES)
def test_stored_streams_go_on(store):
    X, y = sample(80)
    whole = PolynomialRegressor(2).fit(X, y)
    model = store(PolynomialRegressor(2).partial_fit(X[:50], y[:50]))
    assert_allclose(model.partial_fit(X[50:], y[50:]).predict(X), whole.predict(X), atol=1e-11)


def test_a_copy_does_not_follow_the_original():
    X, y = sample()
    model = PolynomialRegressor(2).partial_fit(X, y)
    other = copy.copy(model)
    wanted = model.predict(X)
    other.partial_fit(X, y + 1)
    np.testing.assert_array_equal(model.predict(X), wanted)


def test_clone_forgets_the_fit():
    model = clone(PolynomialRegressor(3, alpha=0.5).fit(*sample()))
    assert not hasattr(model, "coef_")
    assert model.get_params() == PolynomialRegressor(3, alpha=0.5).get_params()


def test_a_warning_turned_into_an_error_leaves_nothing_behind():
    # Every test runs with warnings as errors: this is what a strict caller sees.
    X, y = sample()
    X[:, 1] = X[:, 0]
    model = PolynomialRegressor(2).fit(*sample())
    assert_refused(model, lambda m: m.fit(X, y), "determine 2 of 5 terms", RankWarning)
