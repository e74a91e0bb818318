r"""Kernel of a truncated polynomial basis, without listing its terms.

.. math:: k(x, x') = \sum_{a \in A,\, a \ne 0} \prod_j p_{a_j}(x_j)\, p_{a_j}(x'_j)

is the coefficient sum of a product of one short series a column. For total degrees up to 3 it is
a handful of matrix products (Newton's identities between power sums and symmetric functions);
otherwise a recursion over the columns that keeps one matrix for each degree spent so far.
"""

import numpy as np
from scipy.sparse import issparse

_MATRIX_DEGREE = 3


def polynomial_kernel(first, second, degree, truncation=1.0, interaction_only=False):
    """Evaluate the kernel between two sets of rows.

    Parameters
    ----------
    first, second : sequence of (n_features, n_rows) arrays, dense or sparse
        Univariate polynomials p_1, p_2, ... of both sets.
    degree : int
        Degree of the index set.
    truncation : float, default=1.0
        Exponent q of the index set.
    interaction_only : bool, default=False
        Whether only first powers occur.

    Returns
    -------
    ndarray of shape (n_first, n_second)
    """
    if truncation == 1.0 and degree <= _MATRIX_DEGREE:
        return _by_power_sums(first, second, degree, interaction_only)

    first, second = (_dense(factors) for factors in (first, second))

    def product(feature, power):
        return np.multiply.outer(first[power - 1][feature], second[power - 1][feature])

    n_features = first[0].shape[0]
    return _by_recursion(product, n_features, degree, truncation, interaction_only)


def kernel_diagonal(values, degree, truncation=1.0, interaction_only=False):
    """Kernel of each row with itself: ndarray of shape (n_rows,)."""

    values = _dense(values)

    def product(feature, power):
        return values[power - 1][feature] ** 2

    n_features = values[0].shape[0]
    return _by_recursion(product, n_features, degree, truncation, interaction_only)


def _dense(factors):
    """Columns as dense arrays; only the n x n matrices of the recursion are large."""
    return [factor.toarray() if issparse(factor) else factor for factor in factors]


def _by_power_sums(first, second, degree, interaction_only):
    """Expand exp(sum_j log(1 + k_1 t + k_2 t^2 + k_3 t^3)) to the third power of t."""

    def summed(left, right):
        product = left.T @ right
        return product if isinstance(product, np.ndarray) else product.toarray()

    highest = 1 if interaction_only else degree
    f = _power_products(first[:highest], degree)
    # The same object twice lets the matrix product do half the work.
    g = f if first is second else _power_products(second[:highest], degree)
    one = summed(f["1"], g["1"])
    kernel = one.copy()
    if degree == 1:
        return kernel
    two = -0.5 * summed(f["11"], g["11"])
    if highest > 1:
        two += summed(f["2"], g["2"])
    kernel += two + one * one / 2
    if degree == 2:
        return kernel
    three = summed(f["111"], g["111"]) / 3
    if highest > 1:
        three += summed(f["3"], g["3"]) - summed(f["12"], g["12"])
    return kernel + three + one * two + one * one * one / 6


def _power_products(values, degree):
    """Products of a column's p_k that occur in the power sums: "12" is p_1 p_2."""
    products = {str(k): value for k, value in enumerate(values, start=1)}
    if degree > 1:
        products["11"] = products["1"] * products["1"]
    if degree > 2:
        products["111"] = products["11"] * products["1"]
        if "2" in products:
            products["12"] = products["1"] * products["2"]
    return products


def _by_recursion(product, n_features, degree, truncation, interaction_only):
    """Add one column after the other; ``spent[c]`` sums the terms whose exponents cost c."""
    steps = _steps(degree, truncation, 1 if interaction_only else degree)
    spent = {0: 1.0}
    for feature in range(n_features):
        products = {power: product(feature, power) for power, _ in steps[0]}
        # From the highest cost down, so that each column enters a term once.
        for cost in sorted(steps, reverse=True):
            if cost not in spent:
                continue
            for power, target in steps[cost]:
                spent[target] = spent.get(target, 0.0) + spent[cost] * products[power]
    return sum(value for cost, value in spent.items() if cost != 0)


def _steps(degree, truncation, highest):
    """Map each cost that a term can have to its (power, cost with that power added)."""
    scale = 1e8  # costs a**q as integers, so that equal sums meet
    price = {power: round(power**truncation * scale) for power in range(1, highest + 1)}
    budget = round(degree**truncation * scale) + degree
    steps, waiting = {}, [0]
    while waiting:
        cost = waiting.pop()
        if cost in steps:
            continue
        steps[cost] = [(k, cost + p) for k, p in price.items() if cost + p <= budget]
        waiting += [target for _, target in steps[cost]]
    return steps
