"""NIST's sets are read whole, and the certified values belong to the data."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_ext.datasets import list_nist, load_nist

EXPECTED = {
    # name: (n_samples, n_features, degree, fit_intercept)
    "Norris": (36, 1, 1, True),
    "Pontius": (40, 1, 2, True),
    "NoInt1": (11, 1, 1, False),
    "NoInt2": (3, 1, 1, False),
    "Filip": (82, 1, 10, True),
    "Longley": (16, 6, 1, True),
    "Wampler1": (21, 1, 5, True),
    "Wampler2": (21, 1, 5, True),
    "Wampler3": (21, 1, 5, True),
    "Wampler4": (21, 1, 5, True),
    "Wampler5": (21, 1, 5, True),
}
every_set = pytest.mark.parametrize("name", EXPECTED)


def design_matrix(data, degree, fit_intercept):
    """Columns of the certified coefficients, as exact fractions."""
    rows = [[Fraction(value) for value in row] for row in data.tolist()]
    if data.shape[1] == 1:
        powers = range(0 if fit_intercept else 1, degree + 1)
        return [[row[0] ** power for power in powers] for row in rows]
    return [[Fraction(1), *row] for row in rows]


def predict_exactly(bunch, coef):
    design = design_matrix(bunch.data, bunch.degree, bunch.fit_intercept)
    return [sum(a * b for a, b in zip(row, coef, strict=True)) for row in design]


def test_list_names_all_sets():
    assert list_nist() == list(EXPECTED)


@every_set
def test_shapes_and_model(name):
    bunch = load_nist(name)
    n_samples, n_features, degree, fit_intercept = EXPECTED[name]
    assert bunch.data.shape == (n_samples, n_features)
    assert bunch.target.shape == (n_samples,)
    assert (bunch.degree, bunch.fit_intercept) == (degree, fit_intercept)
    n_terms = (degree if n_features == 1 else n_features) + fit_intercept
    assert bunch.coef.shape == bunch.standard_error.shape == (n_terms,)
    assert len(bunch.coef_exact_double_inputs) == n_terms
    assert len(bunch.feature_names) == n_features
    assert bunch.data.dtype == bunch.target.dtype == bunch.coef.dtype == np.float64
    assert name in bunch.DESCR


@every_set
def test_exact_coefficients_solve_the_normal_equations(name):
    # Exact rational arithmetic: a wrong digit in the data or in a coefficient shows.
    bunch = load_nist(name)
    coef = [Fraction(text) for text in bunch.coef_exact_double_inputs]
    fitted = predict_exactly(bunch, coef)
    target = [Fraction(value) for value in bunch.target.tolist()]
    design = design_matrix(bunch.data, bunch.degree, bunch.fit_intercept)
    for column in zip(*design, strict=True):
        gradient = sum(a * (y - f) for a, y, f in zip(column, target, fitted, strict=True))
        scale = sum(abs(a * y) for a, y in zip(column, target, strict=True))
        assert abs(gradient) <= Fraction(1, 10**18) * scale


@every_set
def test_residual_std_and_r2_follow_from_the_coefficients(name):
    bunch = load_nist(name)
    coef = [Fraction(text) for text in bunch.coef_exact_double_inputs]
    fitted = np.array([float(value) for value in predict_exactly(bunch, coef)])
    residual = float(np.sum((bunch.target - fitted) ** 2))
    freedom = len(bunch.target) - len(coef)
    centre = bunch.target.mean() if bunch.fit_intercept else 0.0
    total = float(np.sum((bunch.target - centre) ** 2))
    tiny = 1e-12 * np.abs(bunch.target).max()
    assert_allclose(np.sqrt(residual / freedom), bunch.residual_std, rtol=1e-8, atol=tiny)
    assert_allclose(1 - residual / total, bunch.r2, rtol=1e-10)


@every_set
def test_certified_and_exact_coefficients_agree(name):
    bunch = load_nist(name)
    exact = np.array([float(text) for text in bunch.coef_exact_double_inputs])
    assert_allclose(exact, bunch.coef, rtol=1e-7)


def test_callers_do_not_share_arrays():
    load_nist("Norris").data[:] = 0
    assert load_nist("Norris").data.any()


@pytest.mark.parametrize("name", ["norris", "", None, 3, ["Norris"]])
def test_unknown_name_lists_the_known_ones(name):
    with pytest.raises(ValueError, match=r"name must be one of .*'Filip'.* Got "):
        load_nist(name)
