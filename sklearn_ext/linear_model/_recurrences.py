"""Three-term recurrences of univariate polynomials: classical, through the origin, of the data.

See :mod:`~sklearn_ext.linear_model._polynomial_basis` for what the coefficients A, B and C mean.

References
----------
.. [1] W. Gautschi, "Orthogonal Polynomials: Computation and Approximation", Oxford, 2004;
   section 2.2.3.1 for the discrete Stieltjes procedure.
"""

import numpy as np


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


# Coefficients (3, degree) of one column in [-1, 1], by the name of the family.
FAMILIES = {"legendre": _legendre, "chebyshev": _chebyshev, "monomial": _monomial}


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
