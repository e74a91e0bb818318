"""Statistics of a diagnosis against formulas and limit cases."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from sklearn_ext.inspection._fit_statistics import (
    corrected_t_test,
    explained_share,
    gamma_test,
    removable_share,
    skill,
)

RNG = np.random.default_rng(0)


def test_without_overlap_the_t_test_is_that_of_scipy():
    differences = RNG.normal(0.3, 1.0, size=12)
    found = corrected_t_test(differences, test_ratio=0.0)
    expected = stats.ttest_1samp(differences, 0.0, alternative="greater")
    assert_allclose(found.p_value, expected.pvalue)
    assert_allclose(found.mean / found.stderr, expected.statistic)


def test_overlap_widens_the_error_by_nadeau_and_bengio():
    differences = np.array([0.1, 0.2, 0.3, 0.15, 0.25])
    plain = corrected_t_test(differences, 0.0)
    corrected = corrected_t_test(differences, 1 / 4)
    # Five folds: (1/5 + 1/4) in place of 1/5.
    assert_allclose(corrected.stderr / plain.stderr, 1.5)
    assert_allclose(corrected.p_value, stats.t.sf(0.2 / corrected.stderr, 4))


def test_test_is_one_sided():
    differences = RNG.normal(0.3, 1.0, size=12)
    up, down = corrected_t_test(differences, 0.2), corrected_t_test(-differences, 0.2)
    assert_allclose(up.p_value + down.p_value, 1.0)


@pytest.mark.parametrize(("value", "p_value"), [(0.1, 0.0), (0.0, 0.5), (-0.1, 1.0)])
def test_equal_differences(value, p_value):
    assert corrected_t_test(np.full(5, value), 0.25).p_value == p_value


def test_one_fold_has_no_error():
    found = corrected_t_test([0.4], 0.25)
    assert found.mean == 0.4
    assert np.isnan(found.stderr)
    assert np.isnan(found.p_value)


def test_corrected_test_keeps_its_level_on_overlapping_folds():
    # Differences of cross-validation folds are correlated by about 1 / K: the plain test says
    # "significant" too often there, the corrected one does not.
    rng, n_folds = np.random.default_rng(1), 5
    common = rng.normal(size=(4000, 1)) * np.sqrt(0.2)
    differences = common + rng.normal(size=(4000, n_folds)) * np.sqrt(0.8)
    plain = np.mean([corrected_t_test(d, 0.0).p_value < 0.05 for d in differences])
    corrected = np.mean([corrected_t_test(d, 0.25).p_value < 0.05 for d in differences])
    assert plain > 0.08
    assert corrected < 0.06


def test_skill_is_0_for_chance_and_1_for_perfect():
    assert skill(0.7, chance=0.7, perfect=1.0) == 0.0
    assert skill(1.0, chance=0.7, perfect=1.0) == 1.0
    assert_allclose(skill(-2.0, chance=-8.0, perfect=0.0), 0.75)  # a negative error
    assert_allclose(skill(0.4, chance=0.0, perfect=1.0), 0.4)  # R²


@pytest.mark.parametrize(
    ("reached", "attainable", "share"),
    [(0.5, 0.9, 0.8), (-1.0, 0.0, 0.5), (0.9, 0.8, 0.0), (1.0, 1.0, 0.0), (0.0, 1.0, 1.0)],
)
def test_removable_share(reached, attainable, share):
    assert_allclose(removable_share(reached, attainable), share)


def test_explained_share_is_uncentred_r2():
    residuals = RNG.normal(size=(50, 2))
    assert explained_share(residuals, residuals) == 1.0
    assert explained_share(residuals, 0 * residuals) == 0.0
    assert_allclose(explained_share(residuals, 0.5 * residuals), 0.75)
    assert explained_share(residuals, -residuals) == -3.0
    assert explained_share(np.zeros(3), np.zeros(3)) == 0.0


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.5])
def test_gamma_test_finds_the_variance_of_the_noise(noise):
    rng = np.random.default_rng(3)
    X = rng.uniform(-1, 1, size=(4000, 2))
    y = np.sin(3 * X[:, 0]) * X[:, 1] + noise * rng.normal(size=4000)
    assert_allclose(gamma_test(X, y), noise**2, rtol=0.15, atol=1e-3)


def test_gamma_test_of_a_line_is_exact():
    # Equal steps: half the squared differences are A times the squared distances, without rest.
    X = np.arange(0.0, 200.0)[:, None]
    assert_allclose(gamma_test(X, 2.0 * X[:, 0]), 0.0, atol=1e-8)


def test_weights_of_the_statistics():
    X, Y = RNG.normal(size=(200, 2)), RNG.normal(size=(200, 2))
    counts = np.repeat([1, 3], 100)
    guess = 0.5 * Y + RNG.normal(size=Y.shape)
    rows = np.repeat(np.arange(200), counts)
    assert_allclose(explained_share(Y, guess, counts), explained_share(Y[rows], guess[rows]))
    # Several targets at once; weights that are equal; and rows of weight 0 as mere neighbours.
    assert_allclose(gamma_test(X, Y), [gamma_test(X, y) for y in Y.T])
    assert_allclose(gamma_test(X, Y, np.full(200, 7.0)), gamma_test(X, Y))
    noisy = np.where(np.arange(200) < 100, Y[:, 0], 0.0)
    X[100:] += 100.0
    light = np.where(np.arange(200) < 100, 0.0, 1.0)
    assert gamma_test(X, noisy) > 0.3
    assert gamma_test(X, noisy, light) == 0.0


def test_gamma_test_of_few_and_of_equal_rows():
    assert gamma_test(np.zeros((2, 1)), np.array([0.0, 1.0])) == 0.5
    assert gamma_test(np.zeros((30, 1)), np.ones(30)) == 0.0
