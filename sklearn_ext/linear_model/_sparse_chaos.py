"""Sparse polynomial chaos: a few terms out of thousands of candidates.

Two ways to order the candidates and to cut the order:

- least-angle regression, refitted, cut where the corrected leave-one-out error is smallest
  (Blatman and Sudret 2011);
- forward orthogonal least squares, cut where the K-fold error of ordering and refit together is
  smallest. The error then knows of the search, which leave-one-out on chosen terms does not.

Both run over growing degrees until the error has not fallen for four of them.
"""

from dataclasses import dataclass, replace

import numpy as np

from sklearn_ext.linear_model._fitted import Fitted
from sklearn_ext.linear_model._index_sets import downward_closure, find_rows
from sklearn_ext.linear_model._least_squares import add_to_triangle, fold
from sklearn_ext.linear_model._primal import solve_moments
from sklearn_ext.linear_model._rows import Rows
from sklearn_ext.linear_model._rows import terms as evaluate_terms
from sklearn_ext.linear_model._streaming import Moments
from sklearn_ext.linear_model._term_selection import select_columns

# Candidates beyond this are not looked at.
_MOST_CANDIDATES = 3000


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
