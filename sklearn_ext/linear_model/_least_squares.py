r"""Least squares from one pass over blocks of rows.

A block is the transposed, weighted design with the targets below it, ``(n_terms + n_outputs,
n_rows)``: one term a row, so that ``block.T`` is column-major as BLAS and LAPACK want it. Blocks
are folded into a square matrix, either the Gram matrix ``A'A`` or the triangle ``R`` of
``A = QR``; both are sums over rows, so that chunks, partitions and machines can be merged.

References
----------
.. [1] J. Demmel, L. Grigori, M. Hoemmen and J. Langou, "Communication-optimal parallel and
   sequential QR and LU factorizations", SIAM J. Sci. Comput. 34(1), 2012 (TSQR).
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.linalg import norm
from scipy.linalg import eigh, qr, solve_triangular
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dpotrf, dtpqrt, dtrtri

# Rows per block: long enough for BLAS, short enough for the second-level cache.
_MAX_BLOCK_ROWS = 2048
_QR_PANEL = 32


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
