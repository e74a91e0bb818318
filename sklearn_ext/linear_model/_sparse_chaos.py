r"""Sparse polynomial chaos: a few terms out of thousands of candidates.

Two ways to order the candidates and to cut the order:

- least-angle regression, refitted, cut where the corrected leave-one-out error is smallest
  (Blatman and Sudret [1]_);
- forward orthogonal least squares, cut where the K-fold error of ordering and refit together is
  smallest [2]_. The error then knows of the search, which leave-one-out on chosen terms does not.

Both run over growing degrees until the error has not fallen for four of them.

References
----------
.. [1] G. Blatman and B. Sudret, "Adaptive sparse polynomial chaos expansion based on least angle
   regression", J. Comput. Phys. 230(6), 2345-2367, 2011.
.. [2] S. Chen, S. A. Billings and W. Luo, "Orthogonal least squares methods and their application
   to non-linear system identification", Int. J. Control 50(5), 1873-1896, 1989.
.. [3] B. Efron, T. Hastie, I. Johnstone and R. Tibshirani, "Least angle regression", Annals of
   Statistics 32(2), 407-499, 2004.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import solve_triangular

from sklearn_ext.linear_model._fitted import Fitted
from sklearn_ext.linear_model._index_sets import downward_closure, find_rows
from sklearn_ext.linear_model._least_squares import add_to_triangle, fold
from sklearn_ext.linear_model._primal import solve_moments
from sklearn_ext.linear_model._rows import Rows
from sklearn_ext.linear_model._rows import terms as evaluate_terms
from sklearn_ext.linear_model._streaming import Moments

# Candidates beyond this are not looked at.
_MOST_CANDIDATES = 3000
# Degrees may fail in a row to lower the error this often before the search ends: interactions
# enter the narrow index sets at some degrees only.
_PATIENCE = 4
# Share of the variance below which an error is not worth more degrees.
_EXACT = 1e-14
_N_FOLDS = 5
# Columns whose part outside the span of the chosen ones is below this share are not chosen.
_DEPENDENT = 1e-10
# Residuals below this share of the targets are rounding.
_EXPLAINED = 1e-28


# ---------------------------------------------------------------------------------------------
# Orders
# ---------------------------------------------------------------------------------------------


def forward_order(design, y, max_terms):
    """Order columns by forward orthogonal least squares, the first column first.

    Each step takes the column that lowers the residual sum of squares of the refitted model
    most. Two running sums per column make that one matrix product a step: its squared distance
    from the span of the chosen columns, and its product with the residual.

    Parameters
    ----------
    design : ndarray of shape (n_columns, n_rows)
        Candidates, one a row; the first is always taken.
    y : ndarray of shape (n_rows,)
        Targets.
    max_terms : int
        Number of columns to take at most.

    Returns
    -------
    order : ndarray of shape (n_taken,), int
        Columns in the order taken.
    Q : ndarray of shape (n_rows, n_taken)
        Orthonormal basis of the columns in that order.
    """
    distance = np.einsum("ij,ij->i", design, design)
    floor, products, residual = _DEPENDENT * distance, design @ y, y.copy()
    enough = _EXPLAINED * (y @ y)
    Q, order, column = np.empty((len(y), max_terms)), [], 0
    for k in range(max_terms):
        Q[:, k] = q = _orthonormal(design[column], Q[:, :k])
        order.append(column)
        share = q @ residual
        residual -= share * q
        along = design @ q
        products -= share * along
        distance -= along**2
        distance[column] = -np.inf
        free = distance > floor
        if not free.any() or residual @ residual <= enough:
            break
        gains = np.where(free, products**2 / np.where(free, distance, 1.0), -1.0)
        column = int(np.argmax(gains))
    return np.array(order), Q[:, : len(order)]


def lars_order(design, y, max_terms):
    """Order columns by least-angle regression, the first column first.

    Parameters and returns are those of :func:`forward_order`; the other columns are centred on
    the first and scaled to unit norm before they are ordered ([3]_, eq. 2.5 to 2.13).
    """
    first = design[:1] / np.linalg.norm(design[0])
    columns = design - (design @ first.T) @ first
    norms = np.linalg.norm(columns, axis=1)
    usable = norms > np.sqrt(_DEPENDENT) * np.linalg.norm(design, axis=1)
    usable[0] = False
    columns[usable] /= norms[usable, None]
    residual = y - (first @ y) @ first
    products = np.where(usable, columns @ residual, 0.0)
    Q, order, enough = first.T, [0], np.sqrt(_EXPLAINED) * np.linalg.norm(y)
    column = int(np.argmax(np.abs(products)))
    while len(order) < max_terms and usable[column] and np.abs(products[column]) > enough:
        q = _orthonormal(columns[column], Q)
        usable[column] = False
        if abs(q @ columns[column]) > np.sqrt(_DEPENDENT):
            Q = np.column_stack([Q, q])
            order.append(column)
        products, column = _least_angle_step(columns, products, order[1:], usable)
    return np.array(order), Q


def _least_angle_step(columns, products, active, usable):
    """Move along the equiangular direction until another column is as correlated."""
    largest = np.max(np.abs(products[active]))
    signs = np.sign(products[active])
    weights = np.linalg.solve(columns[active] @ columns[active].T, signs)
    height = 1.0 / np.sqrt(signs @ weights)
    along = columns @ (height * (weights @ columns[active]))
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.stack(
            [(largest - products) / (height - along), (largest + products) / (height + along)]
        )
    steps = np.where((steps > 1e-14 * largest) & usable, steps, np.inf).min(axis=0)
    column = int(np.argmin(steps))
    step = min(steps[column], largest / height)
    return products - step * along, column


def _orthonormal(column, Q):
    """Part of a column outside the span of Q, of unit norm (Gram-Schmidt, twice)."""
    q = column - Q @ (Q.T @ column)
    q -= Q @ (Q.T @ q)
    return q / max(np.linalg.norm(q), np.finfo(float).tiny)


# ---------------------------------------------------------------------------------------------
# Errors along an order
# ---------------------------------------------------------------------------------------------


def corrected_loo_errors(design, y, order, Q, share, n_samples):
    r"""Corrected leave-one-out errors of the refits on the first 1, 2, ... columns.

    .. math:: \frac{n}{n - k} \Big(1 + \operatorname{tr} (A'A)^{-1}\Big) \sum_i
              \Big(\frac{y_i - \hat y_i}{1 - h_i}\Big)^2

    ([1]_, eq. 30 and 32); `share` is the share of each row's weight that is left out.
    """
    fitted = np.cumsum(Q * (Q.T @ y), axis=1)
    room = np.maximum(1.0 - share[:, None] * np.cumsum(Q**2, axis=1), _DEPENDENT)
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


# ---------------------------------------------------------------------------------------------
# Selections
# ---------------------------------------------------------------------------------------------


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


# ---------------------------------------------------------------------------------------------
# Fits
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SelectedRows(Rows):
    """Rows whose block of chosen terms is held in memory.

    Attributes
    ----------
    block : ndarray of shape (n_selected + n_outputs, n_rows)
        Weighted terms and targets.
    """

    block: np.ndarray | None = None

    def blocks(self, basis, first=0):
        """Yield the one block."""
        yield self.block

    def batches(self, n_columns):
        """Slices of the one block."""
        return [slice(0, len(self.y))]


def fit_sparse(rows, candidates, selection, degrees, alphas):
    """Select terms and fit them.

    Parameters
    ----------
    rows : Rows
        Dense training rows.
    candidates : list of Terms
        Index sets to choose from.
    selection : {"lars", "forward"}
        Method.
    degrees : list of int
        Degrees to choose from.
    alphas : ndarray of shape (n_alphas,)
        Penalties of the final fit to choose from.

    Returns
    -------
    Fitted
    """
    searches = [_search(rows, terms, selection, degrees) for terms in candidates]
    terms, basis, design, chosen = min(searches, key=lambda search: _total_error(search[-1]))
    columns = np.unique(np.concatenate([one.columns for one in chosen]))
    degree = max(one.degree for one in chosen)
    block = np.concatenate([design[columns], rows.y.T * np.sqrt(rows.sample_weight)])
    triangle = fold([block.copy()], len(block), add_to_triangle)
    moments = Moments(terms, degree, "qr", triangle, rows.weight_sum, rows.n_outputs)
    powers = basis.powers[terms.first :][columns]
    listed = np.concatenate([basis.powers[:1], powers]) if terms.first else powers
    held = SelectedRows(rows.X, rows.y, rows.sample_weight, rows.working_memory, block)
    unplanned = replace(basis, powers=listed, plan=np.empty((0, 5), dtype=np.int64))
    fitted = solve_moments(moments, [degree], alphas, held, want_loo=True, basis=unplanned)
    return _embedded(fitted, basis)


def _total_error(chosen):
    return sum(one.error for one in chosen)


def _search(rows, terms, selection, degrees):
    """Select for every target among the candidates of one family of index sets."""
    counts = [terms.count(degree) for degree in degrees]
    kept = [c for c in counts if c <= _MOST_CANDIDATES] or counts[:1]
    degrees = degrees[: len(kept)]
    basis = terms.basis(terms.powers(degrees[-1]))
    root = np.sqrt(rows.sample_weight)
    design = evaluate_terms(basis, rows.X, root)[terms.first :]
    widths = [count + 1 - terms.first for count in kept]
    center = rows.target_means() if terms.fit_intercept else 0.0
    scale = np.sqrt(rows.sample_weight @ (rows.y - center) ** 2 / rows.weight_sum)
    targets = (rows.y / np.where(scale > 0, scale, 1.0)) * root[:, None]
    chosen = [select_columns(design, y, widths, degrees, selection, rows) for y in targets.T]
    return terms, basis, design, chosen


def _embedded(fitted: Fitted, basis):
    """Embed chosen terms in the smallest downward closed set, with coefficients 0 elsewhere."""
    selected = fitted.basis.powers
    closed = basis.restricted(downward_closure(selected))
    places = find_rows(closed.powers, selected)
    coefficients = np.zeros((closed.n_columns, fitted.coefficients.shape[1]))
    root = np.zeros((closed.n_columns, fitted.root.shape[1]))
    coefficients[places], root[places] = fitted.coefficients, fitted.root
    return replace(
        fitted,
        basis=closed,
        coefficients=coefficients,
        root=root,
        selected=places[selected.any(axis=1)],
        moments=None,
    )
