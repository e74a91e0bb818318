"""Texts out of whatever holds them, and summaries put back in their places."""

from dataclasses import dataclass
from numbers import Number

import numpy as np
from sklearn.utils import assert_all_finite, check_array

from sklearn_ext._missing import is_missing
from sklearn_ext._validation import validate_data

__all__ = ["TextTable", "is_one_dimensional", "read_table", "read_texts"]

TEXT_KINDS = "OUST"  # of numpy dtypes that can hold a str


@dataclass(frozen=True)
class TextTable:
    """Texts of an input, with their places.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_features)
        All cells.
    rows, columns : ndarray of shape (n_texts,)
        Places of the texts, row by row.
    texts : list of n_texts str
        The texts; missing ones are empty.
    is_sequence : bool, default=False
        Whether the input had no columns.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ext.text._text_table import TextTable
    >>> values = np.array([["A cat.", 4]], dtype=object)
    >>> table = TextTable(values, np.array([0]), np.array([0]), ["A cat."])
    >>> table.filled(["Cat."])
    array([['Cat.', 4]], dtype=object)
    """

    values: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    texts: list[str]
    is_sequence: bool = False

    @property
    def has_one_text_a_row(self):
        """Whether a target can have one value for each text."""
        return np.array_equal(np.sort(self.rows), np.arange(len(self.values)))

    def filled(self, summaries):
        """Put summaries in the places of the texts.

        Parameters
        ----------
        summaries : list of n_texts str
            One for each text.

        Returns
        -------
        values : ndarray of shape (n_samples, n_features)
            New array; other cells are as they were.
        """
        if not self.texts:
            return self.values.copy()
        values = self.values.astype(object)
        for row, column, summary in zip(self.rows, self.columns, summaries, strict=True):
            values[row, column] = summary
        return values


def is_one_dimensional(X):
    """Tell a sequence of texts from a table.

    Parameters
    ----------
    X : object
        Input of an estimator.

    Returns
    -------
    answer : bool
        Whether it is a sequence without columns that may hold texts.

    Examples
    --------
    >>> from sklearn_ext.text._text_table import is_one_dimensional
    >>> is_one_dimensional(["a", "b"]), is_one_dimensional([["a"], ["b"]])
    (True, False)
    """
    if isinstance(X, list | tuple):
        is_flat = not any(
            isinstance(x, list | tuple) or (hasattr(x, "shape") and x.shape) for x in X
        )
        return is_flat and (not X or any(_is_text(x) or is_missing(x) for x in X))
    shape = getattr(X, "shape", None)
    if shape is None or len(shape) != 1:
        return False
    kind = getattr(getattr(X, "dtype", None), "kind", "O")  # polars' dtypes have no kind
    return kind in TEXT_KINDS


def read_texts(X, *, name="X"):
    """List the texts of a sequence.

    Parameters
    ----------
    X : sequence of n str, bytes or missing values
        List, tuple, one-dimensional array, pandas or polars Series. Bytes are UTF-8.
    name : str, default="X"
        What to call it in an error.

    Returns
    -------
    texts : list of n str
        The texts; empty for None, NaN and NA.

    Raises
    ------
    TypeError
        If a value is none of these; the message names its place.

    Examples
    --------
    >>> from sklearn_ext.text._text_table import read_texts
    >>> read_texts(["a", b"b", None])
    ['a', 'b', '']
    """
    values = X.tolist() if isinstance(X, np.ndarray) else list(X)
    return [_text_of(value, f"{name}[{i}]") for i, value in enumerate(values)]


def read_table(estimator, X, *, reset):
    """Read the input of an estimator, and learn from it at fit which columns hold texts.

    Parameters
    ----------
    estimator : BaseEstimator
        Gets `n_features_in_`, `feature_names_in_` and `_text_columns` where `reset` is set.
    X : sequence of n_samples str, or array-like of shape (n_samples, n_features)
        Texts, or a table. In a column that held a text at fit, missing cells are empty texts;
        in others they stay as they are.
    reset : bool
        Whether this is a fit.

    Returns
    -------
    table : TextTable
        All cells, as a table with one column for a sequence.

    Raises
    ------
    ValueError, TypeError
        If X is a single str, is empty at fit, has another number of columns than at fit, holds
        NaN in a table of numbers, or cells that are neither texts nor numbers.

    Examples
    --------
    >>> from sklearn_ext import TextSummarizer
    >>> from sklearn_ext.text._text_table import read_table
    >>> read_table(TextSummarizer(), [["A cat.", 4], ["A dog.", 3]], reset=True).texts
    ['A cat.', 'A dog.']
    """
    if isinstance(X, str | bytes):
        raise ValueError(
            f"X must be a sequence of texts, got a single {type(X).__name__}: put it in a list."
        )
    if is_one_dimensional(X):
        return _read_sequence(estimator, X, reset)
    return _read_columns(estimator, X, reset)


def _read_sequence(estimator, X, reset):
    texts = read_texts(X)
    if reset:
        if not texts:
            raise ValueError(
                f"Found array with 0 sample(s) (shape={np.shape(X)}) while a minimum of 1 is "
                f"required by {type(estimator).__name__}."
            )
        vars(estimator).pop("feature_names_in_", None)
        estimator.n_features_in_ = 1
        estimator._text_columns = np.array([True])
    elif estimator.n_features_in_ != 1:
        raise ValueError(
            f"X has 1 features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input."
        )
    values = np.empty((len(texts), 1), dtype=object)
    values[:, 0] = texts
    columns = np.zeros(len(texts), dtype=int)
    return TextTable(values, np.arange(len(texts)), columns, texts, is_sequence=True)


def _read_cells(estimator, X, reset):
    """Check the shape of a table; cells of any type."""
    if isinstance(X, list | tuple) and np.asarray(X).dtype.kind in "US":
        X = np.array(X, dtype=object)  # numpy would write numbers as texts
    may_be_empty = not reset and estimator._text_columns.any()
    checks = {"dtype": None, "ensure_all_finite": False}
    checks["ensure_min_samples"] = 0 if may_be_empty else 1
    try:
        return validate_data(estimator, X, reset=reset, **checks)
    except ValueError as error:
        if "Expected 2D array" in str(error):
            error.add_note("Texts are a sequence of strings, such as a list; this X holds none.")
        raise


def _read_columns(estimator, X, reset):
    values = _read_cells(estimator, X, reset)
    is_text = np.zeros(values.shape, dtype=bool)
    if values.dtype.kind in TEXT_KINDS:
        values = values.astype(object)
        is_text = _cells(_is_text, values)
    columns = is_text.any(axis=0)
    if reset:
        estimator._text_columns = columns
    columns = columns | estimator._text_columns
    if not columns.any():
        return _numeric_table(estimator, values)
    is_text |= _cells(is_missing, values) & columns
    _check_others_are_numbers(values, is_text)
    rows, places = np.nonzero(is_text)
    texts = [
        _text_of(values[row, place], f"X[{row}, {place}]")
        for row, place in zip(rows, places, strict=True)
    ]
    return TextTable(values, rows, places, texts)


def _numeric_table(estimator, values):
    if values.dtype == object:
        values = check_array(values, estimator=estimator, input_name="X")
    assert_all_finite(values, estimator_name=type(estimator).__name__, input_name="X")
    nowhere = np.empty(0, dtype=int)
    return TextTable(values, nowhere, nowhere, [])


def _check_others_are_numbers(values, is_text):
    is_known = is_text | _cells(lambda cell: isinstance(cell, Number) or is_missing(cell), values)
    if not is_known.all():
        row, column = np.argwhere(~is_known)[0]
        raise TypeError(
            f"X[{row}, {column}] must be a str or a number, got "
            f"{type(values[row, column]).__name__}."
        )


def _cells(test, values):
    """Apply a test to each cell."""
    flat = np.fromiter(map(test, values.ravel().tolist()), dtype=bool, count=values.size)
    return flat.reshape(values.shape)


def _is_text(value):
    return isinstance(value, str | bytes)


def _text_of(value, place):
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes):
        return _decoded(value, place)
    if is_missing(value):
        return ""
    raise TypeError(f"{place} must be a str, got {type(value).__name__}.")


def _decoded(value, place):
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{place} holds bytes that are not UTF-8: decode them first.") from error
