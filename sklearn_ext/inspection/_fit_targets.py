"""Targets of a diagnosis: one column of labels, or one or several of numbers."""

import numpy as np
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

__all__ = ["checked_target", "output_names"]


def output_names(y):
    """Name the columns of several targets.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets.

    Returns
    -------
    names : list of str or int
        Names of the columns of a data frame, else their numbers; empty for one target.
    """
    if len(np.shape(y)) < 2 or np.shape(y)[1] == 1:
        return []
    return list(getattr(y, "columns", range(np.shape(y)[1])))


def checked_target(y, classification):
    """Check that there is something to learn.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    classification : bool
        Whether they are labels, which have one column.

    Returns
    -------
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Of one dimension where there is one target.

    Raises
    ------
    ValueError
        If there are none, or if a column has one value only, or values that are missing.
    """
    if y is None:
        raise ValueError("y=None: a diagnosis needs targets to compare predictions with.")
    if classification:
        y = _checked_labels(y)
    else:
        y = check_array(y, dtype=float, ensure_2d=False, ensure_all_finite=False, input_name="y")
        if not np.isfinite(y).all():
            raise ValueError("y contains NaN or infinity. Leave those rows out.")
        y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    for number, column in enumerate(y.reshape(len(y), -1).T):
        if len(np.unique(column)) < 2:
            where = "y" if y.ndim == 1 else f"y[:, {number}]"
            raise ValueError(f"{where} holds the one value {column[0]} only: nothing to learn.")
    return y


def _checked_labels(y):
    """Labels in one column."""
    if len(np.shape(y)) == 2 and np.shape(y)[1] > 1:
        raise ValueError(
            f"y has {np.shape(y)[1]} columns of labels, and one is diagnosed at a time: pass a "
            "classifier of one label and y[:, 0], then y[:, 1], and so on."
        )
    y = column_or_1d(y)
    check_classification_targets(y)
    return y
