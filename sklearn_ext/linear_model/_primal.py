"""Polynomials from one pass over the rows: Gram matrix, triangle, refinement."""

import warnings
from dataclasses import replace

import numpy as np

from sklearn_ext.exceptions import PrecisionWarning
from sklearn_ext.linear_model._fitted import (
    Fitted,
    noise_variance,
    with_constant,
    with_fast_form,
)
from sklearn_ext.linear_model._index_sets import entry_degrees
from sklearn_ext.linear_model._least_squares import (
    factor_from_gram,
    factor_from_triangle,
    triangle_from_gram,
)
from sklearn_ext.linear_model._model_choice import best_by_leave_one_out
from sklearn_ext.linear_model._polynomial_basis import mapped_columns
from sklearn_ext.linear_model._recurrences import empirical_recurrence, through_origin
from sklearn_ext.linear_model._refinement import refine
from sklearn_ext.linear_model._smoothers import (
    leave_one_out_errors,
    spectral_smoother,
    triangular_smoother,
)
from sklearn_ext.linear_model._streaming import moments_of

# Cholesky on the Gram matrix loses twice the digits that the condition number costs: down to
# this reciprocal condition of R the coefficients still hold 8 digits.
_CHOLESKY_CONDITION = 1e-4
# Below this the classical basis is given up for one that is orthonormal on the data.
_BASIS_CONDITION = 1e-8
# Below this the fit is refined as well, where that is affordable (rows x terms).
_REFINED_CONDITION = 1e-5
_REFINED_WORK = 2e7
# Columns up to which a fit keeps its sums (32 MiB), so that partial_fit can go on from it.
_MOST_KEPT = 2000
# Share of y'y below which the residual norm from a Gram matrix is mostly rounding.
_CANCELLED_RESIDUAL = 1e-8


def fit_primal(rows, terms, degrees, alphas, solver, want_loo):
    """Fit by a Gram matrix or a triangle; degree and penalty by leave-one-out where several.

    Parameters
    ----------
    rows : Rows
        Training rows.
    terms : Terms
        What the terms are.
    degrees : sequence of int
        Degrees to choose from.
    alphas : ndarray of shape (n_alphas,)
        Penalties to choose from.
    solver : {"cholesky", "qr"}
        How to factor; "cholesky" falls through to "qr" where it would lose digits.
    want_loo : bool
        Whether to compute the leave-one-out score of a single model too.

    Returns
    -------
    Fitted
    """
    degree = max(degrees)
    if solver == "cholesky":
        moments = moments_of(rows, terms, degree, "cholesky")
        fitted = solve_moments(moments, degrees, alphas, rows, want_loo)
        if fitted is not None:
            return fitted
    moments = moments_of(rows, terms, degree, "qr")
    basis = moments.basis()
    if not (terms.adaptive and alphas[-1] == 0 and _condition(moments, basis) < _BASIS_CONDITION):
        return solve_moments(moments, degrees, alphas, rows, want_loo, basis)
    basis = _empirical_basis(rows, basis, terms)
    terms = replace(terms, family="empirical")
    moments = replace(moments, terms=terms, matrix=rows.triangle(basis, terms.first))
    fitted = solve_moments(moments, degrees, alphas, rows, want_loo, basis)
    poor = _condition(moments, basis) < _REFINED_CONDITION
    affordable = rows.y.size * basis.n_columns <= _REFINED_WORK
    return refined(rows, fitted) if poor and affordable and fitted.dependent is None else fitted


def _condition(moments, basis):
    return _factor(moments, basis, 0.0).reciprocal_condition


def _empirical_basis(rows, basis, terms):
    """Swap the classical recurrence for one orthonormal on the training columns."""
    z = mapped_columns(basis, rows.X)
    degree = basis.recurrence.shape[2]
    recurrence = empirical_recurrence(z.T, rows.sample_weight, degree)
    if not terms.fit_intercept:
        recurrence = through_origin(recurrence, basis.center, basis.scale, terms.bounds)
    return replace(basis, recurrence=recurrence)


def solve_moments(moments, degrees, alphas, rows=None, want_loo=False, basis=None):
    """Choose and solve from a Gram matrix or a triangle.

    Parameters
    ----------
    moments : Moments
        Of the highest degree.
    degrees, alphas, want_loo
        As in :func:`fit_primal`.
    rows : Rows, default=None
        Rows for the leave-one-out pass; needed to choose.
    basis : PolynomialBasis, default=None
        Basis of the moments where it is not the classical one.

    Returns
    -------
    Fitted or None
        None where Cholesky would lose digits.
    """
    basis = basis or moments.basis()
    factor = _factor(moments, basis, min(alphas))
    if factor is None or (len(alphas) == 1 and _loses_digits(factor, moments)):
        return None
    widths = _widths(basis, moments.terms, degrees)
    place, index, loo = 0, 0, None
    if want_loo or len(degrees) > 1 or len(alphas) > 1:
        smoothers = [_smoother(factor.leading(width), alphas) for width in widths]
        blocks, shares = rows.blocks(basis, moments.terms.first), rows.left_out_shares(basis)
        errors = leave_one_out_errors(blocks, shares, smoothers, rows.n_outputs)
        place, index, loo = best_by_leave_one_out(errors, rows)
    chosen = factor.leading(widths[place]).penalised(float(alphas[index]))
    if _loses_digits(chosen, moments):
        return None
    n_kept = widths[place] + moments.terms.first
    if n_kept < basis.n_columns:
        basis = basis.restricted(basis.powers[:n_kept])
    fitted = _solve(chosen, basis, moments, rows)
    large = rows is not None and len(moments.matrix) > _MOST_KEPT
    if large or len(degrees) > 1 or moments.terms.family == "empirical":
        fitted = replace(fitted, moments=None)  # no more rows can be added to these
    return replace(fitted, degree=degrees[place], loo=loo)


def _widths(basis, terms, degrees):
    """Number of leading design columns of each degree."""
    entry = entry_degrees(basis.powers, terms.truncation)[terms.first :]
    return [int(np.sum(entry <= degree)) for degree in degrees]


def _factor(moments, basis, alpha):
    penalty = moments.terms.penalty(basis.powers[moments.terms.first :])
    if moments.solver == "cholesky":
        return factor_from_gram(moments.matrix, penalty, alpha)
    return factor_from_triangle(moments.matrix, penalty).penalised(alpha)


def _loses_digits(factor, moments):
    return moments.solver == "cholesky" and factor.reciprocal_condition < _CHOLESKY_CONDITION


def _smoother(factor, alphas):
    """Smoother of a factor under one penalty (its rank permitting) or a grid of them."""
    if len(alphas) > 1:
        return spectral_smoother(factor, alphas, squared=None)
    factor = factor.penalised(alphas[0])
    return triangular_smoother(factor) or spectral_smoother(factor, alphas)


def _solve(factor, basis, moments, rows):
    """Solve at the factor's own penalty."""
    terms = moments.terms
    smoother = _smoother(factor, [factor.alpha])
    coefficients, root = smoother.coefficients(), smoother.root()
    spent = factor.effective_dof(root)
    dof = moments.weight_sum - spent
    residual_sum = _residual_sum(factor, coefficients, basis, moments, rows)
    fitted = Fitted(
        basis=basis,
        terms=terms,
        solver=moments.solver,
        degree=moments.degree,
        alpha=factor.alpha,
        rank=smoother.rank - factor.n_free,
        noise_variance=noise_variance(residual_sum, dof),
        dof=dof,
        spent=spent - factor.n_free,
        coefficients=coefficients,
        root=root,
        dependent=_dependent_terms(factor, smoother.rank, basis.powers[terms.first :]),
        moments=moments,
    )
    return with_constant(fitted, terms.first)


def _dependent_terms(factor, rank, powers):
    """Multi-indices of the columns that depend on others; None for full rank."""
    if rank == len(factor.triangle):
        return None
    return powers[factor.dependent_columns(rank)]


def _residual_sum(factor, coefficients, basis, moments, rows):
    """Squared residuals; by one more pass where the Gram matrix has cancelled them."""
    residual_sum = factor.residual_sum_of_squares(coefficients)
    total = factor.leftover + np.sum(factor.projected**2, axis=0)
    cancelled = np.any(residual_sum < _CANCELLED_RESIDUAL * total)
    if moments.solver != "cholesky" or not cancelled or rows is None:
        return residual_sum
    residual_sum = np.zeros(rows.n_outputs)
    for block in rows.blocks(basis, moments.terms.first):
        fitted = coefficients.T @ block[: -rows.n_outputs]
        residual_sum += np.sum((block[-rows.n_outputs :] - fitted) ** 2, axis=1)
    return residual_sum


def refined(rows, start):
    """Refine the coefficients of a fit with residuals in double-double."""
    first = start.terms.first
    penalty = start.alpha * start.terms.penalty(start.basis.powers[first:])
    (high, low), residual_sum = refine(
        rows, start.basis, start.coefficients[first:], start.root[first:], penalty
    )
    finished = replace(
        start,
        solver="refined",
        moments=None,
        coefficients=high,
        low=low,
        root=start.root[first:],
        noise_variance=noise_variance(residual_sum, start.dof),
    )
    return with_constant(finished, first)


def solve_stream(moments, alpha):
    """Solve from the moments of chunks, when the rows are gone.

    Parameters
    ----------
    moments : Moments
        Of all rows.
    alpha : float
        Penalty.

    Returns
    -------
    Fitted
    """
    fitted = solve_moments(moments, [moments.degree], [float(alpha)])
    if fitted is None:
        warnings.warn(
            "solver='cholesky' has lost digits: the Gram matrix of the rows so far is too "
            "ill-conditioned, and the rows are gone. Use solver='qr'.",
            PrecisionWarning,
            stacklevel=4,
        )
        triangle = triangle_from_gram(moments.matrix)
        salvaged = replace(moments, solver="qr", matrix=triangle)
        fitted = solve_moments(salvaged, [moments.degree], [float(alpha)])
        fitted = replace(fitted, solver="cholesky", moments=moments)
    return with_fast_form(fitted)
