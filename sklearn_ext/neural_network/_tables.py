"""What a net learns about the columns of a table before it is trained."""

from itertools import pairwise

import numpy as np
from scipy.sparse import issparse

__all__ = ["QUARTERS", "fit_encoding", "weighted_quantiles"]

# Rows that a bin needs, counted by weight: with fewer its weights learn single rows by heart.
ROWS_A_BIN = 25
# What "auto" gives each numeric column, and all of them together: beyond that the first layer
# would be most of the cost.
AUTO_BINS, MOST_AUTO_BINS = 32, 512
HALF, QUARTERS = np.array([0.5]), np.array([0.25, 0.5, 0.75])
# So many typical distances of what differs from the rest of a column are no outlier yet.
OUTLYING = 5.0
# Columns that are not clipped end so many times as far from the median as the farthest row of
# `fit`, and no sooner than at so many interquartile ranges.
FARTHER, NEAREST_END = 2.0, 3.0
# Their root mean square: that of a clipped column of normal draws, so that steps suit both.
ROOT_MEAN_SQUARE = 0.7
FARTHEST = 1e6  # that of sklearn_ext._torch.encoding
# A column of more categories is embedded instead of one-hot encoded.
MOST_HOT = 32


def weighted_quantiles(values, weights, levels):
    """Quantiles by the inverted distribution function; a weight counts repetitions.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Values without NaN.
    weights : ndarray of shape (n,)
        Weights.
    levels : ndarray of shape (n_levels,)
        In [0, 1].

    Returns
    -------
    quantiles : ndarray of shape (n_levels,)
        Smallest values with at least the share `levels` of the weight at or below them.
    """
    if weights.min() == weights.max() == 1.0:  # sorting values is faster than sorting positions
        position = np.ceil(levels * len(values)).astype(np.int64) - 1
        return np.sort(values)[np.clip(position, 0, len(values) - 1)]
    order = np.argsort(values, kind="stable")
    cumulated = np.cumsum(weights[order])
    position = np.searchsorted(cumulated, levels * cumulated[-1])
    return values[order][np.minimum(position, len(values) - 1)]


def _scale(values, weights, quartiles):
    """Inverse of the interquartile range; where that is 0, of half the range, less outliers."""
    spread = quartiles[2] - quartiles[0]
    if spread > 0:
        return 1.0 / spread
    off = np.abs(values - quartiles[1])
    others = off > 0
    if not others.any():
        return 0.0
    # The range alone would be that of a single outlier; the typical distance alone cost up to
    # .005 of R² on validation rows of real tables.
    typical = weighted_quantiles(off[others], weights[others], HALF)[0]
    return 1.0 / float(min(0.5 * np.ptp(values), OUTLYING * typical))


def fit_encoding(X, categorical, weights, n_bins, constant_scale=0.0):
    """Find medians, scales, bins and categories of a table.

    Parameters
    ----------
    X : ndarray or sparse array of shape (n_samples, n_features)
        Raw columns; categories are codes. NaN is a missing value. A sparse table has no duplicate
        entries.
    categorical : ndarray of shape (n_features,), bool
        Which columns hold codes.
    weights : ndarray of shape (n_samples,)
        Weights that count repetitions, > 0.
    n_bins : int or "auto"
        Bins of equal weight for the piecewise linear encoding of a numeric column; 0 for none.
        "auto" is 32, or as many as make 512 for all columns.
    constant_scale : float, default=0.0
        Scale of numeric columns of a single value; 0 leaves them out for ever.

    Returns
    -------
    encoding : dict of ndarray
        Buffers of :class:`sklearn_ext._torch.encoding.TableEncoding`.
    """
    center, scale, reach, size, bins, missing = [], [], [], [], [], []
    read = _column_reader(X, weights)
    numeric = np.flatnonzero(~categorical)
    n_bins = _bins_a_column(n_bins, len(numeric), max(weights.sum(), X.shape[0]))
    for column in numeric:
        values, of_values = read(column)
        if np.isnan(values).any():
            missing.append(column)
        found = _numeric_column(values, of_values, n_bins, constant_scale)
        center.append(found[0])
        scale.append(found[1])
        farthest, root = _spread(values, of_values, *found[:2])
        reach.append(max(FARTHER * farthest, NEAREST_END))
        size.append(root)
        bins += [(column, left, right - left) for left, right in found[2]]
    bins = np.array(bins, dtype=np.float64).reshape(-1, 3)
    return {
        "numeric": numeric,
        "missing": np.array(missing, dtype=np.int64),
        "center": np.array(center, dtype=np.float64),
        "scale": np.array(scale, dtype=np.float64),
        "reach": np.array(reach, dtype=np.float64),
        "size": np.array(size, dtype=np.float64),
        "bin_column": bins[:, 0].astype(np.int64),
        "bin_left": bins[:, 1].copy(),
        "bin_width": bins[:, 2].copy(),
        **_categories(read, np.flatnonzero(categorical)),
    }


def _spread(values, weights, center, scale):
    """Largest size and final divisor of a scaled column, what is missing at the median."""
    with np.errstate(over="ignore"):
        scaled = (values.astype(np.float64) - center) * scale
    sizes = np.abs(np.nan_to_num(scaled, nan=0.0)).clip(max=FARTHEST)
    root = np.sqrt(np.average(sizes**2, weights=weights))
    # In single precision: a sparse table sums in another order, and shall give the same.
    return sizes.max(), float(np.float32(root)) / ROOT_MEAN_SQUARE or 1.0


def _bins_a_column(n_bins, n_columns, weight):
    """Bins that rows are enough for; 0 where that is fewer than 2."""
    if n_bins == "auto":
        n_bins = min(AUTO_BINS, MOST_AUTO_BINS // max(n_columns, 1))
    n_bins = min(n_bins, int(weight / ROWS_A_BIN))
    return n_bins if n_bins >= 2 else 0


def _column_reader(X, weights):
    """Function from a column to its values and weights; zeros that are not stored count as one."""
    if not issparse(X):
        return lambda column: (X[:, column], weights)
    X, total = X.tocsc(), weights.sum()

    def read(column):
        stored = slice(X.indptr[column], X.indptr[column + 1])
        values, of_values = X.data[stored], weights[X.indices[stored]]
        if len(values) == X.shape[0]:
            return values, of_values
        rest = max(total - of_values.sum(), np.finfo(np.float64).tiny)
        return np.append(values, X.dtype.type(0)), np.append(of_values, rest)

    return read


def _categories(read, columns):
    """One-hot columns for few categories, rows in a table of embeddings for many."""
    hot, embedded = [], []
    for column in columns:
        values, _ = read(column)
        codes = np.unique(values[~np.isnan(values)])
        if len(codes) > MOST_HOT:
            embedded.append((column, int(codes[-1]) + 2))  # one more for unknown categories
        else:
            hot += [(column, code) for code in codes]
    hot = np.array(hot, dtype=np.float64).reshape(-1, 2)
    embedded = np.array(embedded, dtype=np.int64).reshape(-1, 2)
    return {
        "hot_column": hot[:, 0].astype(np.int64),
        "hot_value": hot[:, 1].copy(),
        "embedded": embedded[:, 0].copy(),
        "embedded_size": embedded[:, 1].copy(),
    }


def _numeric_column(values, weights, n_bins, constant_scale):
    """Median, inverse scale and bins (pairs of edges) of one column."""
    known = ~np.isnan(values)
    if not known.any():
        return 0.0, constant_scale, []
    values, weights = values[known].astype(np.float64), weights[known]
    quartiles = weighted_quantiles(values, weights, QUARTERS)
    scale = _scale(values, weights, quartiles) or constant_scale
    if not n_bins:
        return quartiles[1], scale, []
    levels = np.arange(n_bins + 1) / n_bins
    edges = np.unique(weighted_quantiles(values, weights, levels))
    edges = np.unique(np.append(edges, [values.min(), values.max()]))
    pairs = list(pairwise(edges))
    return quartiles[1], scale, pairs if len(pairs) > 1 else []
