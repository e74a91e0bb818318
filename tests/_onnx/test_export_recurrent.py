"""A recurrent net says the same in ONNX as in predict."""

import numpy as np
import pytest
from runtime import assert_agrees, run

from sklearn_ext import RNNClassifier, RNNRegressor

QUICK = {
    "hidden_size": 5,
    "batch_size": 64,
    "learning_rate_init": 0.02,
    "stem_channels": 4,
    "max_iter": 10,
    "random_state": 0,
}
TOLERANCES = {"float64": 1e-9, "float32": 1e-5}
CELLS = ["rnn", "lstm", "gru", "mingru"]
either_way = pytest.mark.parametrize("bidirectional", [True, False], ids=["both", "ahead"])


def ragged(n=60, n_channels=2, longest=30):
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, longest + 1, size=n)
    lengths[0] = longest
    X = [rng.normal(size=(t, n_channels)) * 3.0 + 7.0 for t in lengths]
    X[3][:] = 2.0  # constant channels
    return X, np.array([steps[:, 0].mean() + steps[-1, -1] / 3.0 - 9.0 for steps in X])


def padded(X, n_behind=0, fill=np.nan):
    lengths = np.array([len(steps) for steps in X])
    found = np.full((len(X), lengths.max() + n_behind, X[0].shape[1]), fill, X[0].dtype)
    for row, steps in zip(found, X, strict=True):
        row[: len(steps)] = steps
    return {"X": found, "lengths": lengths}


def assert_same(model, X, n_behind=0):
    for dtype, tolerance in TOLERANCES.items():
        of_type = [steps.astype(dtype) for steps in X]
        found = run(model.to_onnx(dtype=dtype), **padded(of_type, n_behind))
        assert list(found.values())[-1].dtype == dtype
        assert_agrees(model, of_type, found, tolerance)


@either_way
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("stem_channels", [0, 4])
@pytest.mark.parametrize("cell", CELLS)
def test_cells(cell, stem_channels, num_layers, bidirectional):
    X, y = ragged()
    settings = {"cell": cell, "num_layers": num_layers, "bidirectional": bidirectional}
    settings["stem_channels"] = stem_channels
    assert_same(RNNRegressor(**{**QUICK, **settings}).fit(X, y), X)


@either_way
@pytest.mark.parametrize("stem_channels", [0, 4])
@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention", ("max", "last")], ids=str)
def test_poolings(pooling, stem_channels, bidirectional):
    X, y = ragged()
    settings = {"pooling": pooling, "bidirectional": bidirectional, "cell": "gru"}
    model = RNNRegressor(**{**QUICK, **settings, "stem_channels": stem_channels}).fit(X, y)
    assert_same(model, X)


@pytest.mark.parametrize("max_steps", [1, 4, 10, None])
def test_windows(max_steps):
    X, y = ragged()
    model = RNNRegressor(max_steps=max_steps, **QUICK).fit(X, y)
    assert_same(model, X)
    assert_same(model, [np.concatenate([steps, steps]) for steps in X])


@either_way
@pytest.mark.parametrize("cell", CELLS)
def test_what_is_behind_the_ends_is_not_read(cell, bidirectional):
    X, y = ragged()
    model = RNNRegressor(cell=cell, bidirectional=bidirectional, max_steps=7, **QUICK).fit(X, y)
    assert_same(model, X, n_behind=9)
    exported, inputs = model.to_onnx(dtype="float64"), padded(X)
    found = run(exported, **inputs)["variable"]
    inputs["X"] = np.nan_to_num(inputs["X"], nan=1e6)
    np.testing.assert_array_equal(run(exported, **inputs)["variable"], found)


@pytest.mark.parametrize("settings", [{}, {"nonlinearity": "relu"}], ids=str)
def test_plain_cell(settings):
    X, y = ragged()
    model = RNNRegressor(cell="rnn", recurrent_init="identity", **settings, **QUICK).fit(X, y)
    assert_same(model, X)


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("n_members", [1, 3])
def test_even_sequences_and_members(n_members, n_channels):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(50, 20, n_channels))
    model = RNNRegressor(n_members=n_members, **QUICK).fit(X, X[:, :, 0].max(axis=1))
    assert_same(model, list(X))
    matrix = RNNRegressor(n_members=n_members, **QUICK).fit(X[:, :, 0], X[:, 3, 0])
    found = run(matrix.to_onnx(dtype="float64"), **padded(list(X[:, :, :1])))
    assert_agrees(matrix, X[:, :, 0], found, 1e-9)


@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize("kind", ["binary", "text", "multilabel"])
def test_classes(kind, n_members):
    X, y = ragged()
    thirds = np.digitize(y, np.quantile(y, [0.33, 0.67]))
    labels = {
        "binary": (y > np.median(y)).astype(int),
        "text": np.array(["a", "b", "c"])[thirds],
        "multilabel": np.stack([thirds > 0, thirds > 1], axis=1).astype(int),
    }[kind]
    assert_same(RNNClassifier(n_members=n_members, **QUICK).fit(X, labels), X)


@pytest.mark.parametrize(
    "settings",
    [{"loss": "poisson"}, {"loss": "quantile", "quantile": [0.2, 0.8]}, {"loss": "huber"}],
    ids=str,
)
def test_losses(settings):
    X, y = ragged()
    assert_same(RNNRegressor(**settings, **QUICK).fit(X, np.abs(y)), X)


def test_channels_come_last_whatever_fit_took():
    X, y = ragged()
    turned = [steps.T for steps in X]
    model = RNNRegressor(axis_order="channels_first", **QUICK).fit(turned, y)
    found = run(model.to_onnx(dtype="float64"), **padded(X))
    assert_agrees(model, turned, found, 1e-9)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_single_precision_uses_the_operators_of_onnx(cell):
    X, y = ragged()
    model = RNNRegressor(cell=cell, **QUICK).fit(X, y)
    operators = {
        dtype: {n.op_type for n in model.to_onnx(dtype=dtype).graph.node} for dtype in TOLERANCES
    }
    assert {cell.upper(), "Conv"} <= operators["float32"]
    assert "Scan" in operators["float64"] and "Conv" not in operators["float64"]
