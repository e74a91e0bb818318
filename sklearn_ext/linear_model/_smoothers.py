r"""Regularised inverses from a factor: coefficients, ridge paths, leverages, standard errors.

All of them come from a *smoother*: a matrix ``M`` and weights ``s`` with

.. math:: (A'A + \alpha P)^{-1} = M \operatorname{diag}(s) M' ,

where the diagonal P penalises all columns but a free first one.

References
----------
.. [1] D. M. Allen, "The relationship between variable selection and data augmentation and a
   method for prediction", Technometrics 16(1), 1974 (leave-one-out from leverages).
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh, svd

_EPS = np.finfo(np.float64).eps
# How far a penalty must lie above the rounding of R'R for R'R to be decomposed.
_FAR_ABOVE = 1e4
# Below this distance to 1 a leverage leaves nothing of the row's own residual.
_FULL_LEVERAGE = 1e-10


@dataclass(frozen=True)
class Smoother:
    """Regularised inverses of one design for one or several penalties.

    Attributes
    ----------
    transform : ndarray of shape (n_columns, rank)
        M.
    shrink : ndarray of shape (n_alphas, rank)
        s, a row for each penalty.
    projections : ndarray of shape (rank, n_outputs)
        M'A'y.
    """

    transform: np.ndarray
    shrink: np.ndarray
    projections: np.ndarray

    @property
    def rank(self):
        """Number of directions that the data determine."""
        return self.transform.shape[1]

    def coefficients(self, index=0):
        """Coefficients (n_columns, n_outputs) under the penalty `index`."""
        return self.transform @ (self.shrink[index][:, None] * self.projections)

    def root(self, index=0):
        """W (n_columns, rank) with W W' the regularised inverse of A'A."""
        return self.transform * np.sqrt(self.shrink[index])


def triangular_smoother(factor):
    """Smoother of a factor of full rank at its own penalty, from a triangular inverse.

    Parameters
    ----------
    factor : Factor
        Penalised factor.

    Returns
    -------
    Smoother or None
        None where the triangle is numerically singular.
    """
    n_columns = len(factor.triangle)
    if factor.reciprocal_condition < 10 * n_columns * _EPS:
        return None
    return Smoother(factor.inverse, np.ones((1, n_columns)), factor.projected)


def spectral_smoother(factor, alphas, squared=False):
    """Smoother under a grid of penalties, of any rank, from one spectral decomposition.

    Parameters
    ----------
    factor : Factor
        Factor with a penalty not above the smallest of `alphas`.
    alphas : array-like of shape (n_alphas,)
        Penalties.
    squared : bool or None, default=False
        Decompose R'R instead of R: several times faster for many columns, and as good as long
        as every penalty is far above ``eps * ||R||**2``. None does so just then.

    Returns
    -------
    Smoother
        Of minimum norm where the rank is deficient.
    """
    R, n_free = factor.triangle, factor.n_free
    # Columns scaled so that the penalty is the plain squared norm.
    scale = 1.0 / np.sqrt(factor.penalty[n_free:])
    inner = R[n_free:, n_free:] * scale
    alphas = np.asarray(alphas, dtype=np.float64)
    if squared is None:
        squared = alphas.min() > _FAR_ABOVE * _EPS * np.sum(inner**2)
    gains, vectors = _spectrum(inner, squared)
    shrink = 1.0 / (gains + (alphas[:, None] - factor.alpha))
    moved = vectors.T @ (inner.T @ factor.projected[n_free:])
    vectors = scale[:, None] * vectors
    if n_free == 0:
        return Smoother(vectors, shrink, moved)
    return _with_free_column(factor, vectors, shrink, moved)


def _with_free_column(factor, vectors, shrink, moved):
    """Smoother of all columns from what one of the penalised columns is made of."""
    R, (n_penalised, rank) = factor.triangle, vectors.shape
    transform = np.zeros((n_penalised + 1, rank + 1))
    transform[0, 0] = 1.0
    transform[1:, 1:] = vectors
    # Centre the other columns on the free one, so that it leaves the penalised problem.
    transform[0, 1:] = -(R[0, 1:] / R[0, 0]) @ vectors
    free = np.full((len(shrink), 1), 1.0 / R[0, 0] ** 2)
    return Smoother(
        transform,
        np.concatenate([free, shrink], axis=1),
        np.concatenate([R[0, 0] * factor.projected[:1], moved]),
    )


def _spectrum(R, squared):
    """Squared singular values above the rounding level and right singular vectors."""
    if R.shape[0] == 0:
        return np.zeros(0), np.zeros((0, 0))
    if squared:
        gains, vectors = eigh(R.T @ R)
        kept = gains > len(R) * _EPS * max(gains[-1], 0.0)
        return gains[kept], vectors[:, kept]
    _, values, rows = svd(R)
    kept = values > len(R) * _EPS * values[0]
    return values[kept] ** 2, rows[kept].T


def leave_one_out_errors(blocks, shares, smoothers, n_outputs):
    r"""Leave-one-out squared errors of many models in one pass, without a refit.

    .. math:: y_i - \hat y_i^{(-i)} = (y_i - \hat y_i) / (1 - h_i)

    with the leverage :math:`h_i = a_i' M diag(s) M' a_i` ([1]_, eq. 3.5). A row of weight w > 1
    stands for w equal rows of which one is left out, so that only 1 / w of its leverage goes.

    Parameters
    ----------
    blocks : iterable of ndarray of shape (n_columns + n_outputs, n_rows)
        Weighted blocks.
    shares : iterable of ndarray of shape (n_rows,)
        Share of each row's weight that is left out, in (0, 1], block by block.
    smoothers : list of Smoother
        Models; each reads the leading columns that its transform has rows for.
    n_outputs : int
        Number of targets.

    Returns
    -------
    list of ndarray of shape (n_alphas, n_outputs)
        Weighted sums of squared errors; inf where a row's leverage is 1, because without that
        row the model is not determined.
    """
    errors = [np.zeros((len(s.shrink), n_outputs)) for s in smoothers]
    for block, share in zip(blocks, shares, strict=True):
        targets = block[-n_outputs:]
        for error, smoother in zip(errors, smoothers, strict=True):
            scores = smoother.transform.T @ block[: len(smoother.transform)]
            error += _deleted_errors(scores, smoother, targets, share)
    return errors


def _deleted_errors(scores, smoother, targets, share):
    """Sums of squared deleted residuals (n_alphas, n_outputs) of one block."""
    room = 1.0 - share * (smoother.shrink @ scores**2)  # (n_alphas, n_rows)
    determined = np.all(room > _FULL_LEVERAGE, axis=1)
    room[room <= _FULL_LEVERAGE] = 1.0
    sums = np.empty((len(room), len(targets)))
    for output, target in enumerate(targets):
        fitted = (smoother.shrink * smoother.projections[:, output]) @ scores
        sums[:, output] = np.sum(((target - fitted) / room) ** 2, axis=1)
    sums[~determined] = np.inf
    return sums
