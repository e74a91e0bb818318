"""The one door from checked rows to a fitted polynomial."""

import numpy as np
from scipy.sparse import issparse

from sklearn_ext.linear_model._dual import fit_dual
from sklearn_ext.linear_model._fitted import with_fast_form
from sklearn_ext.linear_model._model_choice import (
    affords_leave_one_out,
    candidate_degrees,
    choose_solver,
    penalty_grid,
)
from sklearn_ext.linear_model._primal import fit_primal, refined
from sklearn_ext.linear_model._training_data import column_bounds

_TRUNCATIONS = (1.0, 0.75, 0.5)


def fit_rows(rows, params):
    """Fit as an estimator's parameters say.

    Parameters
    ----------
    rows : Rows
        Checked training rows.
    params : dict
        Parameters of the estimator.

    Returns
    -------
    Fitted
    """
    _check_settings(params)
    if params["truncation"] != "auto":
        return with_fast_form(_fit(rows, params, params["truncation"]))
    fits = [_fit(rows, params, truncation) for truncation in _TRUNCATIONS]
    return with_fast_form(max(fits, key=lambda fitted: fitted.loo))


def _fit(rows, params, truncation):
    """Fit one family of index sets."""
    terms = column_bounds(params, rows.X, truncation)
    alphas = penalty_grid(params["alpha"], params["alphas"], rows.weight_sum)
    n_rows, degrees = len(rows.y), [params["degree"]]
    if degrees == ["auto"]:
        degrees = candidate_degrees(terms, n_rows, params["max_degree"], alphas[0] > 0)
    solver = choose_solver(params["solver"], terms.count(max(degrees)), n_rows)
    if issparse(rows.X) and solver == "qr":
        solver = "cholesky"
    if solver == "dual":
        return fit_dual(rows, terms, degrees, alphas)
    n_terms = terms.count(max(degrees))
    want_loo = params["truncation"] == "auto" or affords_leave_one_out(
        params["compute_loo"], n_terms, n_rows
    )
    if solver == "refined":
        return refined(rows, fit_primal(rows, terms, degrees, alphas, "qr", want_loo))
    return fit_primal(rows, terms, degrees, alphas, solver, want_loo)


def _check_settings(params):
    """Refuse settings that contradict each other or the rows."""
    alphas = params["alphas"]
    if alphas is not None and not np.all(np.asarray(alphas, dtype=np.float64) > 0):
        raise ValueError(f"alphas must all be > 0, got {alphas!r}.")
