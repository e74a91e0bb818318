"""Sequences of unequal length as one tensor, and back."""

from dataclasses import replace
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator

from sklearn_ext._documentation import DocumentationLinkMixin
from sklearn_ext._sequence_values import AXIS_ORDERS, oriented
from sklearn_ext._sequences import check_channels, read_sequences
from sklearn_ext._validation import (
    Interval,
    StrOptions,
    _fit_context,
    all_or_nothing,
    check_is_fitted,
)
from sklearn_ext.preprocessing._sequence_input import SequenceTransformerMixin

__all__ = ["SequencePadder"]


class SequencePadder(DocumentationLinkMixin, SequenceTransformerMixin, BaseEstimator):
    """Fill sequences of unequal length up to one tensor.

    With the default padding, NaN, the tensor says itself where each sequence ends: the
    estimators of this library read it, and `inverse_transform` undoes it without being told the
    lengths.

    Parameters
    ----------
    n_timesteps : int, {"fit"} or None, default=None
        Length of the tensor. None pads each batch to its own longest sequence, "fit" to the
        longest one seen in fit, for estimators that need one number of columns.
    truncate : {"start", "end"} or None, default=None
        Which end of a sequence longer than that is cut off. None raises an error.
    padding_value : float or None, default=None
        What is written after the end of a sequence; None writes NaN.
    axis_order : {"channels_last", "channels_first"}, default="channels_last"
        Whether tensors are (n_samples, n_timesteps, n_channels) or (n_samples, n_channels,
        n_timesteps), in and out; ragged arrays likewise.

    Attributes
    ----------
    longest_ : int
        Length of the longest sequence seen in fit.
    n_channels_ : int
        Number of channels.
    n_features_in_ : int
        Number of columns of a matrix, of channels otherwise.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where fit saw a data frame.

    See Also
    --------
    SequenceScaler : Put sequences on one scale.
    SlidingWindow : Cut long series into windows.

    Examples
    --------
    >>> from sklearn_ext.preprocessing import SequencePadder
    >>> X = [[[1.0, 10.0], [2.0, 20.0]], [[3.0, 30.0]]]
    >>> padder = SequencePadder().fit(X)
    >>> padded = padder.transform(X)
    >>> padded.shape
    (2, 2, 2)
    >>> padded[1]
    array([[ 3., 30.],
           [nan, nan]])
    >>> padder.get_lengths(X)
    array([2, 1])
    >>> padder.inverse_transform(padded)[1]
    array([[ 3., 30.]])
    """

    _parameter_constraints: dict = {
        "n_timesteps": [Interval(Integral, 1, None, closed="left"), StrOptions({"fit"}), None],
        "truncate": [StrOptions({"start", "end"}), None],
        "padding_value": [Real, None],
        "axis_order": [StrOptions(set(AXIS_ORDERS))],
    }

    def __init__(
        self,
        *,
        n_timesteps=None,
        truncate=None,
        padding_value=None,
        axis_order="channels_last",
    ):
        self.n_timesteps = n_timesteps
        self.truncate = truncate
        self.padding_value = padding_value
        self.axis_order = axis_order

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn the number of channels and the longest length.

        Parameters
        ----------
        X : array-like of shape (n, T) or (n, T, n_channels), or sequence of n arrays
            Sequences. Each of the arrays is (T_i,) or (T_i, n_channels).
        y : None, default=None
            Not used.

        Returns
        -------
        self : object
            This padder.
        """
        with all_or_nothing(self):
            sequences = self._read(X, reset=True)
            self.longest_ = int(sequences.lengths.max())
            self._one_dimensional = sequences.one_dimensional or self._fitted_on_matrix
        return self

    def transform(self, X):
        """Pad sequences.

        Parameters
        ----------
        X : array-like of shape (n, T) or (n, T, n_channels), or sequence of n arrays
            Sequences.

        Returns
        -------
        padded : ndarray of shape (n, n_timesteps, n_channels)
            A new array of the dtype of X; (n, n_channels, n_timesteps) for channels first.
        """
        sequences = self._read(X)
        length = self._target_length(sequences)
        too_long = np.flatnonzero(sequences.lengths > length)
        if len(too_long) and self.truncate is None:
            raise ValueError(
                f"Sample {too_long[0]} has {sequences.lengths[too_long[0]]} steps, more than "
                f"{length} (n_timesteps={self.n_timesteps!r}). Set truncate='end' or 'start' to "
                "cut such sequences, or n_timesteps=None."
            )
        if len(too_long):
            sequences = truncated(sequences, length, self.truncate)
        return oriented(sequences.padded(length, fill=self._fill), self.axis_order)

    def inverse_transform(self, X, lengths=None):
        """Take the padding away.

        Parameters
        ----------
        X : array-like of shape (n, n_timesteps, n_channels)
            Padded sequences; (n, n_channels, n_timesteps) for channels first.
        lengths : array-like of shape (n,), default=None
            Number of steps of each sequence, as `get_lengths` returns them. None takes the steps
            before trailing NaN; it is an error where `padding_value` is another one.

        Returns
        -------
        sequences : list of ndarray
            Arrays of shape (T_i, n_channels), or (T_i,) where fit saw a matrix or arrays of that
            shape.
        """
        check_is_fitted(self)
        if lengths is None and not np.isnan(self._fill):
            raise ValueError(
                f"lengths must be given: with padding_value={self.padding_value!r} the end of a "
                "sequence cannot be told from its values."
            )
        if lengths is not None:
            X = _cut(X, lengths, self.axis_order)
        found = read_sequences(X, axis_order=self.axis_order)
        check_channels(self, found)
        return replace(found, form="ragged", one_dimensional=self._one_dimensional).restored()

    def get_lengths(self, X):
        """Count the steps of each sequence.

        Parameters
        ----------
        X : array-like of shape (n, T) or (n, T, n_channels), or sequence of n arrays
            Sequences, padded or not.

        Returns
        -------
        lengths : ndarray of shape (n,), int64
            Steps before the padding and before truncation.
        """
        return self._read(X).lengths

    @property
    def _fill(self):
        return np.nan if self.padding_value is None else self.padding_value

    def _target_length(self, sequences):
        if self.n_timesteps is None:
            return int(sequences.lengths.max())
        return self.longest_ if self.n_timesteps == "fit" else self.n_timesteps


def truncated(sequences, length, end):
    """Cut the start or the end of sequences that have more steps than `length`."""
    excess = np.maximum(sequences.lengths - length, 0)
    step = np.arange(len(sequences.values)) - np.repeat(sequences.starts, sequences.lengths)
    first = np.repeat(excess if end == "start" else np.zeros_like(excess), sequences.lengths)
    kept = (step >= first) & (step < first + length)
    lengths = sequences.lengths - excess
    return replace(sequences, values=sequences.values[kept], lengths=lengths)


def _cut(X, lengths, axis_order):
    """Cut each sample of a tensor to its length; a list of arrays in the caller's order."""
    X = oriented(np.asarray(X), axis_order)
    lengths = np.asarray(lengths)
    if X.ndim != 3:
        raise ValueError(f"Expected 3D array, got {X.ndim}D array instead.")
    if lengths.shape != X.shape[:1] or lengths.dtype.kind not in "iu":
        raise ValueError(
            f"lengths must be {len(X)} integers, one for each sample of X, got an array of "
            f"{lengths.dtype} of shape {lengths.shape}."
        )
    if lengths.min() < 1 or lengths.max() > X.shape[1]:
        raise ValueError(
            f"lengths must lie between 1 and {X.shape[1]}, the number of time steps of X, got "
            f"{lengths.min()} to {lengths.max()}."
        )
    return [oriented(x[:length], axis_order) for x, length in zip(X, lengths, strict=True)]
