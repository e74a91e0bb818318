r"""Gram matrix of all terms up to a total degree, from the moments that it is made of.

With the constant as one more column :math:`z_0 = 1`, every monomial of degree at most p is a
product of exactly p columns, and every entry of their Gram matrix is a moment

.. math:: \sum_i w_i \prod_{j = 0}^d z_{ij}^{c_j}, \qquad \sum_j c_j = 2 p .

There are far fewer moments than entries: 8,008 against 41,041 for 10 columns and p = 3. With its
2 p columns sorted, each is the product of a head (the first p) and a tail (the last p), so that
all of them come from a few matrix products, about a quarter of the work of a rank-k update. The
monomials' Gram matrix is then changed to the basis: for p <= 4 on [-1, 1] that costs no digit that
a Cholesky factorisation would have kept.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import comb

import numpy as np
from sklearn.utils import gen_batches

from sklearn_ext.linear_model._basis_change import change_of_basis
from sklearn_ext.linear_model._index_sets import count_terms, find_rows
from sklearn_ext.linear_model._polynomial_basis import mapped_columns, monomial_like

# Matrix products with fewer rows than this are slow.
_LEAST_HEADS = 16
_HIGHEST_DEGREE = 4
# Below this many rows, or above this many terms, the bookkeeping costs more than it saves.
_FEWEST_ROWS = 100_000
_MOST_TERMS = 1_500
# Arrays of the size of all terms that a block needs.
_BUFFERS = 2
# Values of all terms that a block holds: 2 MiB, near the second-level cache.
_BLOCK_VALUES = 2**18


@dataclass(frozen=True)
class MomentPlan:
    """How the terms of degree p in d + 1 columns are built and multiplied.

    Attributes
    ----------
    steps : list of list of (start, stop, column)
        For each degree from 2 on: terms start..stop-1 are the first terms of the degree below,
        times one column. Columns are numbered from the last to the constant.
    heads : ndarray of shape (n_terms,), int
        Terms by their largest column, the constant's first.
    groups : list of (start, stop, n_tails)
        Heads start..stop-1 are multiplied by the first n_tails terms.
    powers : ndarray of shape (n_terms, n_features), uint8
        Exponents of the terms, without the constant's.
    entries : ndarray of shape (n_terms, n_terms), int
        Place of each entry of the Gram matrix among all products.
    """

    steps: list
    heads: np.ndarray
    groups: list
    powers: np.ndarray
    entries: np.ndarray


def pays(basis, n_rows):
    """Whether a basis is complete up to its total degree, and the moments the cheaper way."""
    degree = int(basis.powers.sum(axis=1, dtype=np.int64).max())
    if not 2 <= degree <= _HIGHEST_DEGREE or n_rows < _FEWEST_ROWS:
        return False
    complete = basis.n_columns == count_terms(basis.powers.shape[1], degree) + 1
    return complete and basis.n_columns <= _MOST_TERMS


@lru_cache(maxsize=4)
def moment_plan(n_features, degree):
    """Plan the moments of all terms of `degree` in the columns and the constant."""
    n_symbols = n_features + 1
    steps = [_steps(n_symbols, g) for g in range(2, degree + 1)]
    exponents = np.eye(n_symbols, dtype=np.uint8)
    for level in steps:
        grown = [exponents[: stop - start].copy() for start, stop, _ in level]
        for part, (_, _, column) in zip(grown, level, strict=True):
            part[:, column] += 1
        exponents = np.concatenate(grown)
    # Columns run from the last to the constant: the first one present is the largest.
    largest = np.argmax(exponents > 0, axis=1)
    heads = np.argsort(-largest, kind="stable")
    groups = _groups(largest[heads], degree)
    products = [
        exponents[:n_tails, None] + exponents[heads[start:stop]] for start, stop, n_tails in groups
    ]
    products = np.concatenate([part.reshape(-1, n_symbols) for part in products])
    pairs = exponents[:, None] + exponents
    entries = find_rows(products, pairs.reshape(-1, n_symbols)).reshape(pairs.shape[:2])
    powers = np.ascontiguousarray(exponents[:, -2::-1])  # the caller's order, no constant
    return MomentPlan(steps, heads, groups, powers, entries)


def _steps(n_symbols, degree):
    """Times column i go the terms of the degree below in the columns 0..i."""
    steps, start = [], 0
    for column in range(n_symbols):
        size = comb(column + degree - 1, degree - 1)
        steps.append((start, start + size, column))
        start += size
    return steps


def _groups(largest_of_heads, degree):
    """Cut the heads by their largest column into groups that are worth a matrix product."""
    groups, start = [], 0
    for stop in np.flatnonzero(np.diff(largest_of_heads, append=-1)) + 1:
        if stop - start >= _LEAST_HEADS or stop == len(largest_of_heads):
            # Tails have no column before the heads' one: they are a leading slice.
            n_tails = comb(int(largest_of_heads[start]) + degree, degree)
            groups.append((start, int(stop), n_tails))
            start = int(stop)
    return groups


def moment_gram(rows, basis):
    """Gram matrix of [A, Y], with the constant.

    Parameters
    ----------
    rows : Rows
        Dense rows.
    basis : PolynomialBasis
        All terms up to a total degree.

    Returns
    -------
    ndarray of shape (n_columns + n_outputs, n_columns + n_outputs)
    """
    degree = int(basis.powers.sum(axis=1, dtype=np.int64).max())
    plan = moment_plan(basis.powers.shape[1], degree)
    products, with_targets, targets = _accumulate(rows, basis, plan)
    gram = np.concatenate([part.ravel() for part in products])[plan.entries]
    order = find_rows(plan.powers, basis.powers)
    change = change_of_basis(monomial_like(basis), basis)
    inner = change @ (change @ gram[np.ix_(order, order)]).T
    cross = change @ with_targets[order]
    return np.asfortranarray(np.block([[inner, cross], [cross.T, targets]]))


def _accumulate(rows, basis, plan):
    """Sum over the blocks: tails times heads, terms times targets, targets times targets."""
    products = [np.zeros((n_tails, stop - start)) for start, stop, n_tails in plan.groups]
    n_terms = len(plan.heads)
    with_targets = np.zeros((n_terms, rows.n_outputs))
    targets = np.zeros((rows.n_outputs, rows.n_outputs))
    buffers = []
    size = max(min(_BLOCK_VALUES // n_terms, rows.block_size(_BUFFERS * n_terms)), 1)
    for batch in gen_batches(len(rows.y), size):
        z, weight = mapped_columns(basis, rows.X[batch]), rows.sample_weight[batch]
        if not buffers or buffers[0].shape[1] != len(weight):
            buffers = _buffers(plan, z.shape[0] + 1, len(weight))
        terms, heads = _monomials(z, plan, buffers), buffers[-1]
        np.take(terms, plan.heads, axis=0, out=heads, mode="clip")
        if rows.weighted:
            heads *= weight
        for product, (start, stop, n_tails) in zip(products, plan.groups, strict=True):
            product += terms[:n_tails] @ heads[start:stop].T
        weighted = rows.y[batch].T * weight
        with_targets += terms @ weighted.T
        targets += weighted @ rows.y[batch]
    return products, with_targets, targets


def _buffers(plan, n_symbols, n_rows):
    """Arrays that every block fills anew: columns, each degree's terms, heads."""
    heights = [n_symbols, *(level[-1][1] for level in plan.steps), len(plan.heads)]
    return [np.empty((height, n_rows)) for height in heights]


def _monomials(z, plan, buffers):
    """Monomials of degree p in the columns, last first, and the constant."""
    columns = buffers[0]
    columns[:-1], columns[-1] = z[::-1], 1.0
    terms = columns
    for level, grown in zip(plan.steps, buffers[1:-1], strict=True):
        for start, stop, column in level:
            np.multiply(terms[: stop - start], columns[column], out=grown[start:stop])
        terms = grown
    return terms
