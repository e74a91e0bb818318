"""Every form in which sequences are given, read into one.

Estimators call :func:`validate_sequences`, which also keeps scikit-learn's books
(`n_features_in_`, `feature_names_in_`); :func:`read_sequences` is the same without an estimator.
"""

from functools import partial

import numpy as np
from sklearn.utils import check_array

from sklearn_ext._missing import is_missing
from sklearn_ext._sequence_values import AXIS_ORDERS, Sequences, check_finite, oriented
from sklearn_ext._validation import (
    _check_feature_names,
    check_has_rows,
    is_arrow_table,
    validate_data,
)

__all__ = [
    "Sequences",
    "check_channels",
    "columns_of_arrays",
    "named_columns",
    "read_sequences",
    "validate_sequences",
]

FLOATS = [np.float64, np.float32]  # kept as they are; other numbers become the first


def read_sequences(X, *, axis_order="channels_last", input_name="X"):
    """Read sequences of any accepted form.

    Parameters
    ----------
    X : array-like of shape (n, T) or (n, T, n_channels), or sequence of n arrays
        A matrix holds one channel. A tensor may end in steps that are NaN in all channels: they
        are padding. A list, tuple, object array, pandas Series or polars Series holds an array
        of shape (T_i,) or (T_i, n_channels) for each sequence, and so may the only column of a
        data frame or pyarrow table; several columns of 1-D arrays are the channels, as sktime
        nests them. A matrix of objects that are arrays, `to_numpy()` of such a frame, is read
        like it. A list of lists of equal lengths is a matrix; a list of arrays is ragged,
        whatever their lengths.
    axis_order : {"channels_last", "channels_first"}, default="channels_last"
        Whether a tensor is (n, T, n_channels) or (n, n_channels, T); likewise for the arrays of
        ragged input.
    input_name : str, default="X"
        What errors call the input.

    Returns
    -------
    sequences : Sequences
        Steps and lengths; float32 and float64 are kept, other numbers become float64.

    Raises
    ------
    ValueError
        For NaN (other than padding) and infinity, with the sample and the step; for empty input
        or sequences; missing sequences; numbers of channels that differ; text; too few or many
        axes.
    TypeError
        For a lazy frame, which has no rows yet.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ext._sequences import read_sequences
    >>> found = read_sequences(np.zeros((4, 3, 100)), axis_order="channels_first")
    >>> len(found), found.n_timesteps, found.n_channels
    (4, 100, 3)
    """
    read_matrix = partial(check_array, dtype=FLOATS, ensure_all_finite=False, input_name=input_name)
    return _read(X, axis_order, input_name, read_matrix)


def validate_sequences(estimator, X, *, reset, axis_order="channels_last", min_timesteps=1):
    """Read the input of an estimator and check it against what the estimator was fitted on.

    A matrix must have the columns of the matrix seen in fit, as scikit-learn demands. All other
    forms may have other lengths than those seen in fit, and another form, but not another number
    of channels (a matrix has one).

    Parameters
    ----------
    estimator : estimator
        Given `n_features_in_` (columns of a matrix, else channels), `n_channels_` and
        `feature_names_in_` (for a data frame) where `reset` is True. Wrap fitting in
        `all_or_nothing`: an error may come after the first of them was set.
    X : array-like
        See :func:`read_sequences`.
    reset : bool
        True in fit, False afterwards.
    axis_order : {"channels_last", "channels_first"}, default="channels_last"
        Order of the axes.
    min_timesteps : int, default=1
        Least length of each sequence.

    Returns
    -------
    sequences : Sequences
        What was read.

    Raises
    ------
    ValueError
        See :func:`read_sequences`; also where X does not fit to what was seen in fit.
    """
    columns_count = reset or getattr(estimator, "_fitted_on_matrix", False)
    read_matrix = partial(
        validate_data if columns_count else _without_columns,
        estimator,
        reset=reset,
        dtype=FLOATS,
        ensure_all_finite=False,
        ensure_min_features=min_timesteps if reset else 1,
    )
    sequences = _read(X, axis_order, "X", read_matrix)
    _check_shortest(sequences, min_timesteps)
    names_channels = hasattr(X, "columns") and len(X.columns) == sequences.n_channels
    if reset:
        _keep_books(estimator, sequences)
    else:
        check_channels(estimator, sequences)
    if names_channels and sequences.form == "ragged":
        if reset or hasattr(estimator, "feature_names_in_"):
            _check_feature_names(estimator, X, reset=reset)
    return sequences


def check_channels(estimator, sequences):
    """Raise an error for another number of channels than an estimator was fitted on."""
    if sequences.n_channels != estimator.n_channels_:
        raise ValueError(
            f"X has {sequences.n_channels} channels, but {type(estimator).__name__} is expecting "
            f"{estimator.n_channels_} channels as input.{_if_one_sequence(estimator, sequences)}"
        )


def _if_one_sequence(estimator, sequences):
    """Say what to do if a matrix that was read as sequences of one channel is a sequence itself."""
    turned = sequences.axis_order == "channels_first"
    n_channels = len(sequences) if turned else sequences.n_features
    is_one = sequences.form == "matrix" and n_channels == estimator.n_channels_
    return " A matrix holds a sequence in each row: for one sequence pass [X]." if is_one else ""


def _without_columns(estimator, X, *, reset, **checks):
    return check_array(X, estimator=estimator, input_name="X", **checks)


def _keep_books(estimator, sequences):
    estimator.n_channels_ = sequences.n_channels
    estimator.n_features_in_ = sequences.n_features
    estimator._fitted_on_matrix = sequences.form == "matrix"
    if not estimator._fitted_on_matrix and hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_  # of an earlier fit on a data frame


def _check_shortest(sequences, least):
    short = np.flatnonzero(sequences.lengths < least)
    if len(short):
        raise ValueError(
            f"Found sequence with {sequences.lengths[short[0]]} step(s) (sample {short[0]}) while "
            f"a minimum of {least} is required."
        )


def _read(X, axis_order, input_name, read_matrix):
    if axis_order not in AXIS_ORDERS:
        raise ValueError(f"axis_order must be one of {list(AXIS_ORDERS)}, got {axis_order!r}.")
    columns = columns_of_arrays(X)
    items = _items(X) if columns is None else _rows_of_cells(columns, axis_order)
    if items is not None:
        found = _read_ragged(items, axis_order, input_name)
    else:
        found = _read_dense(X, axis_order, input_name, read_matrix)
    check_finite(found, input_name)
    return found


def _items(X):
    """List the arrays of ragged input; None for an array with axes of its own."""
    is_series = hasattr(X, "to_list")
    if not (isinstance(X, list | tuple) or is_series or _is_object_vector(X)):
        return None
    items = list(X)
    if not items or any(_is_array(item) for item in items):
        return items
    present = [item for item in items if not is_missing(item)]
    all_lists = bool(present) and all(isinstance(item, list | tuple) for item in present)
    is_table = isinstance(X, list | tuple) and not _is_uneven(items)
    return items if all_lists and not is_table else None


def columns_of_arrays(X):
    """Take a table of arrays apart.

    Parameters
    ----------
    X : object
        A data frame, a pyarrow table or a matrix of objects, or anything else.

    Returns
    -------
    columns : dict of list, or None
        Cells of each column, where the first cell of one that is not missing is an array, a list
        or a tuple; None for what is no such table.
    """
    check_has_rows(X)
    if hasattr(X, "columns"):
        columns = named_columns(X)
    elif isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 2:
        columns = dict(enumerate(X.T))
    else:
        return None
    first = [_first_cell(column) for column in columns.values()]
    if not any(_is_array(cell) or isinstance(cell, list | tuple) for cell in first):
        return None
    return {name: list(column) for name, column in columns.items()}


def named_columns(X):
    """Take a table apart by the names of its columns.

    Parameters
    ----------
    X : data frame of pandas or polars, or pyarrow table
        Table.

    Returns
    -------
    columns : dict
        Columns by name, those of a pyarrow table as arrays.
    """
    if is_arrow_table(X):  # whose attribute `columns` is its data
        return {name: np.asarray(X[name]) for name in X.column_names}
    return {name: X[name] for name in X.columns}


def _first_cell(column):
    """Find the first cell that is not missing; None if all are."""
    return next((cell for cell in column if not is_missing(cell)), None)


def _check_present(cell, name):
    if is_missing(cell):
        raise ValueError(
            f"{name} is missing: it is {cell} in place of an array. Remove the sample, with its "
            "target, or fill in its steps."
        )


def _rows_of_cells(columns, axis_order):
    """Join the arrays in each row of a table, a channel each."""
    if len(columns) == 1:
        return next(iter(columns.values()))
    rows = zip(*columns.values(), strict=True)
    joined = (_side_by_side(cells, i, columns) for i, cells in enumerate(rows))
    return [oriented(steps, axis_order) for steps in joined]


def _side_by_side(cells, i, names):
    places = [f"X (sample {i}, column {name!r})" for name in names]
    for cell, place in zip(cells, places, strict=True):
        _check_present(cell, place)
    arrays = [_numbers(cell, place) for cell, place in zip(cells, places, strict=True)]
    shapes = {name: array.shape for name, array in zip(names, arrays, strict=True)}
    if len(set(shapes.values())) > 1 or arrays[0].ndim != 1:
        raise ValueError(
            "The columns of X are the channels of one sequence: the arrays in a row must have "
            f"one axis and the same number of steps, but sample {i} has the shapes {shapes}."
        )
    return np.column_stack(arrays)


def _is_object_vector(X):
    return isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1


def _is_array(item):
    """Tell arrays and series from numbers, text, lists and missing values."""
    return len(getattr(item, "shape", ())) > 0


def _is_uneven(lists):
    try:
        np.asarray(lists)
    except ValueError:  # "inhomogeneous shape"
        return True
    return False


def _read_dense(X, axis_order, input_name, read_matrix):
    array = X if hasattr(X, "shape") else np.asarray(X)
    n_axes = len(array.shape)
    if n_axes > 3:
        raise ValueError(f"Found array with dim {n_axes}, while dim <= 3 is required.")
    if n_axes == 3:
        return _read_tensor(_numbers(array, input_name), axis_order, input_name)
    matrix = read_matrix(X)
    lengths = np.full(len(matrix), matrix.shape[1], dtype=np.int64)
    return Sequences(matrix.reshape(-1, 1), lengths, "matrix", matrix.shape[1], axis_order)


def _read_tensor(tensor, axis_order, input_name):
    tensor = oriented(tensor, axis_order)
    n, n_timesteps, n_channels = tensor.shape
    for axis, what in enumerate(("sample(s)", "step(s)", "channel(s)")):
        _demand(tensor.shape[axis] > 0, _too_few(what, tensor, 0, 1))
    lengths = np.full(n, n_timesteps, dtype=np.int64)
    if not np.isnan(tensor[:, -1, 0]).any():  # no sequence ends in padding
        return Sequences(tensor.reshape(-1, n_channels), lengths, "tensor", n_timesteps, axis_order)
    missing = np.isnan(tensor).all(axis=2)  # (n, n_timesteps)
    lengths -= np.logical_and.accumulate(missing[:, ::-1], axis=1).sum(axis=1)
    _check_lengths(lengths, input_name, "all its steps are NaN")
    inside = np.arange(n_timesteps) < lengths[:, None]
    return Sequences(tensor[inside], lengths, "tensor", n_timesteps, axis_order)


def _read_ragged(items, axis_order, input_name):
    _demand(len(items) > 0, _too_few("sample(s)", items, 0, 1))
    for i, item in enumerate(items):
        _check_present(item, f"{input_name} (sample {i})")
    arrays = [_numbers(item, f"{input_name}[{i}]") for i, item in enumerate(items)]
    for i, array in enumerate(arrays):
        if array.ndim not in (1, 2):
            raise ValueError(
                f"Expected sequences of shape (n_timesteps,) or (n_timesteps, n_channels), got "
                f"{array.ndim}D array instead (sample {i}, shape={array.shape})."
            )
    steps = [a[:, None] if a.ndim == 1 else oriented(a, axis_order) for a in arrays]
    lengths = np.array([len(a) for a in steps], dtype=np.int64)
    _check_lengths(lengths, input_name, "it is empty")
    _check_axes(arrays, input_name)
    _check_channels([a.shape[1] for a in steps], input_name)
    values = _as_float(np.concatenate(steps))
    flat = all(a.ndim == 1 for a in arrays)
    return Sequences(values, lengths, "ragged", int(lengths.max()), axis_order, flat)


def _numbers(item, name):
    """Read an array of real numbers, float32 or float64."""
    try:
        array = np.asarray(item.to_list() if _is_nested_series(item) else item)
        if array.dtype == object and array.ndim == 1:  # of arrays, as in frames read from Parquet
            array = np.asarray(array.tolist())
    except ValueError as error:
        raise ValueError(f"{name} is not an array of numbers: {error}") from error
    if array.dtype.kind in "USMm":
        raise ValueError(
            f"dtype='numeric' is not compatible with {name}, an array of {array.dtype}. Convert "
            "your data to numeric values explicitly instead."
        )
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported\n{name} has dtype {array.dtype}.")
    try:
        return _as_float(array)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is not an array of numbers: {error}") from error


def _is_nested_series(item):
    """Tell a polars Series of lists, which numpy would read as an array of objects."""
    return hasattr(item, "to_list") and "List" in str(getattr(item, "dtype", ""))


def _as_float(array):
    return array if array.dtype in FLOATS else array.astype(FLOATS[0])


def _demand(holds, message):
    if not holds:
        raise ValueError(message)


def _too_few(what, X, found, least):
    shape = getattr(X, "shape", (len(X),))
    return (
        f"Found array with {found} {what} (shape={tuple(shape)}) while a minimum of {least} is "
        "required."
    )


def _check_lengths(lengths, input_name, why):
    empty = np.flatnonzero(lengths == 0)
    if len(empty):
        raise ValueError(
            f"Found sequence with 0 step(s) ({input_name}, sample {empty[0]}: {why}) while a "
            "minimum of 1 is required. Remove it."
        )


def _check_axes(arrays, input_name):
    other = next((i for i, a in enumerate(arrays) if a.ndim != arrays[0].ndim), None)
    if other is not None and not all(a.ndim == 1 or 1 in a.shape for a in arrays):
        raise ValueError(
            f"All sequences of {input_name} must have the same axes: sample 0 has the shape "
            f"{arrays[0].shape}, sample {other} {arrays[other].shape}. Give each as (n_timesteps, "
            "n_channels)."
        )


def _check_channels(counts, input_name):
    _demand(counts[0] > 0, f"Found sequence with 0 channel(s) ({input_name}, sample 0).")
    other = next((i for i, count in enumerate(counts) if count != counts[0]), None)
    if other is not None:
        raise ValueError(
            f"All sequences of {input_name} must have the same number of channels: sample 0 has "
            f"{counts[0]}, sample {other} has {counts[other]}. If their arrays have shape "
            "(n_channels, n_timesteps), set axis_order='channels_first'; if the time axis is "
            "first, 'channels_last'."
        )
