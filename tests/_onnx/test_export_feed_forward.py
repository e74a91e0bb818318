"""A feed-forward net says the same in ONNX as in predict."""

import numpy as np
import pandas as pd
import pytest
from runtime import assert_agrees, run

from sklearn_ext import FFNNClassifier, FFNNRegressor
from sklearn_ext._onnx.activations import activated
from sklearn_ext._onnx.graph import Graph
from sklearn_ext.activations import gelu

ACTIVATIONS = ["gelu", "gelu_tanh", "relu", "silu", "tanh", "logistic", "identity"]
QUICK = {"hidden_layer_sizes": (9, 7), "max_iter": 8, "random_state": 0}
TOLERANCES = {"float64": 1e-9, "float32": 1e-5}


def table(n=150, n_features=4):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, n_features)) * [1.0, 100.0, 1e-3, 5.0][:n_features]
    return X, X[:, 0] ** 2 + X[:, 1] / 100.0 + rng.normal(size=n) * 0.1


def with_missing(X):
    X = X.copy()
    X[::7, 1] = np.nan
    X[3::11, 2] = np.nan
    return X


def assert_same(model, X, dtypes=tuple(TOLERANCES)):
    for dtype in dtypes:
        of_type = np.asarray(X).astype(dtype)
        found = run(model.to_onnx(dtype=dtype), X=of_type)
        assert list(found.values())[-1].dtype == dtype
        assert_agrees(model, of_type, found, TOLERANCES[dtype])


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("n_members", [1, 3])
def test_activations(activation, n_members):
    X, y = table()
    model = FFNNRegressor(activation=activation, n_members=n_members, **QUICK).fit(X, y)
    assert_same(model, X)


SETTINGS = [
    {},
    {"n_bins": 0},
    {"n_frequencies": 0},
    {"n_bins": 0, "n_frequencies": 0},
    {"blend_linear": False},
    {"hidden_layer_sizes": ()},
    {"solver": "lbfgs", "n_members": 2},
    {"loss": "absolute_error"},
    {"loss": "huber"},
    {"loss": "poisson"},
    {"loss": "quantile", "quantile": 0.8},
    {"loss": "quantile", "quantile": [0.9, 0.1, 0.5]},
]


@pytest.mark.parametrize("n_members", [1, 4])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_settings(settings, n_members):
    X, y = table()
    y = np.abs(y) if settings.get("loss") == "poisson" else y
    model = FFNNRegressor(**{**QUICK, "n_members": n_members, **settings}).fit(X, y)
    assert_same(model, X)


@pytest.mark.parametrize("quantile", [0.5, [0.75, 0.25]], ids=str)
@pytest.mark.parametrize("loss", ["squared_error", "quantile"])
def test_several_targets(loss, quantile):
    X, y = table()
    Y = np.stack([y, 100.0 - 3.0 * y, X[:, 1]], axis=1)
    model = FFNNRegressor(loss=loss, quantile=quantile, n_members=2, **QUICK).fit(X, Y)
    assert_same(model, X)


@pytest.mark.parametrize("n_members", [1, 4])
def test_missing_values(n_members):
    X, y = table()
    model = FFNNRegressor(n_members=n_members, **QUICK).fit(with_missing(X), y)
    assert_same(model, with_missing(X))
    assert_same(model, X)
    unseen = X.copy()
    unseen[::2, 0] = np.nan  # no flag was learned for this column
    assert_same(model, unseen)


def with_categories(n_codes):
    X, y = table(400)
    rng = np.random.default_rng(1)
    X[:, 0], X[:, 2] = rng.integers(n_codes, size=400) * 3 - 7, rng.integers(4, size=400) + 0.5
    return X, y + np.sin(X[:, 0])


@pytest.mark.parametrize("n_members", [1, 4])
@pytest.mark.parametrize("n_codes", [5, 50], ids=["one-hot", "embedded"])
@pytest.mark.parametrize("columns", [[0, 2], [0, 1, 2, 3]], ids=str)
def test_categories_that_are_numbers(columns, n_codes, n_members):
    X, y = with_categories(n_codes)
    X[:, [1, 3]] = np.round(X[:, [1, 3]])
    settings = {"categorical_features": columns, "n_members": n_members}
    model = FFNNRegressor(**settings, **QUICK).fit(X, y)
    assert model._encoding["embedded"].size > 0 or n_codes == 5
    X[:5, 0], X[5:9, 0], X[3:7, 2] = 1e6, np.nan, -1.0  # unknown and missing ones
    assert_same(model, X)


def test_categories_of_a_frame():
    X, y = with_categories(5)
    frame = pd.DataFrame(X, columns=list("abcd")).astype({"a": "category"})
    model = FFNNRegressor(n_members=2, **QUICK).fit(frame, y)
    assert_agrees(model, frame, run(model.to_onnx(dtype="float64"), X=X), 1e-9)


def test_text_categories_are_refused_by_name():
    X, y = table()
    frame = pd.DataFrame(X[:, :2], columns=list("ab")).assign(c=pd.Categorical(["u", "v"] * 75))
    model = FFNNRegressor(n_members=1, **QUICK).fit(frame, y)
    with pytest.raises(NotImplementedError, match="categorical_features holds column 2"):
        model.to_onnx()


def test_categories_that_single_precision_cannot_tell_apart():
    X, y = table()
    X[:, 3] = 2.0**24 + np.arange(len(X)) % 3
    model = FFNNRegressor(n_members=1, categorical_features=[3], **QUICK).fit(X, y)
    with pytest.raises(NotImplementedError, match="categorical_features are equal in float32"):
        model.to_onnx(dtype="float32")
    assert_same(model, X, ["float64"])


def labels_of(kind, y):
    thirds = np.digitize(y, np.quantile(y, [0.33, 0.67]))
    return {
        "text": np.array(["no", "yes"])[(y > 1).astype(int)],
        "objects": np.array(["red", "green", "blue"], dtype=object)[thirds],
        "integers": thirds * 10 - 5,
        "floats": thirds + 1.0,
        "booleans": y > 1,
        "multilabel": np.stack([y > 0, y > 1, y > 2], axis=1).astype(int),
    }[kind]


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize(
    "kind", ["text", "objects", "integers", "floats", "booleans", "multilabel"]
)
def test_classes(kind, n_members):
    X, y = table()
    model = FFNNClassifier(n_members=n_members, **QUICK).fit(X, labels_of(kind, y))
    assert_same(model, X)


def test_net_of_single_precision():
    X, y = table()
    model = FFNNRegressor(n_members=2, **QUICK).fit(X.astype(np.float32), y)
    assert_same(model, X, ["float32"])
    found = run(model.to_onnx(dtype="float64"), X=X)
    assert_agrees(model, X, found, 1e-5)  # predict computes in single here


def test_sparse_training_rows_give_a_model_of_dense_ones():
    from scipy.sparse import csr_array

    X, y = table()
    X[np.abs(X) < 0.5] = 0.0
    assert_same(FFNNRegressor(n_members=2, **QUICK).fit(csr_array(X), y), X, ["float64"])


def test_low_rank_change_is_merged():
    from sklearn.frozen import FrozenEstimator

    from sklearn_ext.neural_network._lora import LoRAAdapter

    X, y = table()
    base = FFNNRegressor(n_members=2, **QUICK).fit(X, y)
    adapted = LoRAAdapter(FrozenEstimator(base), max_iter=2, random_state=0).fit(X, y + X[:, 0])
    assert_same(adapted.merge(), X, ["float64"])
    assert np.abs(adapted.merge().predict(X) - base.predict(X)).max() > 1e-3


def test_one_row_and_none():
    X, y = table()
    model = FFNNRegressor(n_members=2, **QUICK).fit(X, y).to_onnx()
    for n in (0, 1):
        assert run(model, X=X[:n].astype(np.float32))["variable"].shape == (n, 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gelu_keeps_the_digits_of_its_tail(dtype):
    x = np.linspace(-8.0, 8.0, 1001).astype(dtype)
    graph = Graph(dtype)
    value = activated(graph, graph.input("X", (None,)), "gelu")
    found = run(graph.model({"y": value}, 18), X=x)["y"]
    expected = gelu(x.astype(np.float64))
    if dtype == "float64":
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=0.0)
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
