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
    if hasattr(output, "to_series"):  # a frame of polars
        return _inferred(output.to_series(0)).rename(name or "x0")
    if getattr(output, "ndim", 1) == 2:  # a frame of pandas
        return output.iloc[:, 0].rename(name or "x0")
    return output  # fit_transform, whose inner transform did this already


def _with_dtypes(output, X):
    """Give columns of objects in a frame the dtypes that they had in the input frame."""
    if hasattr(output, "to_series"):
        output = output.with_columns([_inferred(column) for column in output])
    if type(output) is not type(X) or isinstance(output, np.ndarray | list):
        return output
    dtypes = dict(zip(output.columns, X.dtypes, strict=True))
    if hasattr(output, "to_series"):
        return output.cast({name: kind for name, kind in dtypes.items() if kind.is_numeric()})
    return output.astype({name: kind for name, kind in dtypes.items() if kind.kind in "iufbM"})


def _inferred(column):
    """Give a column of polars that holds objects the dtype of its values."""
    if str(column.dtype) != "Object":  # `is_object` came with polars 1
        return column
    return type(column)(column.name, column.to_list())
