"""Where to cut an order of columns, and at which degree to stop.

References
----------
.. [1] G. Blatman and B. Sudret, "Adaptive sparse polynomial chaos expansion based on least angle
   regression", J. Comput. Phys. 230(6), 2345-2367, 2011.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from sklearn_ext.linear_model._term_orders import DEPENDENT, forward_order, lars_order

# Degrees may fail in a row to lower the error this often before the search ends: interactions
# enter the narrow index sets at some degrees only.
_PATIENCE = 4
# Share of the variance below which an error is not worth more degrees.
_EXACT = 1e-14
_N_FOLDS = 5


def corrected_loo_errors(design, y, order, Q, share, n_samples):
    r"""Corrected leave-one-out errors of the refits on the first 1, 2, ... columns.

    .. math:: \frac{n}{n - k} \Big(1 + \operatorname{tr} (A'A)^{-1}\Big) \sum_i
              \Big(\frac{y_i - \hat y_i}{1 - h_i}\Big)^2

    ([1]_, eq. 30 and 32); `share` is the share of each row's weight that is left out.
    """
    fitted = np.cumsum(Q * (Q.T @ y), axis=1)
    room = np.maximum(1.0 - share[:, None] * np.cumsum(Q**2, axis=1), DEPENDENT)
    errors = np.sum(((y[:, None] - fitted) / room) ** 2, axis=0)
    R = Q.T @ design[order].T
    inverse = solve_triangular(R, np.eye(len(order)))
    traces = np.cumsum(np.sum(inverse**2, axis=0))
    counts = np.arange(1, len(order) + 1)
    free = np.maximum(n_samples - counts, np.finfo(float).tiny)
    return errors * n_samples / free * (1.0 + traces)


def fold_errors(design, y, fold, max_terms):
    """K-fold errors of ordering and refit together, by number of columns."""
    total = np.zeros(max_terms)
    for place in range(fold.max() + 1):
        out = fold == place
        kept, left = design[:, ~out], design[:, out]
        order, Q = forward_order(kept, y[~out], max_terms)
        R = Q.T @ kept[order].T
        q_left = solve_triangular(R, left[order], trans="T").T
        predicted = np.cumsum(q_left * (Q.T @ y[~out]), axis=1)
        errors = np.sum((y[out, None] - predicted) ** 2, axis=0)
        total += np.r_[errors, np.full(max_terms - len(errors), errors[-1])]
    return total


@dataclass(frozen=True)
class Selection:
    """Columns chosen for one target, and their error.

    Attributes
    ----------
    error : float
        Estimated error.
    degree : int
        Degree of the candidates.
    columns : ndarray of shape (n_selected,), int
        Chosen columns of the design, the first among them.
    """

    error: float
    degree: int
    columns: np.ndarray


def lars_selector(rows):
    """Selection by least-angle regression and corrected leave-one-out: a function."""

    def select(design, y, max_terms):
        order, Q = lars_order(design, y, max_terms)
        errors = corrected_loo_errors(design, y, order, Q, rows.left_out, rows.weight_sum)
        best = int(np.argmin(errors))
        return float(errors[best]), order[: best + 1]

    return select


def forward_selector(rows):
    """Selection by forward orthogonal least squares and K-fold errors: a function."""
    fold = assign_folds(rows.X)

    def select(design, y, max_terms):
        errors = fold_errors(design, y, fold, max_terms)
        best = int(np.argmin(errors))
        return float(errors[best]), forward_order(design, y, best + 1)[0]

    return select


def assign_folds(X):
    """Folds of the rows: equal rows share one, and the order of the rows does not matter."""
    place = _distinct_rows(X)
    n_distinct = int(place.max()) + 1
    if n_distinct < 2:
        raise ValueError(
            "selection='forward' compares folds of rows and needs at least 2 different rows; got "
            f"n_samples = {len(X)} with {n_distinct} different."
        )
    # An own generator: equal data get equal folds, whatever else draws numbers.
    fold = np.random.default_rng(0).permutation(n_distinct) % min(_N_FOLDS, n_distinct)
    return fold[place]


def _distinct_rows(X):
    """Number each row by its values: equal rows have equal numbers."""
    return np.unique(X, axis=0, return_inverse=True)[1].ravel()


# From rows to a function of (design, y, max_terms) that returns (error, columns).
_SELECTORS = {"lars": lars_selector, "forward": forward_selector}


def select_columns(design, y, widths, degrees, selection, rows):
    """Select for one target over growing degrees.

    Parameters
    ----------
    design : ndarray of shape (n_columns, n_rows)
        Weighted candidates of the largest degree.
    y : ndarray of shape (n_rows,)
        Weighted targets.
    widths, degrees : list of int
        Number of leading candidates of each degree.
    selection : {"lars", "forward"}
        Method.
    rows : Rows
        The rows themselves.

    Returns
    -------
    Selection
    """
    select = _SELECTORS[selection](rows)
    n_distinct = int(_distinct_rows(rows.X).max()) + 1
    best, last, rises = None, np.inf, 0
    for width, degree in zip(widths, degrees, strict=True):
        max_terms = max(min(width, n_distinct // 2), 1)
        error, columns = select(design[:width], y, max_terms)
        if best is None or error < best.error:
            best = Selection(error, degree, columns)
        rises = rises + 1 if error >= last else 0
        last = error
        if rises == _PATIENCE or error <= _EXACT * (y @ y):
            break
    return best
