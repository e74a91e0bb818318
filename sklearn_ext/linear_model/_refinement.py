r"""Iterative refinement of least squares with residuals in double-double.

With any approximate inverse :math:`W W' \approx (A'A + \alpha P)^{-1}`,

.. math:: c \leftarrow c + W W' (A'(y - A c) - \alpha P c)

converges to the solution of the float64 data, because the gradient is computed with about 32
digits and each step only has to be right to leading order. The coefficients themselves are kept
as double-double pairs.

References
----------
.. [1] A. Bjorck, "Iterative refinement of linear least squares solutions I", BIT 7, 1967.
.. [2] J. Demmel, Y. Hida, E. J. Riedy and X. S. Li, "Extra-precise iterative refinement for
   overdetermined least squares problems", ACM Trans. Math. Softw. 35(4), 2009.
"""

import warnings

import numpy as np
from scipy.sparse import issparse

from sklearn_ext.exceptions import PrecisionWarning
from sklearn_ext.linear_model import _double_double as dd
from sklearn_ext.linear_model._extended_basis import evaluate_extended

_MAX_STEPS = 60
# Steps that may pass without halving the smallest one so far.
_PATIENCE = 3
# Steps below this share of the largest coefficient are lost in its second word.
_SETTLED = 2.0**-90
# More digits than any float64 result shows.
_ENOUGH = 2.0**-70


def refine(rows, basis, coefficients, root, penalty):
    """Refine coefficients until they stop changing.

    Parameters
    ----------
    rows : Rows
        Dense training rows.
    basis : PolynomialBasis
        Terms.
    coefficients : ndarray of shape (n_columns, n_outputs)
        Start; the constant is left out where the model has no intercept.
    root : ndarray of shape (n_columns, rank)
        W.
    penalty : ndarray of shape (n_columns,)
        Diagonal of alpha P.

    Returns
    -------
    refined : pair of ndarray of shape (n_columns, n_outputs)
        Coefficients in double-double.
    residual_sum : ndarray of shape (n_outputs,)
        Weighted squared residuals.
    """
    current, best, waited = dd.dd(coefficients), np.inf, 0
    for _ in range(_MAX_STEPS):
        gradient, residual_sum = _gradient(rows, basis, current, penalty)
        step = root @ (root.T @ gradient)
        size = np.max(np.abs(step)) / max(np.max(np.abs(current[0])), np.finfo(float).tiny)
        current = dd.add(current, dd.dd(step))
        waited = 0 if size < 0.5 * best else waited + 1
        best = min(best, size)
        if size <= _SETTLED or waited == _PATIENCE:
            break
    if best > _ENOUGH:
        warnings.warn(
            "solver='refined' stopped improving at a relative change of the coefficients of "
            f"{best:.1e}: the columns are too ill-conditioned for its starting factorisation. "
            "Lower degree, or remove columns that nearly repeat others.",
            PrecisionWarning,
            stacklevel=2,
        )
    return current, residual_sum


def predict_extended(basis, coefficients, X, batches):
    """Evaluate a refined polynomial in double-double: (n_rows, n_outputs).

    Where the columns nearly depend on each other, large terms cancel: without the second words
    the digits that refinement won would be lost again.

    Parameters
    ----------
    basis : PolynomialBasis
        Terms.
    coefficients : pair of ndarray of shape (n_columns, n_outputs)
        Coefficients in double-double.
    X : {ndarray, csr_array} of shape (n_rows, n_features)
        Inputs.
    batches : iterable of slice
        Blocks of rows.
    """
    predicted = np.empty((X.shape[0], coefficients[0].shape[1]))
    for batch in batches:
        block = X[batch].toarray() if issparse(X) else X[batch]
        values = evaluate_extended(basis, block)
        for output, column in enumerate(zip(coefficients[0].T, coefficients[1].T, strict=True)):
            predicted[batch, output] = _combine(values, column)[0]
    return predicted


def _combine(values, column):
    """Sum terms (n_columns, n_rows) times coefficients (n_columns,), in double-double."""
    return dd.total(dd.multiply(values, tuple(part[:, None] for part in column)))


def _gradient(rows, basis, coefficients, penalty):
    """A'(y - A c) - alpha P c, rounded once at the end, and the squared residuals."""
    first = basis.n_columns - len(penalty)
    total = dd.negative(dd.multiply(coefficients, dd.dd(penalty[:, None])))
    residual_sum = np.zeros(rows.n_outputs)
    for batch in rows.batches(basis.n_columns):
        values = tuple(part[first:] for part in evaluate_extended(basis, rows.X[batch]))
        weight = dd.dd(rows.sample_weight[batch])
        for output in range(rows.n_outputs):
            fitted = _combine(values, tuple(part[:, output] for part in coefficients))
            residual = dd.add(dd.dd(rows.y[batch, output]), dd.negative(fitted))
            weighted = dd.multiply(residual, weight)
            part = dd.total(dd.multiply(values, weighted), axis=1)
            summed = dd.add((total[0][:, output], total[1][:, output]), part)
            total[0][:, output], total[1][:, output] = summed
            residual_sum[output] += np.sum(weighted[0] * residual[0])
    return total[0] + total[1], residual_sum
