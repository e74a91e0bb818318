"""From the terms of one basis to those of another with the same multi-indices."""

import numpy as np
from scipy.sparse import csr_array

from sklearn_ext.linear_model._index_sets import downward_pairs, find_rows
from sklearn_ext.linear_model._polynomial_basis import mapped_columns, univariate_values


def change_of_basis(old, new, *, has_constant=True, constant=None):
    """Matrix T with ``terms(new) = T @ terms(old)`` for two bases with the same powers.

    Univariate tables are found by collocation inside the old bounds, where both bases are
    bounded when the new bounds hold the old ones.

    Parameters
    ----------
    old, new : PolynomialBasis
        Bases.
    has_constant : bool, default=True
        False where every p_k of both bases is x times a polynomial of degree k - 1.
    constant : ndarray of shape (n_features,), bool, default=None
        Columns that had one value only in all rows seen in the old basis: there the new
        polynomials are the constants that they are at that value.

    Returns
    -------
    csr_array of shape (n_terms + 1, n_terms + 1)
    """
    tables = _collocate(old, new, has_constant)
    if has_constant and constant is not None and constant.any():
        values = univariate_values(new, mapped_columns(new, old.center[None, :]))[..., 0]
        tables[constant, 1:] = 0.0
        tables[constant, 1:, 0] = values.T[constant]
    term, below = downward_pairs(new.powers)
    above, values = new.powers[term], np.ones(len(term))
    for feature in np.flatnonzero(new.powers.any(axis=0)):
        values *= tables[feature, above[:, feature], below[:, feature]]
    columns = find_rows(old.powers, below)
    shape = (new.n_columns, old.n_columns)
    return csr_array((values, (term, columns)), shape=shape)


def _collocate(old, new, has_constant):
    """Tables (n_features, degree + 1, degree + 1): p_k of `new` in terms of p_l of `old`."""
    n_features, degree = old.recurrence.shape[1:]
    nodes = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
    X = old.center + nodes[:, None] / old.scale  # (degree + 1, n_features)
    # Each (n_features, degree, nodes).
    old_values = np.moveaxis(univariate_values(old, mapped_columns(old, X)), 1, 0)
    new_values = np.moveaxis(univariate_values(new, mapped_columns(new, X)), 1, 0)
    tables = np.zeros((n_features, degree + 1, degree + 1))
    tables[:, 0, 0] = 1.0
    ones = np.ones((1, degree + 1))
    for table, source, target in zip(tables, old_values, new_values, strict=True):
        if has_constant:
            source = np.concatenate([ones, source])
        solved = np.linalg.lstsq(source.T, target.T, rcond=None)[0].T
        table[1:, 0 if has_constant else 1 :] = solved
    return np.tril(tables)
