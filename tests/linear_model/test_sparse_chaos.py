"""Sparse expansions: planted terms are found, and the orders and errors are the textbook's."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LinearRegression, lars_path
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from sklearn_ext import PolynomialRegressor
from sklearn_ext.linear_model._term_orders import forward_order, lars_order
from sklearn_ext.linear_model._term_selection import assign_folds, corrected_loo_errors

every_selection = pytest.mark.parametrize("selection", ["lars", "forward"])


def candidates(n_rows=40, n_columns=12, seed=0):
    """A design with a constant first, one column a row, and a target of four columns."""
    rng = np.random.default_rng(seed)
    design = rng.normal(size=(n_columns, n_rows))
    design[0] = 1.0
    y = 3 + 2 * design[4] - design[7] + 0.5 * design[9] + 0.2 * rng.normal(size=n_rows)
    return design, y


def planted(n_rows=100, noise=0.01, seed=0):
    """y = 2 + p_1(x0) - 0.5 p_3(x1) + 0.7 x0 x2, on [-1, 1]^5."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n_rows, 5))
    cubic = 2.5 * X[:, 1] ** 3 - 1.5 * X[:, 1]
    y = 2 + X[:, 0] - 0.5 * cubic + 0.7 * X[:, 0] * X[:, 2]
    return X, y + noise * rng.normal(size=n_rows)


PLANTED = {(1, 0, 0, 0, 0), (0, 3, 0, 0, 0), (1, 0, 1, 0, 0)}


def chosen_terms(model, output=None):
    coefficients = model.basis_coef_ if output is None else model.basis_coef_[output]
    return {tuple(row) for row in model.powers_[coefficients != 0].tolist()}


def test_lars_order_is_scikit_learns():
    design, y = candidates()
    centred = design[1:].T - design[1:].mean(axis=1)
    _, active, _ = lars_path(centred / np.linalg.norm(centred, axis=0), y - y.mean(), method="lar")
    order, _ = lars_order(design, y, len(design))
    assert order.tolist() == [0, *(np.array(active) + 1)]


def test_forward_order_lowers_the_residual_most_at_each_step():
    design, y = candidates()
    order, _ = forward_order(design, y, 6)
    taken = [0]
    for column in order[1:].tolist():
        sums = {
            other: _residual_sum(design[[*taken, other]], y)
            for other in range(len(design))
            if other not in taken
        }
        assert column == min(sums, key=sums.get)
        taken.append(column)


def _residual_sum(columns, y):
    return np.sum((y - columns.T @ np.linalg.lstsq(columns.T, y, rcond=None)[0]) ** 2)


@pytest.mark.parametrize("ordered", [lars_order, forward_order])
def test_orders_come_with_an_orthonormal_basis(ordered):
    design, y = candidates()
    order, Q = ordered(design, y, 8)
    assert len(set(order.tolist())) == len(order) == Q.shape[1] == 8
    assert_allclose(Q.T @ Q, np.eye(8), atol=1e-12)
    for k in range(1, 9):
        columns = design[order[:k]].T
        assert_allclose(Q[:, :k] @ (Q[:, :k].T @ columns), columns, atol=1e-11)


@pytest.mark.parametrize("ordered", [lars_order, forward_order])
def test_repeated_columns_are_taken_once(ordered):
    design, y = candidates()
    design = np.concatenate([design, 2 * design[[0, 4, 7]]])
    order, _ = ordered(design, y, len(design))
    assert len(order) == 12
    originals = [*range(12), 0, 4, 7]
    assert sorted(originals[column] for column in order) == list(range(12))


def test_corrected_loo_errors_are_brute_force_times_the_correction():
    design, y = candidates(20)
    order, Q = lars_order(design, y, 6)
    got = corrected_loo_errors(design, y, order, Q, np.ones(20), 20.0)
    for k in range(1, 7):
        A = design[order[:k]].T
        model = LinearRegression(fit_intercept=False)
        deleted = cross_val_predict(model, A, y, cv=LeaveOneOut())
        correction = 20 / (20 - k) * (1 + np.trace(np.linalg.inv(A.T @ A)))
        assert_allclose(got[k - 1], correction * np.sum((y - deleted) ** 2), rtol=1e-10)


def test_folds_follow_the_values_and_not_the_order_of_rows():
    X = np.random.default_rng(0).normal(size=(23, 2))
    fold = assign_folds(X)
    order = np.random.default_rng(1).permutation(23)
    np.testing.assert_array_equal(assign_folds(X[order]), fold[order])
    np.testing.assert_array_equal(assign_folds(np.repeat(X, 2, axis=0)), np.repeat(fold, 2))
    assert np.ptp(np.bincount(fold)) <= 1


@every_selection
@pytest.mark.parametrize("degree", [3, "auto"])
def test_planted_terms_are_found(degree, selection):
    X, y = planted()
    model = PolynomialRegressor(degree, selection=selection, bounds=(-1, 1)).fit(X, y)
    assert PLANTED <= chosen_terms(model)
    assert model.n_terms_ == len(chosen_terms(model))
    assert model.n_terms_ < 25
    assert model.loo_score_ > 0.999
    new, truth = planted(500, noise=0.0, seed=1)
    assert model.score(new, truth) > 0.9995


@every_selection
def test_noiseless_terms_are_found_exactly(selection):
    X, y = planted(noise=0.0)
    model = PolynomialRegressor(3, selection=selection, bounds=(-1, 1)).fit(X, y)
    found = dict(zip(map(tuple, model.powers_.tolist()), model.basis_coef_, strict=True))
    assert_allclose(found[1, 0, 0, 0, 0], 1 / np.sqrt(3), rtol=1e-10)
    assert_allclose(found[0, 3, 0, 0, 0], -0.5 / np.sqrt(7), rtol=1e-10)
    assert_allclose(found[1, 0, 1, 0, 0], 0.7 / 3, rtol=1e-10)
    assert max(abs(c) for row, c in found.items() if row not in PLANTED) < 1e-10


@every_selection
def test_more_candidates_than_rows(selection):
    X, y = planted(80)
    model = PolynomialRegressor(5, selection=selection, bounds=(-1, 1)).fit(X, y)
    assert PLANTED <= chosen_terms(model)
    assert model.n_terms_ <= 40  # of 251 candidates


@every_selection
def test_the_fit_is_least_squares_on_the_chosen_terms(selection):
    X, y = planted(noise=0.3)
    model = PolynomialRegressor(3, selection=selection).fit(X, y)
    chosen = np.array(sorted(chosen_terms(model)))
    # Legendre terms of the mapped columns; their products span the same model.
    low, high = X.min(axis=0), X.max(axis=0)
    z = 2 * (X - low) / (high - low) - 1
    legendre = np.polynomial.legendre
    columns = [
        np.prod([legendre.legval(z[:, j], np.eye(4)[k]) for j, k in enumerate(row)], axis=0)
        for row in chosen
    ]
    A = np.column_stack([np.ones(len(X)), *columns])
    assert_allclose(model.predict(X), A @ np.linalg.lstsq(A, y, rcond=None)[0], atol=1e-10)
    deleted = cross_val_predict(LinearRegression(fit_intercept=False), A, y, cv=LeaveOneOut())
    wanted = 1 - np.sum((y - deleted) ** 2) / np.sum((y - y.mean()) ** 2)
    assert_allclose(model.loo_score_, wanted, atol=1e-10)
    noise = np.sum((y - model.predict(X)) ** 2) / (len(y) - A.shape[1])
    assert_allclose(model.noise_variance_, noise, rtol=1e-10)
    spread = 1 + np.sum((A @ np.linalg.inv(A.T @ A)) * A, axis=1)
    assert_allclose(model.predict(X, return_std=True)[1], np.sqrt(noise * spread), rtol=1e-9)


@every_selection
def test_several_targets_share_the_chosen_terms(selection):
    X, y = planted()
    Y = np.column_stack([y, X[:, 4] ** 2])
    model = PolynomialRegressor(3, selection=selection, bounds=(-1, 1)).fit(X, Y)
    assert model.predict(X).shape == Y.shape
    assert PLANTED | {(0, 0, 0, 0, 2)} <= chosen_terms(model, 0) | chosen_terms(model, 1)
    assert model.score(X, Y) > 0.999


@every_selection
def test_raw_coefficients_give_the_predictions(selection):
    X, y = planted(noise=0.1)
    model = PolynomialRegressor(3, selection=selection).fit(X, y)
    raw = np.prod(X[:, None, :] ** model.powers_.astype(float), axis=2)
    assert_allclose(raw @ model.coef_ + model.intercept_, model.predict(X), atol=1e-10)


@every_selection
def test_sobol_indices_of_the_planted_polynomial(selection):
    X, y = planted(noise=0.0)
    model = PolynomialRegressor("auto", selection=selection, bounds=(-1, 1)).fit(X, y)
    shares = np.array([1 / 3, 0.25 / 7, 0.49 / 9])
    total = shares.sum()
    wanted = [shares[0], shares[1], 0, 0, 0]
    assert_allclose(model.sobol_indices_.first_order, np.array(wanted) / total, atol=1e-10)


@every_selection
@pytest.mark.parametrize("weighted", [False, True])
def test_integer_weights_are_repetitions(weighted, selection):
    X, y = planted(60, noise=0.1)
    repeats = np.random.default_rng(0).integers(1 - weighted, 4, size=60)
    one = PolynomialRegressor(3, selection=selection).fit(X, y, sample_weight=repeats)
    other = PolynomialRegressor(3, selection=selection)
    other.fit(X.repeat(repeats, axis=0), y.repeat(repeats))
    assert chosen_terms(one) == chosen_terms(other)
    rows = X[repeats > 0]
    assert_allclose(one.predict(rows), other.predict(rows), atol=1e-9)


@every_selection
def test_the_same_rows_give_the_same_terms(selection):
    X, y = planted(noise=0.3)
    first, second = (PolynomialRegressor("auto", selection=selection).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(first.predict(X), second.predict(X))


def test_a_solver_that_would_be_ignored_is_refused():
    X = np.random.default_rng(0).uniform(size=(30, 2))
    with pytest.raises(ValueError, match="selection='lars' is solved by QR, got solver='dual'"):
        PolynomialRegressor(selection="lars", solver="dual").fit(X, X[:, 0])
