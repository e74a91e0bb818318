"""Factors, smoothers and leave-one-out errors against numpy and brute force."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_ext.linear_model._least_squares import (
    add_to_gram,
    add_to_triangle,
    block_rows,
    factor_from_gram,
    factor_from_triangle,
    fold,
    merge_grams,
    merge_triangles,
    triangle_from_gram,
)
from sklearn_ext.linear_model._smoothers import (
    Smoother,
    leave_one_out_errors,
    spectral_smoother,
    triangular_smoother,
)

N_COLUMNS, N_OUTPUTS = 5, 2
FREE = np.array([0.0, 1.0, 1.0, 4.0, 16.0])
ALL = np.array([1.0, 1.0, 4.0, 4.0, 16.0])


def design(n_rows=60, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n_rows, N_COLUMNS))
    A[:, 0] = 1.0
    return A, rng.normal(size=(n_rows, N_OUTPUTS))


def blocks_of(A, Y, size=17):
    """Blocks as the product reads them; each a fresh array, as folding may destroy it."""
    stacked = np.concatenate([A, Y], axis=1)
    return [np.ascontiguousarray(stacked[i : i + size].T) for i in range(0, len(A), size)]


def factor_of(A, Y, penalty, way="triangle"):
    size = A.shape[1] + Y.shape[1]
    if way == "gram":
        return factor_from_gram(fold(blocks_of(A, Y), size, add_to_gram), penalty)
    return factor_from_triangle(fold(blocks_of(A, Y), size, add_to_triangle), penalty)


def ridge(A, Y, alpha, penalty):
    """Ridge by an augmented least-squares problem."""
    rows = np.concatenate([A, np.diag(np.sqrt(alpha * penalty))])
    targets = np.concatenate([Y, np.zeros((len(penalty), Y.shape[1]))])
    return np.linalg.lstsq(rows, targets, rcond=None)[0]


def hat_matrix(A, alpha, penalty):
    return A @ np.linalg.inv(A.T @ A + alpha * np.diag(penalty)) @ A.T


def test_the_folded_gram_is_the_gram():
    A, Y = design()
    stacked = np.concatenate([A, Y], axis=1)
    gram = fold(blocks_of(A, Y), N_COLUMNS + N_OUTPUTS, add_to_gram)
    assert_allclose(np.triu(gram), np.triu(stacked.T @ stacked), rtol=1e-12, atol=1e-12)


def test_the_folded_triangle_is_a_root_of_the_gram():
    A, Y = design()
    stacked = np.concatenate([A, Y], axis=1)
    triangle = np.triu(fold(blocks_of(A, Y), N_COLUMNS + N_OUTPUTS, add_to_triangle))
    assert_allclose(triangle.T @ triangle, stacked.T @ stacked, atol=1e-11)


@pytest.mark.parametrize("n_rows", [1, 3, 7])
def test_triangles_of_few_rows(n_rows):
    A, Y = design(n_rows)
    stacked = np.concatenate([A, Y], axis=1)
    triangle = np.triu(fold(blocks_of(A, Y), N_COLUMNS + N_OUTPUTS, add_to_triangle))
    assert_allclose(triangle.T @ triangle, stacked.T @ stacked, atol=1e-12)


@pytest.mark.parametrize(
    ("step", "merge"), [(add_to_gram, merge_grams), (add_to_triangle, merge_triangles)]
)
def test_merged_parts_are_the_whole(step, merge):
    A, Y = design()
    size = N_COLUMNS + N_OUTPUTS
    first, second = (fold(blocks_of(A[s], Y[s]), size, step) for s in (slice(23), slice(23, None)))
    kept = first.copy(), second.copy()
    merged = merge(first, second)
    whole = fold(blocks_of(A, Y), size, step)
    sign = 1.0 if step is add_to_gram else np.sign(np.diag(merged) * np.diag(whole))[:, None]
    assert_allclose(np.triu(merged), sign * np.triu(whole), atol=1e-11)
    np.testing.assert_array_equal(first, kept[0])
    np.testing.assert_array_equal(second, kept[1])


def test_triangle_from_gram():
    A, Y = design()
    stacked = np.concatenate([A, Y], axis=1)
    triangle = triangle_from_gram(np.triu(stacked.T @ stacked))
    assert_allclose(triangle, np.triu(triangle), atol=1e-12)
    assert_allclose(triangle.T @ triangle, stacked.T @ stacked, atol=1e-10)


@pytest.mark.parametrize(
    ("n_columns", "memory", "rows"), [(1, 1000, 2048), (128, 1, 1024), (10**6, 1, 1), (0, 1, 2048)]
)
def test_block_rows_fill_the_memory_and_no_more(n_columns, memory, rows):
    assert block_rows(n_columns, memory) == rows


@pytest.mark.parametrize("way", ["gram", "triangle"])
@pytest.mark.parametrize("penalty", [FREE, ALL], ids=["free", "all"])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1e3])
def test_penalised_factor_solves_ridge(alpha, penalty, way):
    A, Y = design()
    factor = factor_of(A, Y, penalty, way).penalised(alpha)
    coefficients = triangular_smoother(factor).coefficients()
    assert_allclose(coefficients, ridge(A, Y, alpha, penalty), atol=1e-11)
    wanted = np.sum((Y - A @ coefficients) ** 2, axis=0)
    assert_allclose(factor.residual_sum_of_squares(coefficients), wanted, rtol=1e-10)


def test_a_penalty_can_be_raised_in_steps():
    A, Y = design()
    factor = factor_of(A, Y, FREE)
    at_once, in_steps = factor.penalised(2.0), factor.penalised(0.5).penalised(2.0)
    assert at_once.alpha == in_steps.alpha == 2.0
    assert_allclose(in_steps.leftover, at_once.leftover, rtol=1e-12)
    assert_allclose(
        triangular_smoother(in_steps).coefficients(),
        triangular_smoother(at_once).coefficients(),
        atol=1e-13,
    )


def test_a_gram_factored_under_a_penalty():
    A, Y = design()
    gram = fold(blocks_of(A, Y), N_COLUMNS + N_OUTPUTS, add_to_gram)
    factor = factor_from_gram(gram, FREE, alpha=0.7)
    coefficients = triangular_smoother(factor).coefficients()
    assert_allclose(coefficients, ridge(A, Y, 0.7, FREE), atol=1e-12)


def test_a_singular_gram_is_not_factored():
    A, Y = design()
    A[:, 3] = 0.0
    gram = fold(blocks_of(A, Y), N_COLUMNS + N_OUTPUTS, add_to_gram)
    assert factor_from_gram(gram, FREE) is None


@pytest.mark.parametrize("n_columns", [1, 3, 5])
def test_leading_columns_are_a_fit_of_their_own(n_columns):
    A, Y = design()
    factor = factor_of(A, Y, FREE).leading(n_columns)
    coefficients = triangular_smoother(factor).coefficients()
    assert_allclose(coefficients, np.linalg.lstsq(A[:, :n_columns], Y, rcond=None)[0], atol=1e-12)
    wanted = np.sum((Y - A[:, :n_columns] @ coefficients) ** 2, axis=0)
    assert_allclose(factor.residual_sum_of_squares(coefficients), wanted, rtol=1e-11)


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("penalty", [FREE, ALL], ids=["free", "all"])
def test_the_spectral_smoother_is_the_triangular_one(penalty, squared):
    A, Y = design()
    factor = factor_of(A, Y, penalty)
    alphas = [0.1, 1.0, 50.0]
    smoother = spectral_smoother(factor, alphas, squared=squared)
    for index, alpha in enumerate(alphas):
        single = triangular_smoother(factor.penalised(alpha))
        assert_allclose(smoother.coefficients(index), single.coefficients(), atol=1e-11)
        covariance = smoother.root(index) @ smoother.root(index).T
        assert_allclose(covariance, single.root() @ single.root().T, atol=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 2.0])
@pytest.mark.parametrize("penalty", [FREE, ALL], ids=["free", "all"])
def test_effective_dof_is_the_trace_of_the_hat_matrix(penalty, alpha):
    A, Y = design()
    factor = factor_of(A, Y, penalty).penalised(alpha)
    dof = factor.effective_dof(triangular_smoother(factor).root())
    assert_allclose(dof, np.trace(hat_matrix(A, alpha, penalty)), rtol=1e-12)


def test_rank_deficiency_is_seen_and_solved_by_minimum_norm():
    A, Y = design()
    A[:, 4] = 2 * A[:, 2]
    penalty = np.ones(N_COLUMNS)
    factor = factor_of(A, Y, penalty)
    assert triangular_smoother(factor) is None
    smoother = spectral_smoother(factor, [0.0])
    assert smoother.rank == N_COLUMNS - 1
    assert_allclose(smoother.coefficients(), np.linalg.lstsq(A, Y, rcond=None)[0], atol=1e-12)
    assert factor.dependent_columns(smoother.rank)[0] in (2, 4)


def test_reciprocal_condition_estimates_the_condition():
    A, Y = design()
    A[:, 4] = A[:, 2] + 1e-6 * A[:, 3]
    estimate = 1.0 / factor_of(A, Y, ALL).reciprocal_condition
    exact = np.linalg.cond(A)
    assert exact / 10 < estimate < 100 * exact


@pytest.mark.parametrize("penalty", [FREE, ALL], ids=["free", "all"])
def test_leave_one_out_is_brute_force(penalty):
    A, Y = design(20)
    alphas = [0.1, 3.0]
    smoother = spectral_smoother(factor_of(A, Y, penalty), alphas)
    blocks = blocks_of(A, Y)
    shares = [np.ones(block.shape[1]) for block in blocks]
    got = leave_one_out_errors(blocks, shares, [smoother], N_OUTPUTS)[0]
    for error, alpha in zip(got, alphas, strict=True):
        assert_allclose(error, brute_force(A, Y, alpha, penalty), rtol=1e-10)


def brute_force(A, Y, alpha, penalty):
    errors = np.zeros(Y.shape[1])
    for i in range(len(A)):
        others = np.arange(len(A)) != i
        errors += (Y[i] - A[i] @ ridge(A[others], Y[others], alpha, penalty)) ** 2
    return errors


def test_leave_one_out_of_repeated_rows_is_that_of_their_weight():
    A, Y = design(15)
    repeats = np.random.default_rng(0).integers(1, 4, size=15)
    smoother = triangular_smoother(factor_of(A.repeat(repeats, 0), Y.repeat(repeats, 0), ALL))
    root = np.sqrt(repeats)[:, None]
    blocks = blocks_of(A * root, Y * root)
    got = leave_one_out_errors(blocks, [1.0 / repeats], [smoother], N_OUTPUTS)[0][0]
    wanted = brute_force(A.repeat(repeats, 0), Y.repeat(repeats, 0), 0.0, ALL)
    assert_allclose(got, wanted, rtol=1e-10)


def test_several_smoothers_read_their_leading_columns():
    A, Y = design(25)
    factor = factor_of(A, Y, ALL)
    smoothers = [triangular_smoother(factor.leading(k)) for k in (2, 5)]
    blocks = blocks_of(A, Y)
    shares = [np.ones(block.shape[1]) for block in blocks]
    narrow, wide = leave_one_out_errors(blocks, shares, smoothers, N_OUTPUTS)
    assert_allclose(narrow[0], brute_force(A[:, :2], Y, 0.0, ALL[:2]), rtol=1e-10)
    assert_allclose(wide[0], brute_force(A, Y, 0.0, ALL), rtol=1e-10)


def test_a_row_that_no_other_supports_has_an_infinite_error():
    A, Y = design(20)
    A[:, 4] = 0.0
    A[3, 4] = 1.0
    smoother = triangular_smoother(factor_of(A, Y, ALL))
    blocks = blocks_of(A, Y)
    shares = [np.ones(block.shape[1]) for block in blocks]
    assert np.all(np.isinf(leave_one_out_errors(blocks, shares, [smoother], N_OUTPUTS)[0]))


def test_no_columns_at_all():
    factor = factor_from_triangle(np.eye(2), np.zeros(0))
    assert factor.reciprocal_condition == 1.0
    smoother = spectral_smoother(factor, [1.0])
    assert isinstance(smoother, Smoother)
    assert smoother.rank == 0
