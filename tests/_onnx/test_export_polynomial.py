"""A polynomial says the same in ONNX as in predict."""

import numpy as np
import onnx
import pytest
import torch
from runtime import assert_agrees, run
from scipy.sparse import csr_array
from sklearn import config_context

from sklearn_ext import PolynomialRegressor


def heavy_tailed(n=400, n_features=3):
    X = np.exp(np.random.default_rng(1).normal(size=(n, n_features)) * 1.5) * [1.0, 1e3, 1e-3]
    z = np.log(X / [1.0, 1e3, 1e-3])
    return X, z[:, 0] * z[:, 1] - np.sin(z[:, 2])


def normal_table(n=300, n_features=4, n_targets=None):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(n, n_features))
    y = X[:, 0] ** 2 - X[:, 1] * X[:, 2] + rng.normal(scale=0.1, size=n)
    return X, y if n_targets is None else np.stack([y * (k + 1) - k for k in range(n_targets)], 1)


def assert_same(model, X, tolerance=1e-9):
    for dtype, allowed in {"float64": tolerance, "float32": 1e-6}.items():
        found = run(model.to_onnx(dtype=dtype), X=X.astype(dtype))
        assert found["variable"].dtype == dtype
        assert_agrees(model, X.astype(dtype), found, allowed)


@pytest.mark.parametrize("degree", range(1, 11))
@pytest.mark.parametrize("basis", ["legendre", "chebyshev", "monomial"])
def test_heavy_tailed_columns_of_every_degree(degree, basis):
    X, y = heavy_tailed()
    model = PolynomialRegressor(degree, basis=basis, alpha=1e-6).fit(X, y)
    assert_same(model, X)


@pytest.mark.parametrize("degree", [2, 6])
def test_basis_that_is_orthonormal_on_the_data(degree):
    X, y = heavy_tailed(4000)
    model = PolynomialRegressor(degree).fit(X, y)
    assert model.basis_ == ("empirical" if degree == 6 else "legendre")
    # Degree 6 is refined, and predicts in twice the digits that a graph has: terms cancel.
    assert_same(model, X, 1e-8 if degree == 6 else 1e-9)


SETTINGS = [
    {"fit_intercept": False},
    {"interaction_only": True},
    {"truncation": 0.5, "degree": 5},
    {"solver": "qr"},
    {"solver": "refined"},
    {"selection": "lars", "degree": 4},
    {"selection": "forward", "degree": 3},
    {"degree": "auto", "alpha": "auto"},
    {"bounds": [-2.0, 2.0], "extrapolation": "linear", "degree": 4},
    {"solver": "dual", "degree": 3, "alpha": 0.1},
    {"solver": "dual", "degree": 4, "alpha": 0.1, "truncation": 0.75},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_settings(settings):
    X, y = normal_table()
    model = PolynomialRegressor(**settings).fit(X, y)
    assert_same(model, X)


@pytest.mark.filterwarnings("ignore::sklearn_ext.exceptions.ExtrapolationWarning")
@pytest.mark.parametrize("extrapolation", ["linear", "polynomial"])
@pytest.mark.parametrize("basis", ["legendre", "chebyshev", "monomial"])
def test_outside_the_bounds(extrapolation, basis):
    X, y = normal_table()
    model = PolynomialRegressor(5, alpha=0.1, extrapolation=extrapolation, basis=basis).fit(X, y)
    assert_same(model, X * 3.0)


def test_several_targets_have_a_column_each():
    X, y = normal_table(n_targets=3)
    assert_same(PolynomialRegressor(3).fit(X, y), X)


def test_model_of_sparse_rows_takes_dense_ones():
    X, y = normal_table()
    X[np.random.default_rng(3).random(X.shape) < 0.5] = 0.0
    assert_same(PolynomialRegressor(3).fit(csr_array(X), y), X)


def test_model_of_tensors():
    X, y = normal_table()
    with config_context(array_api_dispatch=True):
        model = PolynomialRegressor(3).fit(torch.from_numpy(X), torch.from_numpy(y))
        expected = model.predict(torch.from_numpy(X)).numpy()
    found = run(model.to_onnx(dtype="float64"), X=X)["variable"][:, 0]
    assert np.abs(found - expected).max() <= 1e-9 * np.std(expected)


def test_constant_polynomial():
    X, _ = normal_table()
    model = PolynomialRegressor(1, selection="lars").fit(X, np.full(len(X), 3.0))
    found = run(model.to_onnx(dtype="float64"), X=X)["variable"]
    np.testing.assert_allclose(found, np.full((len(X), 1), 3.0))


def test_columns_are_never_raised_to_powers():
    X, y = heavy_tailed()
    model = PolynomialRegressor(6, alpha=1e-6).fit(X, y).to_onnx()
    assert "Pow" not in {node.op_type for node in model.graph.node}


def test_input_and_output_have_the_names_and_shapes_of_skl2onnx():
    X, y = normal_table()
    model = PolynomialRegressor(2).fit(X, y).to_onnx()
    (given,), (found,) = model.graph.input, model.graph.output
    assert (given.name, found.name) == ("X", "variable")
    assert [dim.dim_value for dim in given.type.tensor_type.shape.dim] == [0, 4]
    assert found.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert found.type.tensor_type.shape.dim[1].dim_value == 1


@pytest.mark.parametrize("interaction_only", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("degree", [1, 2, 3])
def test_kernel_form_lists_no_terms(degree, fit_intercept, interaction_only):
    X = np.random.default_rng(0).normal(size=(40, 100))
    y = np.stack([X[:, 0] * X[:, 1], X[:, 2] ** 2 + 100.0], axis=1)
    settings = {"fit_intercept": fit_intercept, "interaction_only": interaction_only}
    model = PolynomialRegressor(degree, alpha=1.0, solver="dual", **settings).fit(X, y)
    assert_same(model, X)
    largest = max(np.prod(array.dims) for array in model.to_onnx().graph.initializer)
    assert largest <= X.size


def test_kernel_form_of_sparse_rows():
    X, y = normal_table(40, 100)
    X[np.abs(X) < 1.0] = 0.0
    assert_same(PolynomialRegressor(3, alpha=1.0).fit(csr_array(X), y), X)


@pytest.mark.filterwarnings("ignore::sklearn_ext.exceptions.ExtrapolationWarning")
@pytest.mark.parametrize("extrapolation", ["linear", "polynomial"])
def test_kernel_form_outside_the_bounds(extrapolation):
    X, y = normal_table(40, 20)
    model = PolynomialRegressor(3, alpha=1.0, solver="dual", extrapolation=extrapolation).fit(X, y)
    assert_same(model, X * 2.0)


def test_terms_that_are_too_many_to_list():
    X = np.random.default_rng(0).normal(size=(20, 60))
    model = PolynomialRegressor(4, alpha=1.0).fit(X, X[:, 0])
    assert model.n_terms_ == 635_375
    with pytest.raises(NotImplementedError, match=r"list the terms .* 635,375"):
        model.to_onnx()
