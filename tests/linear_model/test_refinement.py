"""Refined coefficients: NIST's certified digits, and exact rational solutions."""

from fractions import Fraction

import numpy as np
import pytest

from sklearn_ext import PolynomialRegressor
from sklearn_ext.datasets import list_nist, load_nist
from sklearn_ext.exceptions import PrecisionWarning

# Raw coefficients of these sets cancel so much that the classical solvers say so.
QUIET = pytest.mark.filterwarnings("ignore::sklearn_ext.exceptions.PrecisionWarning")
every_set = pytest.mark.parametrize("name", list_nist())


def digits(estimated, certified):
    """Log relative error (absolute where the certified value is 0), at most 15."""
    estimated, certified = np.asarray(estimated), np.asarray(certified)
    scale = np.where(certified == 0, 1.0, np.abs(certified))
    error = np.abs(estimated - certified) / scale
    return np.min(np.minimum(-np.log10(np.maximum(error, 1e-300)), 15.0))


def fitted(data, solver):
    model = PolynomialRegressor(data.degree, fit_intercept=data.fit_intercept, solver=solver)
    return model.fit(data.data, data.target)


def with_constant(model, constant, others):
    return np.r_[constant, others] if model.fit_intercept else others


@every_set
def test_refined_coefficients_hold_13_digits(name):
    data = load_nist(name)
    model = fitted(data, "refined")
    assert digits(with_constant(model, model.intercept_, model.coef_), data.coef) >= 13


@QUIET
@every_set
def test_auto_coefficients_hold_8_digits(name):
    data = load_nist(name)
    model = fitted(data, "auto")
    assert digits(with_constant(model, model.intercept_, model.coef_), data.coef) >= 8


@every_set
def test_standard_errors_hold_12_digits(name):
    data = load_nist(name)
    model = fitted(data, "refined")
    errors = with_constant(model, model.intercept_stderr_, model.coef_stderr_)
    certified = data.standard_error != 0
    if certified.any():
        assert digits(errors[certified], data.standard_error[certified]) >= 12
    if not certified.all():  # an exact polynomial: no noise is left
        scale = np.abs(data.coef[~certified])
        assert np.all(errors[~certified] <= 1e-12 * scale)


@every_set
def test_residual_deviation_holds_12_digits(name):
    data = load_nist(name)
    deviation = np.sqrt(fitted(data, "refined").noise_variance_)
    if data.residual_std == 0:
        assert deviation <= 1e-12 * np.abs(data.target).max()
    else:
        assert digits(deviation, data.residual_std) >= 12


def exact_ridge(x, y, degree, weight):
    """Weighted least-squares coefficients of powers of x, by rational elimination."""
    rows = [[Fraction(v) ** k for k in range(degree + 1)] for v in x.tolist()]
    w, t = [Fraction(v) for v in weight.tolist()], [Fraction(v) for v in y.tolist()]
    size = degree + 1
    system = [
        [sum(wi * r[a] * r[b] for wi, r in zip(w, rows, strict=True)) for b in range(size)]
        + [sum(wi * r[a] * ti for wi, r, ti in zip(w, rows, t, strict=True))]
        for a in range(size)
    ]
    for i in range(size):  # Gauss-Jordan
        system[i] = [v / system[i][i] for v in system[i]]
        for j in range(size):
            if j != i:
                system[j] = [
                    a - system[j][i] * b for a, b in zip(system[j], system[i], strict=True)
                ]
    return [float(row[-1]) for row in system]


@pytest.mark.parametrize("basis", ["legendre", "chebyshev", "monomial"])
def test_refined_is_the_exact_weighted_solution(basis):
    rng = np.random.default_rng(0)
    x, weight = rng.uniform(4, 6, size=30), rng.uniform(0.5, 2, size=30)
    y = np.sin(x) + rng.normal(scale=0.1, size=30)
    model = PolynomialRegressor(8, basis=basis, solver="refined")
    model.fit(x[:, None], y, sample_weight=weight)
    wanted = exact_ridge(x, y, 8, weight)
    assert digits(np.r_[model.intercept_, model.coef_], wanted) >= 14


def test_refined_targets_do_not_disturb_each_other():
    rng = np.random.default_rng(1)
    X = rng.uniform(size=(40, 2))
    Y = rng.normal(size=(40, 3)) * [1.0, 1e6, 1e-6]
    both = PolynomialRegressor(3, solver="refined").fit(X, Y)
    for output in range(3):
        alone = PolynomialRegressor(3, solver="refined").fit(X, Y[:, output])
        np.testing.assert_allclose(both.coef_[output], alone.coef_, rtol=1e-13)


def test_a_hopeless_start_is_told():
    # Two columns that nearly repeat each other: at degree 2 the first factorisation has no
    # digit right in one direction, so that steps do not shrink.
    rng = np.random.default_rng(0)
    x = rng.uniform(1, 2, size=200)
    X = np.column_stack([x, x + 1e-7 * rng.normal(size=200)])
    with pytest.warns(PrecisionWarning, match="solver='refined' stopped improving"):
        PolynomialRegressor(2, solver="refined").fit(X, rng.normal(size=200))
