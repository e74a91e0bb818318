"""Texts in every form they come in, tables included, as one array of strings."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace

import numpy as np
from sklearn.utils import check_array

from sklearn_ext._dask import is_dask
from sklearn_ext._missing import is_missing
from sklearn_ext._validation import validate_data

__all__ = ["Texts", "number_text", "read_target_texts", "read_texts", "table_texts"]

MISSING_CELL = (
    "Input X contains NaN: a cell of a table of texts is missing. Fill it, with '' for instance, "
    "or drop the row."
)

FLOATS = (np.float64, np.float32)


@dataclass(frozen=True)
class Texts:
    """Texts of an estimator's input.

    Attributes
    ----------
    strings : ndarray of str objects, of shape (n_samples,)
        Texts.
    dtype : numpy.dtype
        Precision of what is predicted for them.
    """

    strings: np.ndarray
    dtype: np.dtype

    def __len__(self):
        return len(self.strings)

    def __getitem__(self, rows):
        return replace(self, strings=self.strings[rows])


def read_texts(estimator, X, *, reset):
    """Read the input of an estimator as texts.

    Parameters
    ----------
    estimator : estimator
        Given `n_features_in_` and `feature_names_in_` where X is a table and `reset` is True.
    X : sequence of str or array-like of shape (n_samples, n_features)
        A list, tuple, one-dimensional array or Series of strings; or a table, whose rows are read
        by :func:`table_texts`.
    reset : bool
        True in fit, False afterwards.

    Returns
    -------
    texts : Texts
        Of dtype float64 for a table, unless it is of float32; float32 for texts.

    Raises
    ------
    ValueError
        For a bare string, missing values, no samples; for a table after a fit on texts.
    TypeError
        For bytes and other things among texts; for a dict, set, generator or dask collection.
    """
    if isinstance(X, str):
        raise ValueError("Iterable over raw text documents expected, string object received.")
    if X is None:
        raise ValueError("X=None: give a sequence of strings, or a table.")
    _check_ordered(X, "X")
    if len(getattr(X, "shape", (0,))) == 1 and hasattr(X, "__len__") and len(X) == 0:
        raise ValueError(
            "Found array with 0 sample(s) (shape=(0,)) while a minimum of 1 is needed."
        )
    if is_dask(X):
        raise TypeError(
            "X is a dask collection, which cannot be read here. Compute it, or call the method on "
            "each of its partitions, for example by map_partitions."
        )
    items = _items(X)
    if items is not None:
        if reset:
            _forget_columns(estimator)
        return Texts(_checked(items, "X"), np.dtype(np.float32))
    if not reset and not hasattr(estimator, "n_features_in_"):
        raise ValueError(
            f"X is a table, but {type(estimator).__name__} was fitted on texts. Give a sequence of "
            "strings."
        )
    try:
        table = validate_data(estimator, X, reset=reset, dtype=None)
    except ValueError as error:
        if "Expected 2D array" in str(error):
            error.add_note("Texts are a sequence of strings, such as a list; this X holds none.")
        raise
    except TypeError as error:  # pandas' missing text, which cannot be compared
        if "boolean value of NA" in str(error):
            raise ValueError(MISSING_CELL) from error
        raise
    dtype = table.dtype if table.dtype in FLOATS else np.dtype(np.float64)
    return Texts(table_texts(table), dtype)


def read_target_texts(estimator, y):
    """Read targets as texts.

    Parameters
    ----------
    estimator : estimator
        For error messages.
    y : sequence of str, or array-like of shape (n_samples,) or (n_samples, n_targets)
        Strings; or numbers, which are written as in a table.

    Returns
    -------
    texts : ndarray of str objects, of shape (n_samples,)
        Texts.
    """
    if isinstance(y, str):
        raise ValueError("Iterable over raw text documents expected, string object received.")
    _check_ordered(y, "y")
    items = _items(y)
    if items is not None:
        return _checked(items, "y")
    table = check_array(y, ensure_2d=False, dtype=None, input_name="y", estimator=estimator)
    return table_texts(table.reshape(len(table), -1))


def _check_ordered(X, name):
    """Refuse what has no order of rows, and what can be gone through only once."""
    # A sparse matrix, which is no text either, may be a dict of its entries.
    if isinstance(X, Mapping | Set | Iterator) and not hasattr(X, "shape"):
        raise TypeError(
            f"{name} must be a sequence of strings, or a table, got a {type(X).__name__}. Make it "
            "a list."
        )


def _items(X):
    """List the texts of a sequence; None for a table."""
    if hasattr(X, "columns") or len(getattr(X, "shape", (0,))) != 1:
        return None
    is_array = hasattr(X, "dtype") and getattr(X.dtype, "kind", "O") in "biufc"
    if is_array or not hasattr(X, "__len__"):
        return None
    items = list(X)
    # Tables may be lists of rows; numbers in one dimension are refused as scikit-learn does.
    return items if any(isinstance(item, str | bytes) or item is None for item in items) else None


def _checked(items, name):
    """Check that all of a list are strings."""
    for number, item in enumerate(items):
        if is_missing(item):
            raise ValueError(
                f"Input {name} contains NaN: text {number} is missing. Use '' or drop it."
            )
        if not isinstance(item, str):
            raise TypeError(
                f"{name} must hold strings, got {type(item).__name__} (text {number}). "
                "Decode bytes, and write numbers as text or as a table."
            )
    texts = np.empty(len(items), dtype=object)
    texts[:] = [str(item) for item in items]  # plain ones, not numpy's
    return texts


def _forget_columns(estimator):
    for name in ("n_features_in_", "feature_names_in_"):
        vars(estimator).pop(name, None)


def number_text(value):
    """Write a number with three significant digits.

    Examples
    --------
    >>> from sklearn_ext.neural_network._texts import number_text
    >>> number_text(-0.123456), number_text(2.0), number_text(1234567)
    ('-0.123', '2', '1.23e+06')
    """
    return f"{value + 0.0:.3g}"  # no sign of a zero


def table_texts(table):
    """Write each row of a table as the text of its cells, with a space between them.

    Parameters
    ----------
    table : ndarray of shape (n_samples, n_features)
        Numbers are written with three significant digits, all else as `str` does.

    Returns
    -------
    texts : ndarray of str objects, of shape (n_samples,)
        Texts.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ext.neural_network._texts import table_texts
    >>> table_texts(np.array([[1.0, -0.25], [3.14159, 2000.0]]))
    array(['1 -0.25', '3.14 2e+03'], dtype=object)
    """
    texts = np.empty(len(table), dtype=object)
    texts[:] = [" ".join(map(_cell_text, row)) for row in table.tolist()]
    return texts


def _cell_text(value):
    if is_missing(value):
        raise ValueError(MISSING_CELL)
    return number_text(value) if isinstance(value, int | float) else str(value)
