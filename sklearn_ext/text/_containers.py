"""One-dimensional output for one-dimensional input, in each kind of container."""

from functools import wraps

import numpy as np

from sklearn_ext.text._text_table import is_one_dimensional

__all__ = ["SameShapeOutputMixin"]


class SameShapeOutputMixin:
    """Give a Series or a 1-D array for a sequence, and keep dtypes of columns of numbers.

    scikit-learn wraps what a transformer puts out into frames, for which it must have columns.
    Around that, this takes the only column of the frame where the input had none.

    Examples
    --------
    >>> from sklearn_ext import TextSummarizer
    >>> TextSummarizer().fit_transform(["A cat."]).shape
    (1,)
    >>> TextSummarizer().fit_transform([["A cat."]]).shape
    (1, 1)
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)  # scikit-learn's own wrapping comes first
        for name in ("transform", "fit_transform"):
            setattr(cls, name, _as_the_input(getattr(cls, name)))


def _as_the_input(method):
    @wraps(method)
    def wrapped(self, X, *args, **kwargs):
        output = method(self, X, *args, **kwargs)
        if is_one_dimensional(X):
            return _only_column(output, getattr(X, "name", None))
        return _with_dtypes(output, X)

    return wrapped


def _only_column(output, name):
    if isinstance(output, np.ndarray):
        return output[:, 0] if output.ndim == 2 else output
    if hasattr(output, "to_series"):  # polars
        return output.to_series(0).rename(name or "x0")
    if hasattr(output, "iloc"):
        return output.iloc[:, 0].rename(name or "x0") if output.ndim == 2 else output
    return output


def _with_dtypes(output, X):
    """Give columns of objects in a frame the dtypes that they had in the input frame."""
    if type(output) is not type(X) or isinstance(output, np.ndarray):
        return output
    if hasattr(X, "schema"):  # polars
        return output.cast(dict(zip(output.columns, X.dtypes, strict=True)))
    dtypes = dict(zip(output.columns, X.dtypes, strict=True))
    return output.astype({c: t for c, t in dtypes.items() if t.kind in "iufbM"})
