"""Sequences of zero mean and unit variance, each by itself or channel by channel."""

from dataclasses import replace

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin
from sklearn.utils.metaestimators import available_if

from sklearn_ext._documentation import DocumentationLinkMixin
from sklearn_ext._sequence_values import AXIS_ORDERS
from sklearn_ext._validation import (
    StrOptions,
    _fit_context,
    all_or_nothing,
)
from sklearn_ext.preprocessing._sequence_input import SequenceTransformerMixin

__all__ = ["SequenceScaler"]


def _has_columns(scaler):
    """Tell whether what is put out has columns with names: a matrix has, a tensor has not."""
    return getattr(scaler, "_fitted_on_matrix", True)


def _is_per_channel(scaler):
    return scaler.per == "channel"


class SequenceScaler(
    DocumentationLinkMixin, OneToOneFeatureMixin, SequenceTransformerMixin, BaseEstimator
):
    """Shift and scale sequences to zero mean and unit variance.

    Parameters
    ----------
    per : {"channel", "series"}, default="channel"
        "channel" takes one mean and one variance of each channel over all steps of all training
        sequences (each step counts once, so that longer sequences count more). "series" takes
        those of each channel of each sequence by itself, which keeps its shape only
        (z-normalisation); nothing is learned then.
    with_mean : bool, default=True
        Whether to subtract the mean.
    with_std : bool, default=True
        Whether to divide by the standard deviation. A channel that is constant is not scaled.
    axis_order : {"channels_last", "channels_first"}, default="channels_last"
        Whether tensors are (n_samples, n_timesteps, n_channels) or (n_samples, n_channels,
        n_timesteps), in and out; ragged arrays likewise.

    Attributes
    ----------
    mean_ : ndarray of shape (n_channels,) or None
        Mean of each channel; None for `per="series"` and without mean.
    scale_ : ndarray of shape (n_channels,) or None
        Standard deviation of each channel, 1 where it is constant; None for `per="series"` and
        without scaling.
    n_channels_ : int
        Number of channels.
    n_features_in_ : int
        Number of columns of a matrix, of channels otherwise.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where fit saw a data frame.

    See Also
    --------
    SequencePadder : Fill sequences up to one length.

    Notes
    -----
    A matrix (n_samples, n_timesteps) holds one channel, so its columns share one mean and one
    scale, unlike in :class:`~sklearn.preprocessing.StandardScaler`. Moments are summed up in
    double precision for every dtype.

    Examples
    --------
    >>> from sklearn_ext.preprocessing import SequenceScaler
    >>> scaler = SequenceScaler().fit([[1.0, 3.0, 5.0], [7.0]])
    >>> scaler.mean_
    array([4.])
    >>> SequenceScaler(per="series", with_std=False).fit_transform([[1.0, 3.0, 5.0], [7.0]])
    [array([-2.,  0.,  2.]), array([0.])]
    """

    _parameter_constraints: dict = {
        "per": [StrOptions({"channel", "series"})],
        "with_mean": ["boolean"],
        "with_std": ["boolean"],
        "axis_order": [StrOptions(set(AXIS_ORDERS))],
    }

    def __init__(self, *, per="channel", with_mean=True, with_std=True, axis_order="channels_last"):
        self.per = per
        self.with_mean = with_mean
        self.with_std = with_std
        self.axis_order = axis_order

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn mean and scale of each channel.

        Parameters
        ----------
        X : array-like of shape (n, T) or (n, T, n_channels), or sequence of n arrays
            Sequences. Each of the arrays is (T_i,) or (T_i, n_channels).
        y : None, default=None
            Not used.

        Returns
        -------
        self : object
            This scaler.
        """
        with all_or_nothing(self):
            sequences = self._read(X, reset=True)
            self.mean_ = self.scale_ = None
            if self.per == "channel":
                n_steps = np.array([len(sequences.values)])
                mean, scale = moments(sequences.values, n_steps)
                self.mean_ = mean[0] if self.with_mean else None
                self.scale_ = scale[0] if self.with_std else None
        return self

    def transform(self, X):
        """Scale sequences.

        Parameters
        ----------
        X : array-like of shape (n, T) or (n, T, n_channels), or sequence of n arrays
            Sequences.

        Returns
        -------
        scaled : ndarray or list of ndarray
            Of the form, lengths and dtype of X; a list for every kind of ragged input.
        """
        sequences = self._read(X)
        mean, scale = self.mean_, self.scale_
        if self.per == "series":
            mean, scale = moments(sequences.values, sequences.lengths)
            mean = np.repeat(mean, sequences.lengths, axis=0) if self.with_mean else None
            scale = np.repeat(scale, sequences.lengths, axis=0) if self.with_std else None
        values = sequences.values if mean is None else sequences.values - mean
        values = values if scale is None else values / scale
        # A copy also where nothing is to be done: what is put out may be written into.
        values = values.astype(sequences.values.dtype, copy=values is sequences.values)
        return replace(sequences, values=values).restored()

    @available_if(_is_per_channel)
    def inverse_transform(self, X):
        """Undo the scaling; for `per="channel"`.

        Parameters
        ----------
        X : array-like of shape (n, T) or (n, T, n_channels), or sequence of n arrays
            Scaled sequences.

        Returns
        -------
        sequences : ndarray or list of ndarray
            Of the form of X.
        """
        sequences = self._read(X)
        values = sequences.values
        values = values if self.scale_ is None else values * self.scale_
        values = values if self.mean_ is None else values + self.mean_
        values = values.astype(sequences.values.dtype, copy=values is sequences.values)
        return replace(sequences, values=values).restored()

    @available_if(_has_columns)
    def get_feature_names_out(self, input_features=None):
        """Name the columns put out: those of the matrix that fit saw.

        Parameters
        ----------
        input_features : array-like of shape (n_features,) of str, default=None
            Names of the columns. None takes those seen in fit, or x0, x1, ...

        Returns
        -------
        names : ndarray of shape (n_features,) of str
            Names. Tensors and ragged input have none, and then this method is absent.
        """
        return super().get_feature_names_out(input_features)


def moments(values, lengths):
    """Mean and standard deviation of consecutive blocks of rows.

    Parameters
    ----------
    values : ndarray of shape (sum of lengths, n_channels)
        Rows.
    lengths : ndarray of shape (n_blocks,)
        Rows of each block, at least 1.

    Returns
    -------
    mean : ndarray of shape (n_blocks, n_channels), float64
        Means.
    scale : ndarray of shape (n_blocks, n_channels), float64
        Standard deviations (divided by the count); 1 where they are no more than the rounding
        of a constant.
    """
    unit = _units(values)
    mean, scale = _plain_moments(np.asarray(values, dtype=np.float64) / unit, lengths)
    return mean * unit, np.where(scale > 0, scale * unit, 1.0)


def _units(values):
    """Powers of two near the largest magnitudes of columns: no square is too large or small."""
    return np.exp2(np.frexp(np.abs(values).max(axis=0).astype(np.float64))[1] - 1.0)


def _plain_moments(values, lengths):
    """Mean and standard deviation, 0 for a constant, of columns of moderate size."""
    starts, counts = np.cumsum(lengths) - lengths, lengths[:, None]
    mean = np.add.reduceat(values, starts, axis=0, dtype=np.float64) / counts
    centered = values - np.repeat(mean, lengths, axis=0)
    # The mean of the centred rows is the rounding error of the mean: take it out as well.
    slip = np.add.reduceat(centered, starts, axis=0) / counts
    variance = np.add.reduceat(centered**2, starts, axis=0) / counts - slip**2
    rounding = counts * np.finfo(np.float64).eps
    constant = variance <= rounding * variance + (rounding * mean) ** 2
    return mean, np.where(constant, 0.0, np.sqrt(np.maximum(variance, 0.0)))
