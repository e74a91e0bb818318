"""GELU against torch, autograd and its own laws."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_ndtr

from sklearn_ext.activations import gelu, gelu_derivative, gelu_max_difference

FORMS = ["none", "tanh"]
GRID = np.linspace(-8.0, 8.0, 1601)
both_forms = pytest.mark.parametrize("approximate", FORMS)


@both_forms
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equals_torch(approximate, dtype):
    torch = pytest.importorskip("torch")
    x = GRID.astype(dtype)
    expected = torch.nn.functional.gelu(torch.from_numpy(x), approximate=approximate).numpy()
    eps = np.finfo(dtype).eps
    found = gelu(x, approximate)
    assert found.dtype == dtype
    assert_allclose(found, expected, rtol=8 * eps, atol=8 * eps)
    assert_array_equal(gelu(torch.from_numpy(x), approximate).numpy(), expected)


@both_forms
def test_derivative_equals_autograd(approximate):
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(GRID.copy()).requires_grad_()
    (slope,) = torch.autograd.grad(gelu(x, approximate).sum(), x)
    assert_allclose(gelu_derivative(GRID, approximate), slope.numpy(), rtol=1e-12, atol=1e-14)
    tensor = gelu_derivative(x.detach(), approximate).numpy()
    assert_allclose(tensor, slope.numpy(), rtol=1e-12, atol=1e-14)
    assert torch.autograd.gradcheck(lambda t: gelu(t, approximate), x[::50])
    assert torch.autograd.gradcheck(lambda t: gelu_derivative(t, approximate), x[::50])


@both_forms
def test_symmetry(approximate):
    assert_allclose(gelu(GRID, approximate) - gelu(-GRID, approximate), GRID, atol=1e-14)


def test_left_tail_keeps_its_digits():
    x = np.linspace(-30.0, -5.0, 50)
    assert_allclose(gelu(x), x * np.exp(log_ndtr(x)), rtol=1e-12)


def test_largest_difference_is_that_of_a_dense_grid():
    x = np.linspace(-6.0, 6.0, 200_001)
    gap = np.abs(gelu(x) - gelu(x, "tanh"))
    value, location = gelu_max_difference()
    assert value == pytest.approx(gap.max(), rel=1e-7)
    assert abs(x[gap.argmax()]) == pytest.approx(location, abs=1e-3)
    assert value == pytest.approx(4.7e-4, rel=0.01)


@both_forms
def test_infinities_and_nan(approximate):
    ends = np.array([-np.inf, np.inf, np.nan])
    assert_array_equal(gelu(ends, approximate), [0.0, np.inf, np.nan])
    assert_array_equal(gelu_derivative(ends, approximate), [0.0, 1.0, np.nan])


def test_kinds_of_input():
    assert gelu([1, 2]).dtype == np.float64
    assert isinstance(gelu(1.0), np.float64)
    assert gelu(np.zeros((2, 3))).shape == (2, 3)
    x = np.ones(3)
    x.flags.writeable = False
    gelu(x)
    with pytest.raises(TypeError, match="real numbers"):
        gelu(1j)
    with pytest.raises(ValueError, match="approximate must be 'none' or 'tanh', got 'erf'"):
        gelu(1.0, approximate="erf")
