"""The one door from checked rows to a fitted polynomial."""

from dataclasses import replace

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
from sklearn_ext.linear_model._sparse_chaos import fit_sparse
from sklearn_ext.linear_model._training_data import terms_over

_TRUNCATIONS = (1.0, 0.75, 0.5)
# What max_degree=None stands for: the second where terms are few, selected or of one column.
_MAX_DEGREE, _MAX_LONG_DEGREE = 10, 25


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
    truncations = _TRUNCATIONS if params["truncation"] == "auto" else (params["truncation"],)
    terms = terms_over(params | {"truncation": truncations[0]}, rows.X)
    candidates = [replace(terms, truncation=float(truncation)) for truncation in truncations]
    if params["selection"] is not None:
        return with_fast_form(_fit_selected(rows, params, candidates))
    fits = [_fit(rows, params, terms) for terms in candidates]
    return with_fast_form(max(fits, key=lambda fitted: fitted.loo) if len(fits) > 1 else fits[0])


def _fit_selected(rows, params, candidates):
    """Fit a few terms out of all."""
    alphas = penalty_grid(params["alpha"], params["alphas"], rows.weight_sum)
    degrees = [params["degree"]]
    if degrees == ["auto"]:
        degrees = list(range(1, (params["max_degree"] or _MAX_LONG_DEGREE) + 1))
    return fit_sparse(rows, candidates, params["selection"], degrees, alphas)


def _fit(rows, params, terms):
    """Fit one family of index sets."""
    n_rows, degrees = len(rows.y), [params["degree"]]
    if degrees == ["auto"]:
        highest = params["max_degree"] or (_MAX_DEGREE if rows.X.shape[1] > 1 else _MAX_LONG_DEGREE)
        degrees = candidate_degrees(terms, n_rows, highest, penalised=params["alpha"] != 0)
    heaviest = terms.penalty_growth ** (max(degrees) - 1)
    alphas = penalty_grid(params["alpha"], params["alphas"], rows.weight_sum, heaviest)
    n_terms = terms.count(max(degrees))
    solver = choose_solver(params["solver"], n_terms, n_rows)
    if issparse(rows.X) and solver == "qr":
        solver = "cholesky"
    if solver == "dual":
        return fit_dual(rows, terms, degrees, alphas)
    want_loo = params["truncation"] == "auto" or affords_leave_one_out(
        params["compute_loo"], n_terms, n_rows
    )
    if solver == "refined":
        return refined(rows, fit_primal(rows, terms, degrees, alphas, "qr", want_loo))
    return fit_primal(rows, terms, degrees, alphas, solver, want_loo)


def _check_settings(params):
    """Refuse settings that contradict each other."""
    if params["selection"] is not None and params["solver"] not in ("auto", "qr"):
        raise ValueError(
            f"selection={params['selection']!r} is solved by QR, got solver={params['solver']!r}. "
            "Use solver='auto'."
        )
    if params["alphas"] is None:
        return
    alphas = np.asarray(params["alphas"], dtype=np.float64)
    if alphas.ndim != 1 or alphas.size == 0 or not np.all((alphas > 0) & np.isfinite(alphas)):
        raise ValueError(
            "alphas must all be > 0 and finite, in one dimension with at least one value, got "
            f"{params['alphas']!r}."
        )
