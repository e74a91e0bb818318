"""Moments of chunks, merged, are the moments of all rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_ext.linear_model._rows import Rows
from sklearn_ext.linear_model._streaming import merge_moments, moments_of
from sklearn_ext.linear_model._terms import Terms

SOLVERS = ("cholesky", "qr")


def sample(n_rows=120, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform([-5, 100], [5, 101], size=(n_rows, 2))
    return X, rng.normal(size=(n_rows, 2)), rng.uniform(0.5, 2, size=n_rows)


def moments(X, Y, weight, solver, bounds=None, fit_intercept=True, family="legendre"):
    bounds = np.stack([X.min(axis=0), X.max(axis=0)]) if bounds is None else bounds
    terms = Terms(family, bounds, 1.0, False, fit_intercept)
    return moments_of(Rows(X, Y, weight, 16), terms, 4, solver)


def gram(found):
    """Gram matrix of [A, Y] from either kind of moments."""
    upper = np.triu(found.matrix)
    if found.solver == "qr":
        return upper.T @ upper
    return upper + np.triu(upper, 1).T


def merged(parts):
    result = parts[0]
    for part in parts[1:]:
        result = merge_moments(result, part)
    return result


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("family", ["legendre", "chebyshev", "monomial"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_chunks_in_any_grouping_are_the_whole(solver, family, fit_intercept):
    X, Y, weight = sample()
    settings = {"solver": solver, "family": family, "fit_intercept": fit_intercept}
    whole = moments(X, Y, weight, **settings)
    parts = [moments(X[i::3], Y[i::3], weight[i::3], **settings) for i in range(3)]
    for grouping in (merged(parts), merge_moments(parts[0], merge_moments(parts[1], parts[2]))):
        assert_allclose(grouping.terms.bounds, whole.terms.bounds)
        assert_allclose(grouping.weight_sum, weight.sum(), rtol=1e-14)
        scale = np.abs(gram(whole)).max()
        assert_allclose(gram(grouping), gram(whole), atol=1e-11 * scale)


@pytest.mark.parametrize("solver", SOLVERS)
def test_bounds_that_grow_a_hundredfold(solver):
    X, Y, weight = sample()
    X = X * np.linspace(0.01, 1, len(X))[:, None]
    whole = moments(X, Y, weight, solver)
    parts = [
        moments(X[s], Y[s], weight[s], solver) for s in (slice(10), slice(10, 50), slice(50, None))
    ]
    scale = np.abs(gram(whole)).max()
    assert_allclose(gram(merged(parts)), gram(whole), atol=1e-11 * scale)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("constant", [0, 1])
def test_a_chunk_with_a_constant_column(solver, constant):
    X, Y, weight = sample()
    X[:40, constant] = X[7, constant]
    whole = moments(X, Y, weight, solver)
    parts = [moments(X[s], Y[s], weight[s], solver) for s in (slice(40), slice(40, None))]
    scale = np.abs(gram(whole)).max()
    for found in (merged(parts), merged(parts[::-1])):
        assert_allclose(gram(found), gram(whole), atol=1e-11 * scale)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("solver", SOLVERS)
def test_rows_one_by_one(solver, fit_intercept):
    X, Y, weight = sample(25)
    whole = moments(X, Y, weight, solver, fit_intercept=fit_intercept)
    parts = [
        moments(X[i : i + 1], Y[i : i + 1], weight[i : i + 1], solver, fit_intercept=fit_intercept)
        for i in range(len(X))
    ]
    scale = np.abs(gram(whole)).max()
    assert_allclose(gram(merged(parts)), gram(whole), atol=1e-10 * scale)


@pytest.mark.parametrize("bounds", [None, np.array([[-5.0, 100.0], [5.0, 101.0]])])
@pytest.mark.parametrize("solver", SOLVERS)
def test_merging_changes_neither_part(solver, bounds):
    X, Y, weight = sample()
    first, second = (
        moments(X[s], Y[s], weight[s], solver, bounds) for s in (slice(50), slice(50, None))
    )
    kept = first.matrix.copy(), second.matrix.copy(), first.terms.bounds.copy()
    merge_moments(first, second)
    np.testing.assert_array_equal(first.matrix, kept[0])
    np.testing.assert_array_equal(second.matrix, kept[1])
    np.testing.assert_array_equal(first.terms.bounds, kept[2])


def test_targets_are_counted_from_the_matrix():
    X, Y, weight = sample()
    assert moments(X, Y, weight, "qr").n_outputs == 2
    assert moments(X, Y, weight, "qr", fit_intercept=False).n_outputs == 2
