"""A polynomial as one of a degree less whose coefficients are linear in the columns."""

from dataclasses import dataclass, replace

import numpy as np

from sklearn_ext.linear_model._index_sets import find_rows
from sklearn_ext.linear_model._polynomial_basis import PolynomialBasis, evaluate


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
