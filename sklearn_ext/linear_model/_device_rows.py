"""Rows that lie on a device, in another library's arrays: expanded and folded where they are.

What leaves the device is one triangle, (n_terms + n_outputs)², and what goes there is one
coefficient a term. Everything here is written in the Python array API standard.
"""

from functools import partial

import numpy as np
from sklearn.utils import gen_batches

from sklearn_ext._validation import _max_precision_float_dtype, get_namespace_and_device, move_to
from sklearn_ext.linear_model._least_squares import block_rows
from sklearn_ext.linear_model._streaming import Moments

__all__ = ["column_bounds", "moments_on_device", "namespace_of", "predict_on_device"]


def namespace_of(X):
    """Namespace and device of arrays that are dispatched on; None for numpy and everything else."""
    try:
        xp, dispatched, device = get_namespace_and_device(X)
    except TypeError:  # no array: scikit-learn's validation will say what it thinks of it
        return None
    if not dispatched or xp.__name__.rpartition(".")[2] == "numpy":
        return None
    return xp, device


def column_bounds(X):
    """Smallest and largest value of each column, as numpy: ndarray of shape (2, n_features)."""
    xp, _ = namespace_of(X)
    ends = xp.stack([xp.min(X, axis=0), xp.max(X, axis=0)])
    return np.asarray(move_to(ends, xp=np, device="cpu"), dtype=np.float64)


def moments_on_device(X, y, weight, terms, degree, working_memory):
    """Fold rows into a triangle by sequential QR, on the device of X.

    Parameters
    ----------
    X : array of shape (n_rows, n_features)
        Rows.
    y : array of shape (n_rows, n_outputs)
        Targets, of the same library and device.
    weight : array of shape (n_rows,) or None
        Weights.
    terms : Terms
        Terms, with the bounds of the rows.
    degree : int
        Degree.
    working_memory : float
        MiB that a block may take.

    Returns
    -------
    Moments
        In numpy.
    """
    (xp, device), basis = namespace_of(X), terms.basis(terms.powers(degree))
    design = partial(_design, xp, device, basis)
    size = basis.n_columns - terms.first + y.shape[1]
    triangle = xp.zeros((size, size), dtype=_max_precision_float_dtype(xp, device), device=device)
    for batch in gen_batches(X.shape[0], max(size, block_rows(size, working_memory))):
        targets = xp.astype(y[batch, :].T, triangle.dtype)
        block = xp.concat([design(X[batch, :])[terms.first :, :], targets])
        if weight is not None:
            block = block * xp.sqrt(xp.astype(weight[batch], triangle.dtype))
        triangle = xp.linalg.qr(xp.concat([triangle, block.T]), mode="reduced")[1]
    matrix = np.asfortranarray(move_to(triangle, xp=np, device="cpu"), dtype=np.float64)
    total = float(X.shape[0] if weight is None else xp.sum(weight))
    return Moments(terms, degree, "qr", matrix, total, y.shape[1])


def predict_on_device(basis, coefficients, X, working_memory):
    """Evaluate a polynomial on the device of X: array of shape (n_rows, n_outputs)."""
    xp, device = namespace_of(X)
    exact = _max_precision_float_dtype(xp, device)
    coefficients = xp.asarray(coefficients.T, dtype=exact, device=device)
    parts = [
        (coefficients @ _design(xp, device, basis, X[batch, :])).T
        for batch in gen_batches(X.shape[0], block_rows(basis.n_columns, working_memory))
    ]
    return xp.concat(parts)


def _design(xp, device, basis, X):
    """All terms of a block of rows, (n_terms + 1, n_rows), as `_polynomial_basis.evaluate`."""
    exact = _max_precision_float_dtype(xp, device)
    array = partial(xp.asarray, dtype=exact, device=device)
    z = (xp.astype(X.T, exact) - array(basis.center[:, None])) * array(basis.scale[:, None])
    factors = _univariate_values(xp, array(basis.recurrence[..., None]), z)
    out = xp.ones((basis.n_columns, z.shape[1]), dtype=exact, device=device)
    for start, stop, parent, feature, power in basis.plan.tolist():
        parents = out[parent : parent + stop - start, :]
        out[start:stop, :] = parents * factors[power - 1][feature, :]
    return out


def _univariate_values(xp, recurrence, z):
    """Values p_1 .. p_degree of the mapped columns z, each (n_features, n_rows)."""
    before, now, values = xp.zeros_like(z), xp.ones_like(z), []
    for k in range(recurrence.shape[2]):
        slope, shift, back = (recurrence[i, :, k, :] for i in range(3))  # each (n_features, 1)
        before, now = now, (slope * z + shift) * now - back * before
        values.append(now)
    return values
