r"""Sets of multi-indices: which products of powers a polynomial has.

A term :math:`\prod_j p_{a_j}(x_j)` is a row ``a`` of an integer array ``powers``. The set of
degree p and truncation q holds every ``a`` with

.. math:: \Big(\sum_j a_j^q\Big)^{1/q} \le p .

q = 1 is the total degree; q < 1 leaves out high-order interactions (Blatman and Sudret 2011,
eq. 13). All sets are downward closed: with ``a`` they hold every ``b <= a``.
"""

from functools import lru_cache
from math import comb, factorial

import numpy as np

# Guards sum(a**q) <= p**q against the rounding of the fractional powers.
_ROUNDING = 1e-10


def hyperbolic_powers(n_features, degree, truncation=1.0, interaction_only=False):
    """List the multi-indices of a set, the constant first.

    Parameters
    ----------
    n_features : int
        Number of columns.
    degree : int
        Largest degree p.
    truncation : float, default=1.0
        Exponent q in (0, 1].
    interaction_only : bool, default=False
        Whether each column may occur to the first power only.

    Returns
    -------
    ndarray of shape (n_terms + 1, n_features), uint8
        Ordered by the degree at which a term enters the set, then by total degree, then in the
        order of :class:`~sklearn.preprocessing.PolynomialFeatures`. The set of a lower degree
        is therefore a leading slice (see :func:`entry_degrees`).
    """
    budget = degree**truncation + _ROUNDING
    highest = 1 if interaction_only else degree
    powers = np.zeros((1, n_features), dtype=np.uint8)
    cost = np.zeros(1)
    for feature in range(n_features):
        parts, costs = [powers], [cost]
        for power in range(1, highest + 1):
            fits = cost + power**truncation <= budget
            if not fits.any():
                break
            part = powers[fits]
            part[:, feature] = power
            parts.append(part)
            costs.append(cost[fits] + power**truncation)
        powers, cost = np.concatenate(parts), np.concatenate(costs)
    return powers[_graded_order(powers, truncation)]


def _graded_order(powers, truncation):
    descending = -powers.T[::-1].astype(np.int16)  # the last key of lexsort is the primary one
    total = powers.sum(axis=1, dtype=np.int64)
    return np.lexsort((*descending, total, entry_degrees(powers, truncation)))


def entry_degrees(powers, truncation=1.0):
    """Smallest degree whose set holds each term.

    Parameters
    ----------
    powers : ndarray of shape (n_terms, n_features)
        Multi-indices.
    truncation : float, default=1.0
        Exponent q in (0, 1].

    Returns
    -------
    ndarray of shape (n_terms,), int
    """
    if truncation == 1.0:
        return powers.sum(axis=1, dtype=np.int64)
    cost = (powers.astype(np.float64) ** truncation).sum(axis=1)
    # 0**q is 0 for q > 0, so that absent columns cost nothing.
    norm = np.maximum(cost - _ROUNDING, 0.0) ** (1.0 / truncation)
    return np.ceil(norm - _ROUNDING).astype(np.int64)


def count_terms(n_features, degree, truncation=1.0, interaction_only=False):
    """Number of terms of a set, without the constant and without listing them."""
    if truncation == 1.0:
        if interaction_only:
            return sum(comb(n_features, k) for k in range(1, min(degree, n_features) + 1))
        return comb(n_features + degree, degree) - 1
    shapes = exponent_shapes(degree, truncation, interaction_only, n_features)
    return sum(_placements(shape, n_features) for shape in shapes)


@lru_cache(maxsize=256)
def exponent_shapes(degree, truncation=1.0, interaction_only=False, n_features=None):
    """Non-increasing exponent tuples of the set, (2, 1) for x_i^2 x_j, the constant left out."""
    budget = degree**truncation + _ROUNDING
    highest = 1 if interaction_only else degree
    shapes, grown, length = [], [((), 0.0)], 0
    while grown and (n_features is None or length < n_features):
        length += 1
        grown = [
            ((*shape, power), cost + power**truncation)
            for shape, cost in grown
            for power in range(1, min(shape[-1] if shape else highest, highest) + 1)
            if cost + power**truncation <= budget
        ]
        shapes += [shape for shape, _ in grown]
    return tuple(shapes)


def _placements(shape, n_features):
    """Ways to give the exponents of a shape to different columns."""
    ways = comb(n_features, len(shape)) * factorial(len(shape))
    for power in set(shape):
        ways //= factorial(shape.count(power))
    return ways


def product_plan(powers):
    """Steps that build every term as one product of an earlier term and one univariate factor.

    Parameters
    ----------
    powers : ndarray of shape (n_terms, n_features)
        Multi-indices with the constant first; for each row, the row without its first column's
        factor comes earlier (true for downward closed sets in graded order).

    Returns
    -------
    ndarray of shape (n_steps, 5), int
        Rows (start, stop, parent, feature, power): terms start..stop-1 are the terms from
        `parent` on, times the factor of degree `power` in column `feature`.
    """
    if len(powers) == 1:
        return np.empty((0, 5), dtype=np.int64)
    rows = np.arange(1, len(powers))
    feature = np.argmax(powers[1:] > 0, axis=1)
    power = powers[rows, feature].astype(np.int64)
    parents = powers[1:].copy()
    parents[rows - 1, feature] = 0
    parent = find_rows(powers, parents)
    same = (np.diff(feature) == 0) & (np.diff(power) == 0) & (np.diff(parent) == 1)
    # No step reads what it writes: parents lack the column that all its terms have.
    starts = np.flatnonzero(np.r_[True, ~same])
    stops = np.r_[starts[1:], len(rows)]
    return np.column_stack(
        [starts + 1, stops + 1, parent[starts], feature[starts], power[starts]]
    ).astype(np.int64)


def find_rows(powers, wanted):
    """Positions of the rows of `wanted` among the rows of `powers` (-1 where absent)."""
    width = f"S{powers.shape[1]}"
    keys = np.ascontiguousarray(powers).view(width).ravel()
    queries = np.ascontiguousarray(wanted).view(width).ravel()
    order = np.argsort(keys)
    position = np.minimum(np.searchsorted(keys, queries, sorter=order), len(keys) - 1)
    found = order[position]
    return np.where(keys[found] == queries, found, -1)


def downward_closure(powers):
    """Smallest downward closed set that holds `powers` and the constant, in graded order."""
    _, below = downward_pairs(powers)
    zero = np.zeros((1, powers.shape[1]), dtype=np.uint8)
    closed = np.unique(np.concatenate([zero, below]), axis=0)
    return closed[_graded_order(closed, 1.0)]


def downward_pairs(powers):
    """All pairs of a term and a term below it.

    Parameters
    ----------
    powers : ndarray of shape (n_terms, n_features), uint8
        Multi-indices ``a``.

    Returns
    -------
    term : ndarray of shape (n_pairs,), int
        Row of ``a``.
    below : ndarray of shape (n_pairs, n_features), uint8
        Every ``b <= a``.
    """
    term, below = np.arange(len(powers)), powers.copy()
    for feature in np.flatnonzero(powers.any(axis=0)):
        repeats = below[:, feature].astype(np.int64) + 1
        first = np.repeat(np.cumsum(repeats) - repeats, repeats)
        term, below = np.repeat(term, repeats), np.repeat(below, repeats, axis=0)
        below[:, feature] = np.arange(len(below)) - first
    return term, below
