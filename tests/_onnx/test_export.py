"""What `to_onnx` of all estimators has in common: names, versions and errors."""

import sys

import numpy as np
import onnx
import pytest
from runtime import assert_agrees, run
from sklearn.exceptions import NotFittedError

from sklearn_ext import (
    FFNNClassifier,
    FFNNRegressor,
    PolynomialRegressor,
    RNNClassifier,
    RNNRegressor,
)
from sklearn_ext.exceptions import MissingDependencyError

SMALL = {"max_iter": 4, "batch_size": 40, "random_state": 0}
ESTIMATORS = [
    PolynomialRegressor(3, alpha=0.1),
    FFNNRegressor(hidden_layer_sizes=(8,), n_members=2, **SMALL),
    FFNNClassifier(hidden_layer_sizes=(8,), n_members=2, **SMALL),
    RNNRegressor(cell="gru", hidden_size=4, stem_channels=4, max_steps=3, **SMALL),
    RNNClassifier(cell="mingru", hidden_size=4, stem_channels=4, max_steps=3, **SMALL),
]
every_estimator = pytest.mark.parametrize(
    "estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__
)


@pytest.fixture(scope="module")
def table():
    X = np.random.default_rng(0).normal(size=(80, 6))
    return X, (X[:, 0] + X[:, 1] ** 2 > 0.5).astype(int)


def inputs_of(estimator, X):
    if "RNN" not in type(estimator).__name__:
        return {"X": X}
    return {"X": X[:, :, None], "lengths": np.full(len(X), X.shape[1])}


@every_estimator
@pytest.mark.parametrize("opset", [18, 20, 22])
def test_versions_of_the_operators(estimator, opset, table):
    fitted = estimator.fit(*table)
    model = fitted.to_onnx(dtype="float64", opset=opset)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", opset)]
    onnx.checker.check_model(model, full_check=True)
    found = run(model, **inputs_of(estimator, table[0]))
    assert_agrees(fitted, table[0], found, 1e-9)


@every_estimator
def test_file_is_read_back(estimator, table, tmp_path):
    fitted = estimator.fit(*table)
    path = tmp_path / "model.onnx"
    onnx.save(fitted.to_onnx(dtype="float64"), path)
    found = run(onnx.load(path), **inputs_of(estimator, table[0]))
    assert_agrees(fitted, table[0], found, 1e-9)


@every_estimator
def test_names_types_and_shapes_of_the_outputs(estimator, table):
    model = estimator.fit(*table).to_onnx()
    types = {value.name: value.type.tensor_type for value in model.graph.output}
    wide = {"variable": 1, "probabilities": 2}
    for name, kind in types.items():
        if name == "label":
            assert kind.elem_type == onnx.TensorProto.INT64 and len(kind.shape.dim) == 1
        else:
            assert kind.elem_type == onnx.TensorProto.FLOAT
            assert kind.shape.dim[1].dim_value == wide[name]


@every_estimator
def test_equal_fits_give_equal_files(estimator, table):
    first, second = (estimator.fit(*table).to_onnx() for _ in range(2))
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(
        deterministic=True
    )


@every_estimator
def test_export_changes_nothing(estimator, table):
    fitted = estimator.fit(*table)
    before, names = fitted.predict(table[0]), set(vars(fitted))
    fitted.to_onnx()
    assert set(vars(fitted)) == names
    np.testing.assert_array_equal(fitted.predict(table[0]), before)


def test_unfitted():
    with pytest.raises(NotFittedError):
        PolynomialRegressor().to_onnx()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dtype": "float16"}, "dtype must be 'float32' or 'float64', got 'float16'"),
        ({"opset": 17}, "opset must be from 18 to .*, got 17"),
        ({"opset": 1000}, "opset must be from 18 to .*, got 1000"),
    ],
    ids=str,
)
def test_bad_settings(settings, message, table):
    with pytest.raises(ValueError, match=message):
        PolynomialRegressor().fit(*table).to_onnx(**settings)


def test_missing_package_is_named(monkeypatch, table):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingDependencyError, match=r"to_onnx needs .*sklearn-ext\[onnx\]"):
        PolynomialRegressor().fit(*table).to_onnx()
