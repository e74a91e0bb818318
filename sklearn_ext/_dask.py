"""Dask collections: their partitions, side by side, and lazy calls on each."""

from functools import wraps

import numpy as np

from sklearn_ext._optional import import_optional

__all__ = ["aligned_partitions", "each_in_memory", "in_memory", "is_dask", "over_partitions"]


def is_dask(collection):
    """Whether an object is a dask collection, found out without importing dask."""
    return hasattr(collection, "__dask_graph__")


def in_memory(*collections):
    """Give collections as they are computed, together; anything else, None too, as it is."""
    if not any(map(is_dask, collections)):
        return collections
    return import_optional("dask", extra="dask", purpose="dask collections").compute(*collections)


def each_in_memory(*collections):
    """Give the same, computed one after the other: dask warns of several kinds together."""
    return [in_memory(collection)[0] for collection in collections]


def aligned_partitions(X, *others):
    """Delayed partitions of several collections, side by side.

    Parameters
    ----------
    X : dask array or DataFrame of shape (n_samples, n_features)
        Inputs.
    *others : dask array, Series, DataFrame or None
        Collections of the same rows, in partitions that match those of X, or that can be made to.

    Returns
    -------
    parts : list of tuple
        One tuple a partition, with None in the place of None.

    Raises
    ------
    TypeError
        If one of the others is no dask collection.
    ValueError
        If the partitions do not match.
    """
    return list(zip(*(_partitions(collection, X) for collection in (X, *others)), strict=True))


def _partitions(collection, X):
    """Delayed partitions of a collection, one for each partition of X."""
    if collection is None:
        return [None] * _n_partitions(X)
    if not is_dask(collection):
        raise TypeError(
            "X is a dask collection, but y or sample_weight is a "
            f"{type(collection).__name__}: give all of them as dask collections with the same "
            "partitions, for example by dask.array.from_array(y, chunks=X.chunks[0])."
        )
    if hasattr(collection, "chunks"):  # an array
        collection = collection.rechunk(dict.fromkeys(range(1, collection.ndim), -1))
        if hasattr(X, "chunks") and not np.isnan(X.chunks[0]).any():
            collection = collection.rechunk({0: X.chunks[0]})
    parts = list(np.ravel(collection.to_delayed()))
    if len(parts) != _n_partitions(X):
        raise ValueError(
            f"X has {_n_partitions(X)} partitions, but y or sample_weight has {len(parts)}: "
            "repartition them alike."
        )
    return parts


def _n_partitions(X):
    return len(X.chunks[0]) if hasattr(X, "chunks") else X.npartitions


def over_partitions(method):
    """Let a method of rows take dask collections: called on each partition, when it is needed.

    The estimator makes a row of a given shape, of harmless values, by ``_some_row(shape)``; the
    method's result for it tells how many axes there are, and their dtype. Further arguments that
    have rows, such as targets, have to be dask collections with the partitions of X.
    """

    @wraps(method)
    def called(self, X, *args, **kwargs):
        if not is_dask(X):
            return method(self, X, *args, **kwargs)
        return _mapped(self, method, X, args, kwargs)

    return called


def _mapped(estimator, method, X, args, kwargs):
    """Collections of what the method gives, one for each array that it returns."""
    dask = import_optional("dask", extra="dask", purpose="Predicting dask collections")
    array = import_optional("dask.array", extra="dask", purpose="Predicting dask collections")
    kind = _result_of_one_row(estimator, method, X, args, kwargs)
    others = [value for value in args if _has_rows(value)]
    kinds = kind if isinstance(kind, tuple) else (kind,)
    # One copy of the estimator in the graph, not one a partition.
    fitted, task = dask.delayed(estimator), dask.delayed(_call, nout=len(kinds), pure=False)
    columns = [
        task(fitted, method.__name__, part, _with_parts(args, rest), kwargs, len(kinds))
        for part, *rest in aligned_partitions(X, *others)
    ]
    sizes = X.chunks[0] if hasattr(X, "chunks") else [np.nan] * len(columns)
    found = tuple(
        _concatenated(array, parts, sizes, like)
        for parts, like in zip(zip(*columns, strict=True), kinds, strict=True)
    )
    return found if isinstance(kind, tuple) else found[0]


def _concatenated(array, parts, sizes, like):
    """One dask array of delayed parts that look like a given array, but for their lengths."""
    blocks = [
        array.from_delayed(part, (size, *like.shape[1:]), like.dtype)
        for part, size in zip(parts, sizes, strict=True)
    ]
    return array.concatenate(blocks, allow_unknown_chunksizes=True)


def _with_parts(args, parts):
    """Put parts in the places of the collections that they are of."""
    parts = iter(parts)
    return [next(parts) if _has_rows(value) else value for value in args]


def _has_rows(argument):
    return is_dask(argument) or (hasattr(argument, "__len__") and not isinstance(argument, str))


def _call(estimator, name, rows, args, kwargs, n_results):
    """Call a method on one partition; a single result comes in a tuple, as several do."""
    if not len(rows):  # a partition of which nothing is left: no row of what one row gives
        result = _result_of_one_row(estimator, getattr(type(estimator), name), rows, args, kwargs)
        return tuple(part[:0] for part in (result if n_results > 1 else (result,)))
    result = getattr(estimator, name)(rows, *args, **kwargs)
    return result if n_results > 1 else (result,)


def _result_of_one_row(estimator, method, X, args, kwargs):
    row = _one_row(estimator, X)
    args = [_one_row(estimator, value) if _has_rows(value) else value for value in args]
    return method(estimator, row, *args, **kwargs)


def _one_row(estimator, X):
    """One row in the form of a collection: an array, a DataFrame, or a list for Series and bags."""
    row = estimator._some_row(getattr(X, "shape", (None,))[1:])[np.newaxis]
    if hasattr(X, "chunks") or isinstance(X, np.ndarray):
        return row.astype(X.dtype)
    if row.ndim == 1:
        return row.tolist()
    pandas = import_optional("pandas", extra="pandas", purpose="Predicting dask DataFrames")
    return pandas.DataFrame(row, columns=X.columns)
