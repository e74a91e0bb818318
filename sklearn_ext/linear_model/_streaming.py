"""Sufficient statistics of chunks of rows, merged over chunks, partitions and machines.

Each chunk is expanded in the basis of its own bounds. Merging two chunks first rewrites both in
the basis of the common bounds: that only ever widens bounds, the direction in which the change
of basis has bounded entries. So the bounds need not be known before the last chunk.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import block_diag

from sklearn_ext.linear_model._basis_change import change_of_basis
from sklearn_ext.linear_model._least_squares import (
    add_to_triangle,
    merge_grams,
    merge_triangles,
    symmetric,
)


@dataclass(frozen=True)
class Moments:
    """What the rows seen so far say about a polynomial.

    Attributes
    ----------
    terms : Terms
        Terms, with the bounds of the rows seen so far.
    degree : int
        Degree.
    solver : {"cholesky", "qr"}
        Whether `matrix` is a Gram matrix or a triangle.
    matrix : ndarray of shape (n_columns + n_outputs, n_columns + n_outputs)
        Gram matrix (upper triangle) or R of [A, Y].
    weight_sum : float
        Sum of the weights.
    n_outputs : int
        Number of targets.
    """

    terms: object
    degree: int
    solver: str
    matrix: np.ndarray
    weight_sum: float
    n_outputs: int

    def basis(self):
        """Basis of the bounds so far."""
        return self.terms.basis(self.terms.powers(self.degree))


def moments_of(rows, terms, degree, solver):
    """Moments of one chunk.

    Parameters
    ----------
    rows : Rows
        The chunk.
    terms : Terms
        Terms, with the bounds of the chunk.
    degree : int
        Degree.
    solver : {"cholesky", "qr"}
        How to fold the rows.

    Returns
    -------
    Moments
    """
    basis = terms.basis(terms.powers(degree))
    folded = (rows.gram if solver == "cholesky" else rows.triangle)(basis, terms.first)
    return Moments(terms, degree, solver, folded, rows.weight_sum, rows.n_outputs)


def merge_moments(first, second):
    """Moments of the rows of both; a ValueError names a setting in which they differ."""
    _refuse_other_model(first, second)
    bounds = np.stack(
        [
            np.minimum(first.terms.bounds[0], second.terms.bounds[0]),
            np.maximum(first.terms.bounds[1], second.terms.bounds[1]),
        ]
    )
    first, second = _widened(first, bounds), _widened(second, bounds)
    merge = merge_grams if first.solver == "cholesky" else merge_triangles
    return replace(
        first,
        matrix=merge(first.matrix, second.matrix),
        weight_sum=first.weight_sum + second.weight_sum,
    )


def _refuse_other_model(first, second):
    settings = {
        "degree": [m.degree for m in (first, second)],
        "solver": [m.solver for m in (first, second)],
        "basis (sparse rows: always monomial)": [m.terms.family for m in (first, second)],
    }
    for name in ("truncation", "interaction_only", "fit_intercept"):
        settings[name] = [getattr(m.terms, name) for m in (first, second)]
    for name, (seen, new) in settings.items():
        if seen != new:
            raise ValueError(
                f"Rows of different models cannot be added up: {name} was {seen!r} for the rows "
                f"seen so far and is {new!r} for these. Start from clone(self)."
            )


def _widened(moments, bounds):
    """Rewrite moments in the basis of wider bounds."""
    old = moments.terms
    if np.array_equal(old.bounds, bounds):
        return moments
    new = replace(old, bounds=bounds)
    before = moments.basis()
    change = change_of_basis(
        before,
        new.basis(before.powers),
        has_constant=old.fit_intercept,
        constant=old.bounds[0] == old.bounds[1],
    )
    change = change.toarray()[old.first :, old.first :]
    change = block_diag(change, np.eye(moments.n_outputs))
    return replace(moments, terms=new, matrix=_changed(moments, change))


def _changed(moments, change):
    """Gram matrix or triangle of the columns ``A @ change.T``."""
    if moments.solver == "cholesky":
        return np.asfortranarray(change @ symmetric(moments.matrix) @ change.T)
    empty = np.zeros(moments.matrix.shape, order="F")
    columns = change @ np.triu(moments.matrix).T  # the transpose of R @ change.T
    return add_to_triangle(empty, np.ascontiguousarray(columns))
