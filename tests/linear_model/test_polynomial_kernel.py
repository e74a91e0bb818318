"""The kernel against the sum over all listed terms."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array

from sklearn_ext.linear_model._index_sets import hyperbolic_powers
from sklearn_ext.linear_model._polynomial_kernel import kernel_diagonal, polynomial_kernel


def columns(n_features, n_rows, degree, seed):
    """Arbitrary univariate values p_1 .. p_degree, some of them zero."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(degree, n_features, n_rows))
    return np.where(rng.uniform(size=values.shape) < 0.3, 0.0, values)


def listed_terms(values, powers):
    """Every term but the constant, (n_terms, n_rows)."""
    values = np.concatenate([np.ones((1, *values.shape[1:])), values])
    features = np.arange(values.shape[1])
    return np.array([np.prod(values[row, features], axis=0) for row in powers[1:]])


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("interaction_only", [False, True])
@pytest.mark.parametrize("truncation", [1.0, 0.75, 0.5])
@pytest.mark.parametrize("degree", range(1, 7))
def test_kernel_is_the_sum_over_terms(degree, truncation, interaction_only, sparse):
    first, second = columns(4, 6, degree, 0), columns(4, 5, degree, 1)
    powers = hyperbolic_powers(4, degree, truncation, interaction_only)
    wanted = listed_terms(first, powers).T @ listed_terms(second, powers)
    if sparse:
        first, second = [csr_array(f) for f in first], [csr_array(f) for f in second]
    got = polynomial_kernel(first, second, degree, truncation, interaction_only)
    assert isinstance(got, np.ndarray)
    assert_allclose(got, wanted, atol=1e-10 * np.abs(wanted).max())


@pytest.mark.parametrize("degree", [2, 4])
def test_sparse_and_dense_sides_mix(degree):
    first, second = columns(3, 6, degree, 0), columns(3, 5, degree, 1)
    sparse = [csr_array(f) for f in second]
    wanted = polynomial_kernel(first, second, degree)
    assert_allclose(polynomial_kernel(first, sparse, degree), wanted, atol=1e-12)
    assert_allclose(polynomial_kernel(sparse, first, degree), wanted.T, atol=1e-12)


@pytest.mark.parametrize("interaction_only", [False, True])
@pytest.mark.parametrize("truncation", [1.0, 0.5])
@pytest.mark.parametrize("degree", [1, 3, 5])
def test_diagonal_is_that_of_the_kernel(degree, truncation, interaction_only):
    values = columns(4, 6, degree, 2)
    kernel = polynomial_kernel(values, values, degree, truncation, interaction_only)
    got = kernel_diagonal(values, degree, truncation, interaction_only)
    assert_allclose(got, np.diag(kernel), rtol=1e-10, atol=1e-12)


def test_a_thousand_columns_at_degree_three():
    # 167 million terms. For equal columns the sum has a closed form: with one value v in all
    # columns, the sum over terms of degree k is C(d + k - 1, k) v^k.
    d, v = 1000, 0.03
    values = np.stack([np.full((d, 2), v**k) for k in (1, 2, 3)])
    ones = np.ones((3, d, 2))
    wanted = d * v + d * (d + 1) / 2 * v**2 + d * (d + 1) * (d + 2) / 6 * v**3
    assert_allclose(polynomial_kernel(values, ones, 3), np.full((2, 2), wanted), rtol=1e-12)
