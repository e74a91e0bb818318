"""Fit dask collections where they lie: one small matrix leaves each partition."""

from sklearn_ext._dask import aligned_partitions
from sklearn_ext._optional import import_optional
from sklearn_ext.linear_model._streaming import merge_moments

# Partial results that one task of the reduction merges.
_FAN_IN = 4


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
    leaf = dask.delayed(chunk_moments, pure=False)
    level = [leaf(*part) for part in aligned_partitions(X, y, sample_weight)]
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
