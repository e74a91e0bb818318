r"""Products of orthogonal polynomials, evaluated block by block.

Every univariate family here is a three-term recurrence in :math:`z = (x - c) s`:

.. math:: p_0 = 1, \qquad p_{k+1} = (A_k z + B_k) p_k - C_k p_{k-1},

and a term of the model is :math:`\phi_a(x) = \prod_j p_{a_j}(z_j)`. The recurrence coefficients
define the basis: evaluation, the way back to raw monomials and the change between two bases all
read the same arrays.
"""

from dataclasses import dataclass, replace

import numpy as np

from sklearn_ext.linear_model._index_sets import product_plan
from sklearn_ext.linear_model._recurrences import FAMILIES, affine_map, through_origin


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
    one_column = FAMILIES[family](degree)
    recurrence = np.repeat(one_column[:, None, :], len(center), axis=1)
    if not fit_intercept:
        recurrence = through_origin(recurrence, center, scale, bounds)
    return PolynomialBasis(center, scale, recurrence, powers, product_plan(powers))


def monomial_like(basis):
    """Return the powers of z on the same maps and multi-indices."""
    recurrence = np.zeros_like(basis.recurrence)
    recurrence[0] = 1.0
    return replace(basis, recurrence=recurrence)


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
