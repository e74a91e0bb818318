"""From what a user passes to ``fit`` to checked rows and the terms over their columns."""

import numpy as np
from scipy.sparse import issparse
from sklearn import get_config

from sklearn_ext._validation import _check_sample_weight, check_X_y, validate_data
from sklearn_ext.linear_model._rows import Rows, column_ranges
from sklearn_ext.linear_model._terms import Terms

_CHECKS = {
    "accept_sparse": "csr",
    "dtype": [np.float64, np.float32],
    "multi_output": True,
    "y_numeric": True,
}


def check_rows(estimator, X, y, sample_weight, reset):
    """Validate training rows with scikit-learn's checks.

    Parameters
    ----------
    estimator : estimator
        Gets ``n_features_in_`` and ``feature_names_in_``, or is held to them.
    X, y, sample_weight
        As passed to ``fit``.
    reset : bool
        Whether the columns are new to the estimator.

    Returns
    -------
    rows : Rows
        Rows of positive weight.
    single_target : bool
        Whether y is one-dimensional.
    """
    sparse = "csr" if estimator.__sklearn_tags__().input_tags.sparse else False
    X, y = validate_data(estimator, X, y, reset=reset, **_CHECKS | {"accept_sparse": sparse})
    return _rows(X, y, sample_weight), y.ndim == 1


def check_chunk(X, y, sample_weight):
    """Validate the rows of one partition."""
    X, y = check_X_y(X, y, **_CHECKS)
    return _rows(X, y, sample_weight)


def _rows(X, y, sample_weight):
    memory = get_config()["working_memory"]
    y = y.astype(np.float64, copy=False).reshape(len(y), -1)
    if sample_weight is None:
        return Rows(X, y, _ones(len(y)), memory)
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not weight.all():
        counted = weight > 0
        X, y, weight = X[counted], y[counted], weight[counted]
    return Rows(X, y, _ones(len(y)) if (weight == 1).all() else weight, memory)


def _ones(n_rows):
    """Ones that take no memory."""
    return np.broadcast_to(1.0, n_rows)


def declare_columns(estimator, X):
    """Set ``n_features_in_`` and ``feature_names_in_`` from a dask collection's metadata."""
    sample = np.zeros((1, X.shape[1]))
    if hasattr(X, "columns"):
        import pandas as pd

        sample = pd.DataFrame(sample, columns=X.columns)
    validate_data(estimator, sample, reset=True)


def terms_over(params, X):
    """Terms of an estimator's settings over the columns of X.

    Parameters
    ----------
    params : dict
        Parameters of the estimator.
    X : {ndarray, csr_array} of shape (n_rows, n_features)
        Rows whose ranges are mapped to [-1, 1] unless the parameters have bounds.

    Returns
    -------
    Terms
    """
    family, bounds = params["basis"], _given_bounds(params["bounds"], X.shape[1])
    if issparse(X):
        # Symmetric bounds have center 0: zeros stay zeros.
        family, largest = "monomial", abs(X).max(axis=0).toarray().ravel().astype(np.float64)
        bounds = np.stack([-largest, largest])
    elif bounds is None:
        bounds = np.stack(column_ranges(X)).astype(np.float64)
    return Terms(
        family=family,
        bounds=bounds,
        truncation=float(params["truncation"]),
        interaction_only=bool(params["interaction_only"]),
        fit_intercept=bool(params["fit_intercept"]),
        adaptive=params["solver"] == "auto" and not issparse(X),
    )


def _given_bounds(bounds, n_features):
    """Bounds parameter as (2, n_features), or None."""
    if bounds is None:
        return None
    array = np.asarray(bounds, dtype=np.float64)
    if array.shape not in ((2,), (n_features, 2)):
        raise ValueError(
            f"bounds must have shape ({n_features}, 2) or (2,), got {array.shape}: a lower and "
            "an upper end for each column of X."
        )
    lower, upper = np.broadcast_to(array, (n_features, 2)).T
    if not np.all(np.isfinite(array)) or not np.all(lower < upper):
        raise ValueError(f"bounds must be finite with lower < upper, got {bounds!r}.")
    return np.stack([lower, upper])
