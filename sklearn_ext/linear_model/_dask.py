"""Fit dask collections where they lie: one small matrix leaves each partition."""

import numpy as np

from sklearn_ext._optional import import_optional
from sklearn_ext.linear_model._streaming import merge_moments

# Partial results that one task of the reduction merges.
_FAN_IN = 4


def is_dask(collection):
    """Whether an object is a dask collection, found out without importing dask."""
    return hasattr(collection, "__dask_graph__")


def reduce_partitions(chunk_moments, X, y, sample_weight=None):
    """Reduce the partitions of a collection to one :class:`Moments` by a tree of tasks.

    Parameters
    ----------
    chunk_moments : callable
        Maps the (X, y, sample_weight) of one partition to its moments; None for no rows.
    X : dask array or DataFrame of shape (n_samples, n_features)
        Inputs.
    y : dask array, Series or DataFrame
        Targets, in partitions that match those of X, or that can be made to.
    sample_weight : dask array or Series, default=None
        Weights.

    Returns
    -------
    Moments
        The only thing that reaches the client.
    """
    dask = import_optional("dask", extra="dask", purpose="Fitting dask collections")
    parts = [_partitions(X, X)] + [_partitions(c, X) for c in (y, sample_weight)]
    leaf = dask.delayed(chunk_moments, pure=False)
    level = [leaf(*part) for part in zip(*parts, strict=True)]
    merge = dask.delayed(_merge_all, pure=False)
    while len(level) > 1:
        level = [merge(level[i : i + _FAN_IN]) for i in range(0, len(level), _FAN_IN)]
    moments = level[0].compute()
    if moments is None:
        raise ValueError("Found 0 samples: every partition of X is empty, or all weights are 0.")
    return moments


def _merge_all(parts):
    """Merge the moments of some partitions, in their order."""
    merged = None
    for part in parts:
        if part is not None:
            merged = part if merged is None else merge_moments(merged, part)
    return merged


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
        if collection.ndim == 2:
            collection = collection.rechunk({1: -1})
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
