"""Terms and their raw monomials in double-double arithmetic, with about 32 digits."""

import numpy as np

from sklearn_ext.linear_model import _double_double as dd
from sklearn_ext.linear_model._index_sets import downward_pairs, find_rows


def evaluate_extended(basis, X):
    """Evaluate all terms in double-double: a pair of arrays (n_terms + 1, n_rows)."""
    factors = _extended_factors(basis, X)
    hi = np.empty((basis.n_columns, X.shape[0]))
    lo = np.empty_like(hi)
    hi[0], lo[0] = 1.0, 0.0
    for start, stop, parent, feature, power in basis.plan:
        parents = slice(parent, parent + stop - start)
        factor = factors[power - 1]
        hi[start:stop], lo[start:stop] = dd.multiply(
            (hi[parents], lo[parents]), (factor[0][feature], factor[1][feature])
        )
    return hi, lo


def _extended_factors(basis, X):
    """Pairs of arrays (n_features, n_rows) for p_1 .. p_degree."""
    z = dd.two_sum(X.T.astype(np.float64), -basis.center[:, None])
    z = dd.multiply(z, dd.dd(basis.scale[:, None]))
    before, now, factors = dd.dd(np.zeros_like(z[0])), dd.dd(np.ones_like(z[0])), []
    for slope, shift, back in np.moveaxis(basis.recurrence, 2, 0)[..., None]:
        factor = dd.add(dd.multiply(z, dd.dd(slope)), dd.dd(shift))
        grown = dd.add(dd.multiply(factor, now), dd.negative(dd.multiply(dd.dd(back), before)))
        before, now = now, grown
        factors.append(now)
    return factors


def univariate_monomials(basis):
    """Coefficients of each p_k in powers of the raw column, in double-double.

    Returns
    -------
    pair of ndarray of shape (n_features, degree + 1, degree + 1)
        Entry (j, k, l) is the coefficient of ``x_j**l`` in ``p_k``.
    """
    n_features, degree = basis.recurrence.shape[1:]
    hi = np.zeros((n_features, degree + 1, degree + 1))
    lo = np.zeros_like(hi)
    hi[:, 0, 0] = 1.0
    before = dd.dd(np.zeros((n_features, degree + 1)))
    for k, (slope, shift, back) in enumerate(np.moveaxis(basis.recurrence, 2, 0)[..., None]):
        now = hi[:, k], lo[:, k]
        # (A z + B) p with z = (x - c) s: shift the coefficients up for x, then collect.
        rate = dd.two_prod(slope, basis.scale[:, None])
        level = dd.add(dd.multiply(rate, dd.dd(-basis.center[:, None])), dd.dd(shift))
        raised = tuple(np.roll(part, 1, axis=1) for part in now)
        grown = dd.add(dd.multiply(raised, rate), dd.multiply(now, level))
        grown = dd.add(grown, dd.negative(dd.multiply(dd.dd(back), before)))
        hi[:, k + 1], lo[:, k + 1] = grown
        before = now
    return hi, lo


def monomial_matrix(basis, monomials):
    """Matrix that turns coefficients of the basis into coefficients of raw monomials.

    Parameters
    ----------
    basis : PolynomialBasis
        Basis of the fitted coefficients.
    monomials : ndarray of shape (n_monomials, n_features)
        Multi-indices of the monomials; must hold everything below the basis' terms.

    Returns
    -------
    rows, columns : ndarray of shape (n_entries,), int
        Places of the entries: monomial and term.
    values : pair of ndarray of shape (n_entries,)
        Entries in double-double.
    """
    tables = univariate_monomials(basis)
    term, below = downward_pairs(basis.powers)
    above = basis.powers[term]
    values = dd.dd(np.ones(len(term)))
    for feature in np.flatnonzero(basis.powers.any(axis=0)):
        place = feature, above[:, feature], below[:, feature]
        values = dd.multiply(values, (tables[0][place], tables[1][place]))
    return find_rows(monomials, below), term, values
