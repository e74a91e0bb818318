r"""Least squares from one pass over blocks of rows.

A block is the transposed, weighted design with the targets below it, ``(n_terms + n_outputs,
n_rows)``: one term a row, so that ``block.T`` is column-major as BLAS and LAPACK want it. Blocks
are folded into a square matrix, either the Gram matrix ``A'A`` or the triangle ``R`` of
``A = QR``; both are sums over rows, so that chunks, partitions and machines can be merged.

Everything later (coefficients, ridge paths, leverages, standard errors) is a *smoother*: a matrix
``M`` and weights ``s`` with

.. math:: (A'A + \alpha P)^{-1} = M \operatorname{diag}(s) M' ,

where the diagonal P penalises all columns but a free first one.

References
----------
.. [1] J. Demmel, L. Grigori, M. Hoemmen and J. Langou, "Communication-optimal parallel and
   sequential QR and LU factorizations", SIAM J. Sci. Comput. 34(1), 2012 (TSQR).
.. [2] D. M. Allen, "The relationship between variable selection and data augmentation and a
   method for prediction", Technometrics 16(1), 1974 (leave-one-out from leverages).
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.linalg import norm
from scipy.linalg import eigh, qr, solve_triangular, svd
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dpotrf, dtpqrt, dtrtri

# Rows per block: long enough for BLAS, short enough for the second-level cache.
_MAX_BLOCK_ROWS = 2048
_QR_PANEL = 32
_EPS = np.finfo(np.float64).eps
# How far a penalty must lie above the rounding of R'R for R'R to be decomposed.
_FAR_ABOVE = 1e4
# Below this distance to 1 a leverage leaves nothing of the row's own residual.
_FULL_LEVERAGE = 1e-10


def block_rows(n_columns, working_memory):
    """Rows per block so that a block takes at most `working_memory` MiB."""
    fitting = int(working_memory * 2**20 // (8 * max(n_columns, 1)))
    return int(np.clip(fitting, 1, _MAX_BLOCK_ROWS))


def add_to_gram(gram, block):
    """Add a block to the upper triangle of a column-major Gram matrix, in place if possible."""
    return dsyrk(1.0, block.T, beta=1.0, c=gram, trans=1, overwrite_c=1)


def add_to_triangle(triangle, block):
    """Fold a block into the triangle R by one step of sequential TSQR; destroys the block."""
    panel = min(_QR_PANEL, triangle.shape[0])
    return dtpqrt(0, panel, triangle, block.T, overwrite_a=1, overwrite_b=1)[0]


def fold(blocks, n_columns, step):
    """Fold all blocks from zero by `step`, one of the two functions above."""
    folded = np.zeros((n_columns, n_columns), order="F")
    for block in blocks:
        folded = step(folded, block)
    return folded


def symmetric(gram):
    """Whole Gram matrix from its upper triangle."""
    upper = np.triu(gram)
    return upper + np.triu(upper, 1).T


def merge_grams(first, second):
    """Gram matrix of the rows of both."""
    return np.asfortranarray(first + second)


def merge_triangles(first, second):
    """Triangle of the rows of both."""
    return add_to_triangle(np.array(first, order="F"), np.array(second.T, order="C"))


@dataclass(frozen=True)
class Factor:
    """Triangle of a design with a penalty folded in: R'R = A'A + alpha P and R'Z = A'Y.

    Attributes
    ----------
    triangle : ndarray of shape (n_columns, n_columns)
        R, upper triangular.
    projected : ndarray of shape (n_columns, n_outputs)
        Z.
    leftover : ndarray of shape (n_outputs,)
        ``||Y||**2 - ||Z||**2``.
    penalty : ndarray of shape (n_columns,)
        Diagonal of P; only the first entry may be 0, that of a free column.
    alpha : float
        Penalty that is folded in already.
    """

    triangle: np.ndarray
    projected: np.ndarray
    leftover: np.ndarray
    penalty: np.ndarray
    alpha: float = 0.0

    @property
    def n_free(self):
        """1 if the first column is never penalised, else 0."""
        return int(len(self.penalty) > 0 and self.penalty[0] == 0)

    def leading(self, n_columns):
        """Return the factor of the first columns only."""
        if n_columns == len(self.penalty):
            return self  # with the inverse that it may have computed
        dropped = self.projected[n_columns:]
        return replace(
            self,
            triangle=self.triangle[:n_columns, :n_columns],
            projected=self.projected[:n_columns],
            penalty=self.penalty[:n_columns],
            leftover=self.leftover + np.sum(dropped**2, axis=0),
        )

    def penalised(self, alpha):
        """Return the factor with the penalty raised to `alpha`."""
        if alpha <= self.alpha:
            return self
        n_columns, n_outputs = self.projected.shape
        stacked = np.zeros((n_columns + n_outputs,) * 2, order="F")
        stacked[:n_columns] = np.concatenate([self.triangle, self.projected], axis=1)
        rows = np.zeros((n_columns + n_outputs, n_columns))
        np.fill_diagonal(rows, np.sqrt((alpha - self.alpha) * self.penalty))
        folded = factor_from_triangle(add_to_triangle(stacked, rows), self.penalty)
        return replace(folded, leftover=self.leftover + folded.leftover, alpha=alpha)

    @cached_property
    def inverse(self):
        """Inverse of the triangle; None where it is exactly singular."""
        inverse, info = dtrtri(np.asfortranarray(self.triangle))
        return inverse if info == 0 else None

    @property
    def reciprocal_condition(self):
        """1 / cond(R) in the 1-norm; 0 for a singular triangle."""
        if len(self.penalty) == 0:
            return 1.0
        if self.inverse is None:
            return 0.0
        reciprocal = 1.0 / (norm(np.triu(self.triangle), 1) * norm(self.inverse, 1))
        return float(np.nan_to_num(reciprocal))

    def residual_sum_of_squares(self, coefficients):
        """Squared residual norms (n_outputs,) of any coefficients, the penalty not counted."""
        moved = self.projected - self.triangle @ coefficients
        penalty = self.alpha * (self.penalty @ coefficients**2)
        return np.maximum(self.leftover + np.sum(moved**2, axis=0) - penalty, 0.0)

    def dependent_columns(self, rank):
        """Return the columns that a pivoted factorisation finds to depend on the others."""
        inner = self.triangle[self.n_free :, self.n_free :]
        _, pivots = qr(inner, mode="r", pivoting=True)
        return np.sort(pivots[rank - self.n_free :]) + self.n_free

    def effective_dof(self, root):
        """Trace of the hat matrix of a smoother with this root: the parameters it spends."""
        penalty = self.alpha * np.sum(self.penalty @ root**2)
        return float(np.sum((self.triangle @ root) ** 2) - penalty)


def factor_from_triangle(triangle, penalty):
    """Read the triangle of [A, Y] as a :class:`Factor`."""
    n_columns = len(penalty)
    return Factor(
        triangle[:n_columns, :n_columns],
        triangle[:n_columns, n_columns:],
        np.sum(np.triu(triangle[n_columns:, n_columns:]) ** 2, axis=0),
        penalty,
    )


def factor_from_gram(gram, penalty, alpha=0.0):
    """Factor the Gram matrix of [A, Y] by Cholesky.

    Returns
    -------
    Factor or None
        None where the factorisation breaks down: A is numerically rank deficient.
    """
    n_columns = len(penalty)
    inner = np.array(gram[:n_columns, :n_columns], order="F")
    inner[np.diag_indices(n_columns)] += alpha * penalty
    triangle, info = dpotrf(inner, overwrite_a=1, clean=1)
    if info != 0:
        return None
    projected = solve_triangular(triangle, gram[:n_columns, n_columns:], trans=1)
    total = np.diag(gram)[n_columns:]
    leftover = np.maximum(total - np.sum(projected**2, axis=0), 0.0)
    return Factor(triangle, projected, leftover, penalty, alpha)


def triangle_from_gram(gram):
    """Triangle of [A, Y] from a Gram matrix that Cholesky cannot factor."""
    values, vectors = eigh(symmetric(gram))
    return np.linalg.qr(np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T, mode="r")


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
    # Centre the other columns on the free one, so that it leaves the penalised problem.
    transform = np.zeros((len(R), len(gains) + 1))
    transform[0, 0] = 1.0
    transform[1:, 1:] = vectors
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

    with the leverage :math:`h_i = a_i' M diag(s) M' a_i` ([2]_, eq. 3.5). A row of weight w > 1
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
