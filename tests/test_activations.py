"""GELU against its formula in 400 digits, against torch, and against its own laws."""

import subprocess
import sys
from decimal import Decimal, localcontext
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.special import erf, log_ndtr

from sklearn_ext.activations import gelu, gelu_derivative, gelu_max_difference

ROOT = Path(__file__).parents[1]
FORMS = ("none", "tanh")
GRID = np.linspace(-12, 12, 4801)
# Numbers as doubles: the squares of most are not exact.
TAIL = [-0.1, -0.7517915, -1.4142135623730951, -3.3, -7.7, -10.0, -14.937, -25.3, -36.6]

both_forms = pytest.mark.parametrize("form", FORMS)
both_functions = pytest.mark.parametrize("function", [gelu, gelu_derivative])

# %% High precision: with 400 digits even 1 - Φ(37) = 6e-300 may be had by subtraction.


def exact_value(x, form):
    """Evaluate equation (1) or (2) for the double x and round once."""
    with localcontext(prec=400):
        x = Decimal(x)
        return float(x * (exact_cdf(x) if form == "none" else exact_weight(x)[0]))


def exact_derivative(x, form):
    """Evaluate the derivative of equation (1) or (2) for the double x and round once."""
    with localcontext(prec=400):
        x = Decimal(x)
        if form == "none":
            return float(exact_cdf(x) + x * exact_density(x))
        weight, slope = exact_weight(x)
        return float(weight + x * slope)


def exact_cdf(x):
    """Φ(x) = 1/2 + φ(x) (x + x³/3 + x⁵/(3·5) + ...)."""
    term = total = x
    odd = 3
    while abs(term) > abs(total) * Decimal("1e-399"):
        term *= x * x / odd
        total += term
        odd += 2
    return Decimal("0.5") + exact_density(x) * total


def exact_density(x):
    return (-x * x / 2).exp() / (2 * exact_pi()).sqrt()


def exact_weight(x):
    """(1 + tanh u) / 2 of equation (2), and its derivative (1 - tanh² u) u' / 2."""
    scale, cubic = (2 / exact_pi()).sqrt(), Decimal("0.044715")
    double = (2 * scale * (x + cubic * x**3)).exp()
    tanh = (double - 1) / (double + 1)
    return (1 + tanh) / 2, (1 - tanh**2) * scale * (1 + 3 * cubic * x**2) / 2


@cache
def exact_pi():
    """Machin's formula, π/4 = 4 arctan(1/5) - arctan(1/239)."""
    with localcontext(prec=410):
        return 4 * (4 * arctan_of_inverse(5) - arctan_of_inverse(239))


def arctan_of_inverse(n):
    total, power, k = Decimal(0), 1 / Decimal(n), 0
    while power > Decimal("1e-410"):
        total += (-1) ** k * power / (2 * k + 1)
        power /= n * n
        k += 1
    return total


def relative_error(value, expected):
    return abs(value - expected) / abs(expected)


@pytest.mark.parametrize("x", [*TAIL, 1e-300, 0.3, 1.7, 9.1, 36.6])
def test_exact_form_is_accurate_to_the_last_bits(x):
    # -0.7517915 lies where the derivative is zero, so that there only its size before the
    # cancellation, about 0.2, counts.
    assert relative_error(gelu(x), exact_value(x, "none")) < 1e-15
    expected = exact_derivative(x, "none")
    assert abs(gelu_derivative(x) - expected) < 1e-15 * max(abs(expected), 0.2 * (abs(x) < 1))


@pytest.mark.parametrize("x", [-10.0, *TAIL[:6], 1e-300, 0.3, 1.7, 9.1])
def test_tanh_form_keeps_its_tail(x):
    # The exponential magnifies the rounding of its argument, which is about |x|³/10.
    bound = 1e-15 * (1 + abs(x) ** 3 / 10)
    assert relative_error(gelu(x, "tanh"), exact_value(x, "tanh")) < bound
    expected = exact_derivative(x, "tanh")
    error = abs(gelu_derivative(x, "tanh") - expected)
    assert error < bound * max(abs(expected), 0.2 * (abs(x) < 1))


def test_exact_form_against_scipy():
    np.testing.assert_allclose(gelu(GRID), GRID * (1 + erf(GRID / np.sqrt(2))) / 2, atol=2e-15)
    tail = np.linspace(-37, -1, 1000)
    # log Φ is up to 700, its rounding error an absolute one of 1e-13.
    np.testing.assert_allclose(gelu(tail), tail * np.exp(log_ndtr(tail)), rtol=5e-13)


def test_tanh_form_against_its_formula():
    bracket = 1 + np.tanh(np.sqrt(2 / np.pi) * (GRID + 0.044715 * GRID**3))
    np.testing.assert_allclose(gelu(GRID, "tanh"), 0.5 * GRID * bracket, rtol=0, atol=2e-15)


@both_forms
def test_derivative_against_differences(form):
    step = 1e-5
    slope = (gelu(GRID + step, form) - gelu(GRID - step, form)) / (2 * step)
    np.testing.assert_allclose(gelu_derivative(GRID, form), slope, rtol=0, atol=1e-9)


@both_forms
def test_reflection(form):
    np.testing.assert_allclose(gelu(GRID, form) - gelu(-GRID, form), GRID, rtol=4e-16, atol=0)
    both = gelu_derivative(GRID, form) + gelu_derivative(-GRID, form)
    np.testing.assert_allclose(both, 1, rtol=4e-16)


def test_documented_extrema():
    x = np.linspace(-3, 3, 600_001)
    value, slope = gelu(x), gelu_derivative(x)
    assert x[value.argmin()] == pytest.approx(-0.7518, abs=5e-5)
    assert value.min() == pytest.approx(-0.17, abs=5e-3)
    assert x[slope.argmin()] == pytest.approx(-np.sqrt(2), abs=2e-5)
    assert x[slope.argmax()] == pytest.approx(np.sqrt(2), abs=2e-5)
    assert (slope.min(), slope.max()) == pytest.approx((-0.129, 1.129), abs=5e-4)


# %% The largest difference of the forms


def test_max_difference_is_that_of_a_dense_grid():
    value, location = gelu_max_difference()
    x = np.linspace(-20, 20, 1_000_001)
    gap = np.abs(gelu(x) - gelu(x, "tanh"))
    assert gap.max() <= value
    # Quadratic about the maximum: half a step of 4e-5 cannot lose more than this.
    assert gap.max() == pytest.approx(value, rel=1e-8)
    assert abs(x[gap.argmax()]) == pytest.approx(location, abs=4e-5)


def test_max_difference_is_as_documented():
    found = gelu_max_difference()
    assert found == (found.value, found.location)
    assert found.value == pytest.approx(4.7324e-4, abs=5e-9)
    assert found.location == pytest.approx(2.6989, abs=5e-5)
    exact = exact_value(-found.location, "none") - exact_value(-found.location, "tanh")
    assert abs(exact) == pytest.approx(found.value, rel=1e-12)


# %% Types, shapes and special values


@both_functions
@both_forms
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floating_dtype_is_kept(function, form, dtype):
    x = GRID.astype(dtype)
    value = function(x, form)
    assert value.dtype == dtype
    np.testing.assert_array_equal(value, function(x.astype(np.float64), form).astype(dtype))
    swapped = function(x.astype(np.dtype(dtype).newbyteorder()), form)
    assert swapped.dtype == dtype
    np.testing.assert_array_equal(swapped, value)


@both_functions
@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "bool", "float16", ">f8"])
def test_other_real_dtypes_become_float64(function, dtype):
    x = np.array([0, 1, 1, 0], dtype)
    value = function(x)
    assert value.dtype == np.float64
    np.testing.assert_array_equal(value, function([0.0, 1.0, 1.0, 0.0]))


@both_functions
@pytest.mark.parametrize("shape", [(0,), (5,), (2, 3), (2, 0), (1, 1, 1)])
def test_shape_is_kept(function, shape):
    x = np.arange(np.prod(shape), dtype=float).reshape(shape) - 1
    assert function(x).shape == shape
    np.testing.assert_array_equal(function(x.tolist()), function(x))


@both_functions
@pytest.mark.parametrize("x", [2, 2.0, True, np.float64(2), np.array(2.0)])
def test_number_gives_a_numpy_scalar(function, x):
    value = function(x)
    assert type(value) is np.float64
    assert value == function([x])[0]
    assert type(function(np.float32(2))) is np.float32


@both_functions
@both_forms
def test_input_is_left_alone(function, form):
    x = GRID.copy()
    x.flags.writeable = False
    value = function(x, form)
    assert not np.shares_memory(value, x)
    np.testing.assert_array_equal(x, GRID)
    # A view with gaps and a reversed one are read in their own order.
    np.testing.assert_array_equal(function(x[::-2], form), value[::-2])


@both_forms
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_special_values_raise_no_floating_point_flag(form, dtype):
    limits = np.finfo(dtype)
    big, tiny = limits.max, limits.smallest_subnormal
    x = np.array([-np.inf, -big, -65, -38, -tiny, 0, tiny, 38, 65, big, np.inf, np.nan], dtype)
    with np.errstate(all="raise"):
        value, slope = gelu(x, form), gelu_derivative(x, form)
    np.testing.assert_array_equal(value[[0, 1, 2, 5]], 0)
    np.testing.assert_array_equal(value[7:], x[7:])
    np.testing.assert_array_equal(slope[:3], 0)
    np.testing.assert_array_equal(slope[4:7], 0.5)
    np.testing.assert_array_equal(slope[7:], [1, 1, 1, 1, np.nan])


@both_functions
def test_unknown_form(function):
    with pytest.raises(ValueError, match=r"approximate .*'none', 'tanh'.* got 'erf'"):
        function(1.0, approximate="erf")
    with pytest.raises(ValueError, match="got None"):
        function(1.0, approximate=None)


@both_functions
@pytest.mark.parametrize("x", [1j, np.ones(2, complex), "1", ["a"], None, [None, 1.0]])
def test_what_is_not_real(function, x):
    with pytest.raises(TypeError, match="x must hold real numbers"):
        function(x)


def test_module_does_not_import_torch():
    code = (
        "import sys; from sklearn_ext.activations import gelu, gelu_max_difference;"
        "gelu([1.0]), gelu_max_difference(); assert 'torch' not in sys.modules, 'torch'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


# %% Tensors


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@both_forms
@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-6), ("float64", 2e-15)])
def test_torch_gelu_agrees(torch, form, dtype, bound):
    x = torch.tensor(GRID, dtype=getattr(torch, dtype))
    expected = torch.nn.functional.gelu(x, approximate=form)
    for value in (gelu(x, form), torch.from_numpy(gelu(x.numpy(), form))):
        assert value.dtype == x.dtype
        # Relative to 1 and absolute about 0: torch's own form cancels in the left tail.
        torch.testing.assert_close(value, expected, rtol=bound, atol=bound)


@both_functions
@both_forms
@pytest.mark.parametrize(("dtype", "unit"), [("float32", 2**-24), ("float64", 2**-53)])
def test_tensor_keeps_the_tail(torch, function, form, dtype, unit):
    x = torch.linspace(-6, -2, 401, dtype=getattr(torch, dtype))
    value = function(x, form).double().numpy()
    expected = function(x.double().numpy(), form)
    error = np.abs(value / expected - 1)
    assert error.max() < 100 * unit  # about x² or |x|³ / 10 units are documented


@both_functions
@both_forms
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_tensor_gives_a_tensor_like_it(torch, function, form, dtype):
    x = torch.linspace(-70, 70, 2001, dtype=getattr(torch, dtype)).reshape(3, -1)
    before = x.clone()
    value = function(x, form)
    assert type(value) is torch.Tensor
    assert (value.dtype, value.device, value.shape) == (x.dtype, x.device, x.shape)
    assert torch.equal(x, before)
    expected = torch.from_numpy(function(x.double().numpy(), form))
    # A half is computed in float32, and so is off by its one rounding: half a unit.
    rtol, atol = (0.51, 1e-3) if x.itemsize == 2 else (2, 2)
    unit = torch.finfo(x.dtype).eps
    torch.testing.assert_close(value.double(), expected, rtol=rtol * unit, atol=atol * unit)
    assert function(x[0, 0], form).shape == ()
    assert function(x[:0], form).shape == (0, 667)


@both_functions
def test_tensor_stays_on_its_device(torch, function):
    value = function(torch.ones(2, 3, device="meta"))
    assert (value.device.type, value.shape) == ("meta", (2, 3))


@both_functions
def test_tensor_of_integers_gets_the_default_dtype(torch, function):
    value = function(torch.tensor([-1, 0, 2]))
    assert value.dtype == torch.get_default_dtype()
    torch.testing.assert_close(value, function(torch.tensor([-1.0, 0.0, 2.0])))


@both_functions
def test_complex_tensor(torch, function):
    with pytest.raises(TypeError, match="x must hold real numbers"):
        function(torch.ones(2, dtype=torch.complex64))


@both_functions
@both_forms
def test_gradcheck(torch, function, form):
    x = torch.tensor([-70, -9, -2.7, -0.75, 0, 0.3, 1.4, 5, 70], dtype=torch.float64)
    x.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: function(x, form), x)
    assert torch.autograd.gradgradcheck(lambda x: function(x, form), x)


@both_forms
@pytest.mark.parametrize(("dtype", "bound"), [("float32", 5e-6), ("float64", 2e-14)])
def test_autograd_gives_the_derivative(torch, form, dtype, bound):
    # torch differentiates its logistic function by s (1 - s), whose second factor has lost
    # digits on the right; the factor x v' of equation (4), up to 60 there, magnifies that.
    x = torch.tensor(GRID, dtype=getattr(torch, dtype), requires_grad=True)
    (slope,) = torch.autograd.grad(gelu(x, form).sum(), x)
    torch.testing.assert_close(slope, gelu_derivative(x.detach(), form), rtol=bound, atol=bound)


@both_forms
def test_special_values_of_tensors(torch, form):
    inf, nan = torch.inf, torch.nan
    x = torch.tensor([-inf, -1e30, 0.0, 1e30, inf, nan], requires_grad=True)
    value = gelu(x, form)
    (slope,) = torch.autograd.grad(value.sum(), x)
    expected = torch.tensor([0.0, 0.0, 0.5, 1.0, 1.0, nan])
    same = {"rtol": 0, "atol": 0, "equal_nan": True}
    torch.testing.assert_close(value.detach(), torch.tensor([0, 0, 0, 1e30, inf, nan]), **same)
    torch.testing.assert_close(slope, expected, **same)
    torch.testing.assert_close(gelu_derivative(x.detach(), form), expected, **same)
