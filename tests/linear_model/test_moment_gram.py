"""The Gram matrix from moments is the Gram matrix of the terms."""

import numpy as np
import pytest
from sklearn import config_context

from sklearn_ext import PolynomialRegressor
from sklearn_ext.linear_model import _moment_gram
from sklearn_ext.linear_model._index_sets import count_terms
from sklearn_ext.linear_model._moment_gram import moment_gram, moment_plan, pays
from sklearn_ext.linear_model._rows import Rows
from sklearn_ext.linear_model._terms import Terms


def make_rows(n_features, weighted, n_rows=700, n_outputs=2):
    rng = np.random.default_rng(n_features)
    X = rng.lognormal(size=(n_rows, n_features))
    weight = rng.uniform(0.1, 3, n_rows) if weighted else np.broadcast_to(1.0, n_rows)
    return Rows(X, rng.normal(size=(n_rows, n_outputs)), weight, 1024.0)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("family", ["legendre", "chebyshev", "monomial"])
@pytest.mark.parametrize(("n_features", "degree"), [(1, 4), (2, 2), (3, 4), (6, 3), (9, 2)])
def test_equals_the_explicit_products(family, fit_intercept, weighted, n_features, degree):
    rows = make_rows(n_features, weighted)
    bounds = np.stack([rows.X.min(axis=0), rows.X.max(axis=0)])
    terms = Terms(family, bounds, 1.0, False, fit_intercept)
    basis = terms.basis(terms.powers(degree))
    design = np.concatenate(list(rows.blocks(basis)), axis=1)
    gram = moment_gram(rows, basis)
    scale = np.linalg.norm(design, axis=1)
    np.testing.assert_allclose(
        gram / np.outer(scale, scale), (design @ design.T) / np.outer(scale, scale), atol=1e-12
    )


@pytest.mark.parametrize(("n_features", "degree"), [(10, 3), (5, 4)])
def test_moments_are_fewer_than_entries(n_features, degree):
    plan = moment_plan(n_features, degree)
    n_terms = count_terms(n_features, degree) + 1
    assert plan.powers.shape == (n_terms, n_features)
    products = sum((stop - start) * n_tails for start, stop, n_tails in plan.groups)
    assert products < n_terms * (n_terms + 1) / 2 + n_terms


def test_only_complete_sets_of_low_degree_and_many_rows():
    bounds = np.array([[-1.0] * 4, [1.0] * 4])
    complete = Terms("legendre", bounds, 1.0, False, True)
    assert pays(complete.basis(complete.powers(3)), 10**6)
    assert not pays(complete.basis(complete.powers(3)), 1000)
    assert not pays(complete.basis(complete.powers(5)), 10**6)
    assert not pays(complete.basis(complete.powers(1)), 10**6)
    sparse = Terms("legendre", bounds, 0.5, False, True)
    assert not pays(sparse.basis(sparse.powers(3)), 10**6)


def test_regressor_takes_it_for_large_tables_and_agrees_with_qr(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 4))
    y = X[:, 0] * X[:, 1] ** 2 + rng.normal(size=3000)
    monkeypatch.setattr(_moment_gram, "_FEWEST_ROWS", 1000)
    calls = []
    monkeypatch.setattr(
        "sklearn_ext.linear_model._rows.moment_gram",
        lambda *args: calls.append(1) or moment_gram(*args),
    )
    fast = PolynomialRegressor(3, solver="cholesky").fit(X, y)
    with config_context(working_memory=0.05):
        small = PolynomialRegressor(3, solver="cholesky").fit(X, y)
    assert len(calls) == 2 and fast.solver_ == "cholesky"
    exact = PolynomialRegressor(3, solver="qr").fit(X, y).predict(X)
    np.testing.assert_allclose(fast.predict(X), exact, rtol=0, atol=1e-10)
    np.testing.assert_allclose(small.predict(X), exact, rtol=0, atol=1e-10)
