r"""Products of orthogonal polynomials, evaluated block by block.

Every univariate family here is a three-term recurrence in :math:`z = (x - c) s`:

.. math:: p_0 = 1, \qquad p_{k+1} = (A_k z + B_k) p_k - C_k p_{k-1},

and a term of the model is :math:`\phi_a(x) = \prod_j p_{a_j}(z_j)`. The recurrence coefficients
define the basis: evaluation, the way back to raw monomials and the change between two bases all
read the same arrays.

References
----------
.. [1] W. Gautschi, "Orthogonal Polynomials: Computation and Approximation", Oxford, 2004;
   section 2.2.3.1 for the discrete Stieltjes procedure.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from sklearn_ext.linear_model import _double_double as dd
from sklearn_ext.linear_model._index_sets import downward_pairs, find_rows, product_plan


@dataclass(frozen=True)
class PolynomialBasis:
    """Columns' maps, recurrence coefficients and multi-indices of a polynomial model.

    Attributes
    ----------
    center, scale : ndarray of shape (n_features,)
        ``z = (x - center) * scale``.
    recurrence : ndarray of shape (3, n_features, max_degree)
        ``A``, ``B`` and ``C`` of the three-term recurrence.
    powers : ndarray of shape (n_terms + 1, n_features), uint8
        Multi-indices with the constant first.
    plan : ndarray of shape (n_steps, 5)
        See :func:`~sklearn_ext.linear_model._index_sets.product_plan`.
    continued : bool
        Whether each p_k goes on outside [-1, 1] as its tangent at the end.
    """

    center: np.ndarray
    scale: np.ndarray
    recurrence: np.ndarray
    powers: np.ndarray
    plan: np.ndarray
    continued: bool = False

    @property
    def n_columns(self):
        """Number of terms with the constant."""
        return len(self.powers)

    def restricted(self, powers):
        """Return the same univariate families with other multi-indices."""
        return replace(self, powers=powers, plan=product_plan(powers))


def make_basis(family, bounds, powers, *, degree=None, fit_intercept=True):
    """Build a basis of a classical family on a box.

    Parameters
    ----------
    family : {"legendre", "chebyshev", "monomial"}
        Univariate polynomials; the first two are orthonormal on [-1, 1] for the uniform and
        the arcsine distribution.
    bounds : ndarray of shape (2, n_features)
        Lower and upper end of each column, mapped to -1 and 1.
    powers : ndarray of shape (n_terms + 1, n_features)
        Multi-indices with the constant first.
    degree : int, default=None
        Highest univariate degree; None takes it from `powers`.
    fit_intercept : bool, default=True
        If False, every univariate polynomial of degree k >= 1 is x times one of degree k - 1,
        so that the model vanishes at the origin of each term's columns.

    Returns
    -------
    PolynomialBasis
    """
    center, scale = affine_map(bounds)
    degree = degree or max(int(powers.max(initial=0)), 1)
    one_column = _FAMILIES[family](degree)
    recurrence = np.repeat(one_column[:, None, :], len(center), axis=1)
    if not fit_intercept:
        recurrence = through_origin(recurrence, center, scale, bounds)
    return PolynomialBasis(center, scale, recurrence, powers, product_plan(powers))


def affine_map(bounds):
    """Center and scale that map bounds to [-1, 1]; a constant column is mapped to 0."""
    lower, upper = bounds
    center = lower + 0.5 * (upper - lower)
    width = upper - lower
    varies = width > 0
    return center, np.divide(2.0, width, out=np.ones_like(center), where=varies)


def _legendre(degree):
    k = np.arange(degree, dtype=np.float64)
    slope = (2 * k + 1) / (k + 1) * np.sqrt((2 * k + 3) / (2 * k + 1))
    back = k / (k + 1) * np.sqrt((2 * k + 3) / np.maximum(2 * k - 1, 1))
    return np.stack([slope, np.zeros(degree), back])


def _chebyshev(degree):
    slope, back = np.full(degree, 2.0), np.ones(degree)
    slope[0], back[0] = np.sqrt(2.0), 0.0
    back[1:2] = np.sqrt(2.0)
    return np.stack([slope, np.zeros(degree), back])


def _monomial(degree):
    return np.stack([np.ones(degree), np.zeros(degree), np.zeros(degree)])


def monomial_like(basis):
    """Return the powers of z on the same maps and multi-indices."""
    recurrence = np.zeros_like(basis.recurrence)
    recurrence[0] = 1.0
    return replace(basis, recurrence=recurrence)


_FAMILIES = {"legendre": _legendre, "chebyshev": _chebyshev, "monomial": _monomial}


def through_origin(recurrence, center, scale, bounds):
    """Recurrence of ``p_k = t * old_{k-1}`` for k >= 1, where t is x scaled to at most 1."""
    largest = np.abs(bounds).max(axis=0)
    largest[largest == 0] = 1.0
    moved = np.zeros_like(recurrence)
    moved[:, :, 1:] = recurrence[:, :, :-1]
    # x / largest = z / (scale * largest) + center / largest.
    moved[0, :, 0] = 1.0 / (scale * largest)
    moved[1, :, 0] = center / largest
    return moved


def empirical_recurrence(z, sample_weight, degree):
    """Recurrence of the polynomials that are orthonormal on the data of each column.

    The discrete Stieltjes procedure ([1]_, eq. 2.2.22). Where a column has no more than k
    distinct values, p_k and all that follow are zero.

    Parameters
    ----------
    z : ndarray of shape (n_samples, n_features)
        Mapped columns.
    sample_weight : ndarray of shape (n_samples,)
        Weights.
    degree : int
        Highest degree.

    Returns
    -------
    ndarray of shape (3, n_features, degree)
    """
    return np.stack(
        [_stieltjes(column, sample_weight, degree) for column in np.ascontiguousarray(z.T)],
        axis=1,
    )


def _stieltjes(z, sample_weight, degree):
    """Recurrence (3, degree) of one column."""
    weight = sample_weight / sample_weight.sum()
    values, place = np.unique(z, return_inverse=True)
    weight = np.bincount(place, weight)
    before, now = np.zeros_like(values), np.ones_like(values)
    recurrence = np.zeros((3, degree))
    norm = 0.0
    for k in range(min(degree, len(values) - 1)):
        mean = np.sum(weight * values * now * now)
        grown = (values - mean) * now - norm * before
        previous, norm = norm, np.sqrt(np.sum(weight * grown * grown))
        if norm <= 1e-13:
            break
        recurrence[:, k] = 1.0 / norm, -mean / norm, previous / norm
        before, now = now, grown / norm
    return recurrence


def mapped_columns(basis, X):
    """Columns z of the rows, one a row: ndarray of shape (n_features, n_rows), float64."""
    z = np.subtract(X.T, basis.center[:, None], order="C", dtype=np.float64)
    z *= basis.scale[:, None]
    return z


def univariate_values(basis, z):
    """Evaluate p_1 .. p_degree for every column.

    Parameters
    ----------
    basis : PolynomialBasis
        Families of the columns.
    z : ndarray of shape (n_features, n_rows)
        Mapped columns.

    Returns
    -------
    ndarray of shape (degree, n_features, n_rows)
    """
    if basis.continued:
        inside = np.clip(z, -1.0, 1.0)
        values = _recurrence_values(basis, inside)
        return values + _recurrence_slopes(basis, inside, values) * (z - inside)
    return _recurrence_values(basis, z)


def _recurrence_values(basis, z):
    slope, shift, back = basis.recurrence[..., None]  # each (n_features, degree, 1)
    values = np.empty((basis.recurrence.shape[2], *z.shape))
    for k, value in enumerate(values):
        np.multiply(z, slope[:, k], out=value)
        if shift[:, k].any():
            value += shift[:, k]
        if k:
            value *= values[k - 1]
        if k > 1:
            value -= back[:, k] * values[k - 2]
        elif k == 1:
            value -= back[:, k]
    return values


def _recurrence_slopes(basis, z, values):
    """Derivatives of p_1 .. p_degree with respect to z, from their values."""
    slope, shift, back = np.moveaxis(basis.recurrence, 2, 1)[..., None]
    slopes = np.empty_like(values)
    before, now, value = np.zeros_like(z), np.zeros_like(z), np.ones_like(z)
    for k in range(len(values)):
        grown = (slope[k] * z + shift[k]) * now + slope[k] * value - back[k] * before
        slopes[k] = grown
        before, now, value = now, grown, values[k]
    return slopes


def evaluate(basis, z, root=1.0, out=None):
    """Evaluate all terms on a block of rows.

    Parameters
    ----------
    basis : PolynomialBasis
        The model's terms.
    z : ndarray of shape (n_features, n_rows)
        Mapped columns.
    root : float or ndarray of shape (n_rows,), default=1.0
        Value of the constant term: the square roots of the weights weight every term at no
        further cost.
    out : ndarray of shape (n_terms + 1, n_rows), default=None
        Where to write.

    Returns
    -------
    ndarray of shape (n_terms + 1, n_rows)
        One term a row, so that terms are contiguous and ``out.T`` is column-major.
    """
    factors = univariate_values(basis, z)
    if out is None:
        out = np.empty((basis.n_columns, z.shape[1]))
    out[0] = root
    for start, stop, parent, feature, power in basis.plan:
        np.multiply(
            out[parent : parent + stop - start],
            factors[power - 1, feature],
            out=out[start:stop],
        )
    return out


@dataclass(frozen=True)
class ReducedPolynomial:
    """A polynomial of degree p as one of degree p - 1 whose coefficients are linear in z.

    Attributes
    ----------
    basis : PolynomialBasis
        Terms of degree below p.
    coefficients : ndarray of shape (n_features + 1, n_outputs, n_terms + 1)
        ``f = (v_0 + sum_j z_j v_{j + 1})`` with ``v = coefficients @ terms``.
    """

    basis: PolynomialBasis
    coefficients: np.ndarray

    def __call__(self, z):
        """Evaluate on mapped columns z (n_features, n_rows): (n_outputs, n_rows)."""
        values = evaluate(self.basis, z)
        heads, n_outputs, n_columns = self.coefficients.shape
        linear = self.coefficients.reshape(-1, n_columns) @ values
        linear = linear.reshape(heads, n_outputs, -1)
        return linear[0] + np.einsum("jr,jor->or", z, linear[1:])


def reduce_degree(basis, coefficients):
    """Take one recurrence step off every term of the highest degree (a Clenshaw step).

    ``p_k = (A z + B) p_{k-1} - C p_{k-2}`` moves such a term to lower terms whose coefficients
    are linear in z. Most terms of a polynomial are of the highest degree, so most columns need
    not be evaluated to predict: 66 instead of 286 for 10 columns and degree 3.

    Parameters
    ----------
    basis : PolynomialBasis
        Terms, downward closed.
    coefficients : ndarray of shape (n_terms + 1, n_outputs)
        Coefficients of the terms.

    Returns
    -------
    ReducedPolynomial
    """
    total = basis.powers.sum(axis=1, dtype=np.int64)
    highest = max(int(total.max()), 1)
    low = basis.powers[total < highest]
    top, moved = basis.powers[total == highest], coefficients[total == highest]
    kept = np.zeros((basis.powers.shape[1] + 1, len(low), coefficients.shape[1]))
    kept[0] = coefficients[total < highest]
    if len(top):
        _move_down(kept, basis, low, top, moved)
    recurrence = basis.recurrence[:, :, : max(highest - 1, 1)]
    reduced = replace(basis, recurrence=recurrence).restricted(low)
    return ReducedPolynomial(reduced, np.ascontiguousarray(np.swapaxes(kept, 1, 2)))


def _move_down(kept, basis, low, top, moved):
    """Add the coefficients of the terms `top` to those of lower terms, in place."""
    rows = np.arange(len(top))
    feature = np.argmax(top > 0, axis=1)
    power = top[rows, feature].astype(np.int64)
    slope, shift, back = basis.recurrence[:, feature, power - 1][..., None] * moved
    below = top.copy()
    below[rows, feature] -= 1
    once = find_rows(low, below)
    np.add.at(kept, (feature + 1, once), slope)
    np.add.at(kept[0], once, shift)
    twice = power >= 2
    below[rows, feature] -= twice
    np.subtract.at(kept[0], find_rows(low, below[twice]), back[twice])


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
