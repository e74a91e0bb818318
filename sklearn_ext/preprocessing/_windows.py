"""Windows of long series: as frames of the same series, and as samples with targets."""

from dataclasses import replace
from numbers import Integral
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from sklearn_ext._documentation import DocumentationLinkMixin
from sklearn_ext._missing import is_missing
from sklearn_ext._sequence_values import AXIS_ORDERS, oriented
from sklearn_ext._sequences import read_sequences
from sklearn_ext._validation import (
    Interval,
    StrOptions,
    _fit_context,
    all_or_nothing,
)
from sklearn_ext.preprocessing._sequence_input import SequenceTransformerMixin

__all__ = ["SlidingWindow", "WindowSamples"]

SEVERAL_CHANNELS = (
    "A matrix is n series of one channel; one series of several channels is given as [X]."
)


class WindowSamples(NamedTuple):
    """Windows as samples, with their targets; made by :meth:`SlidingWindow.make_samples`.

    Parameters
    ----------
    X : ndarray of shape (n_windows, window, n_channels)
        Windows, those of the first series first, each series in the order of time.
    y : ndarray of shape (n_windows,) or (n_windows, n_steps * n_targets)
        Targets; of several, all targets of the first step come first.
    groups : ndarray of shape (n_windows,), int64
        Number of the series that each window is from, as `GroupKFold` wants it.
    ends : ndarray of shape (n_windows,), int64
        Step of the series that is the last one of each window.

    Examples
    --------
    >>> from sklearn_ext.preprocessing import SlidingWindow
    >>> samples = SlidingWindow(2).make_samples([1.0, 2.0, 3.0, 4.0])
    >>> samples.y, samples.groups, samples.ends
    (array([3., 4.]), array([0, 0]), array([1, 2]))
    """

    X: np.ndarray
    y: np.ndarray
    groups: np.ndarray
    ends: np.ndarray


class SlidingWindow(DocumentationLinkMixin, SequenceTransformerMixin, BaseEstimator):
    """Cut long series into windows.

    There are two uses. :meth:`transform` keeps the number of samples, so that it can stand in a
    pipeline: each series becomes a sequence of windows, whose channels are the values in the
    window (a lag matrix, or frames of a signal when `stride` equals `window`); a recurrent net
    behind it has `stride` times fewer steps to remember. :meth:`make_samples` makes each window
    a sample of its own, with what follows it as the target: regression on windows, forecasting.

    Parameters
    ----------
    window : int, default=2
        Number of steps in a window.
    stride : int, default=1
        Steps from the start of one window to that of the next. Steps at the end that do not fill
        a window are left out.
    horizon : int, default=1
        Number of steps after the window that are targets of :meth:`make_samples`. 0 takes the
        window's own last step, for a target series that is measured along with X.
    gap : int, default=0
        Steps between the end of the window and the first target.
    target_channels : int, sequence of int or None, default=None
        Channels that are targets; None takes all.
    axis_order : {"channels_last", "channels_first"}, default="channels_last"
        Whether tensors are (n_samples, n_timesteps, n_channels) or (n_samples, n_channels,
        n_timesteps), in and out; ragged arrays likewise.

    Attributes
    ----------
    n_channels_ : int
        Number of channels.
    n_features_in_ : int
        Number of columns of a matrix, of channels otherwise.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where fit saw a data frame.

    See Also
    --------
    sklearn.model_selection.TimeSeriesSplit : Split windows of one series without looking ahead.
    sklearn.model_selection.GroupKFold : Split windows of many series by `groups`.

    Examples
    --------
    >>> from sklearn_ext.preprocessing import SlidingWindow
    >>> SlidingWindow(3, stride=2).fit_transform([[1.0, 2.0, 3.0, 4.0, 5.0]])
    array([[[1., 2., 3.],
            [3., 4., 5.]]])

    One series, windows of three steps, the two steps after each as targets:

    >>> series = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    >>> forecast = SlidingWindow(3, horizon=2)
    >>> X, y, groups, ends = forecast.make_samples(series)
    >>> X[:, :, 0]
    array([[1., 2., 3.],
           [2., 3., 4.]])
    >>> y
    array([[4., 5.],
           [5., 6.]])

    The window from which the steps after the end are forecast:

    >>> forecast.last_windows(series)[:, :, 0]
    array([[4., 5., 6.]])
    """

    _parameter_constraints: dict = {
        "window": [Interval(Integral, 1, None, closed="left")],
        "stride": [Interval(Integral, 1, None, closed="left")],
        "horizon": [Interval(Integral, 0, None, closed="left")],
        "gap": [Interval(Integral, 0, None, closed="left")],
        "target_channels": [Integral, "array-like", None],
        "axis_order": [StrOptions(set(AXIS_ORDERS))],
    }

    def __init__(
        self,
        window=2,
        *,
        stride=1,
        horizon=1,
        gap=0,
        target_channels=None,
        axis_order="channels_last",
    ):
        self.window = window
        self.stride = stride
        self.horizon = horizon
        self.gap = gap
        self.target_channels = target_channels
        self.axis_order = axis_order

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn the number of channels.

        Parameters
        ----------
        X : array-like of shape (n, T) or (n, T, n_channels), or sequence of n arrays
            Series of at least `window` steps. Each of the arrays is (T_i,) or (T_i, n_channels).
        y : None, default=None
            Not used.

        Returns
        -------
        self : object
            This estimator.
        """
        with all_or_nothing(self):
            self._read(X, reset=True, min_timesteps=self.window)
        return self

    def transform(self, X):
        """Make each series a sequence of windows.

        Parameters
        ----------
        X : array-like of shape (n, T) or (n, T, n_channels), or sequence of n arrays
            Series of at least `window` steps.

        Returns
        -------
        frames : ndarray of shape (n, n_windows, window * n_channels) or list of ndarray
            Windows; of each, all channels of its first step come first. Ragged series become a
            list of arrays of shape (n_windows_i, window * n_channels).
        """
        sequences = self._read(X, min_timesteps=self.window)
        groups, offsets = placements(sequences.lengths, self.window, self.stride)
        windows = self._gather(sequences, groups, offsets)
        return replace(
            sequences,
            values=windows.reshape(len(windows), -1),
            lengths=np.bincount(groups),
            form="ragged" if sequences.form == "ragged" else "tensor",
            n_timesteps=(sequences.n_timesteps - self.window) // self.stride + 1,
            one_dimensional=False,
        ).restored()

    def make_samples(self, X, y=None):
        """Make each window a sample, and what follows it the target.

        Needs no fit: nothing is learned.

        Parameters
        ----------
        X : array-like of shape (T,), (n, T) or (n, T, n_channels), or sequence of n arrays
            One series of one channel, or several series. Series that are too short for one window
            and its target give none. A matrix or a data frame of numbers is n series of one
            channel; one series of several channels, (T, n_channels), is given as ``[series]``, a
            frame as ``[frame]``.
        y : array-like of the same kind, default=None
            Series of targets with as many steps as X, of any number of channels: numbers, or
            labels, which may be texts. None takes the targets from X itself.

        Returns
        -------
        samples : WindowSamples
            Tuple of windows `X`, targets `y`, `groups` and `ends`. Integers and texts in y stay
            what they are.
        """
        self._validate_params()
        sequences = read_sequences(_as_panel(X), axis_order=self.axis_order)
        targets = self._read_targets(sequences, y)
        ahead = np.arange(self.gap + 1, self.gap + self.horizon + 1) if self.horizon else [0]
        reach = ahead[-1]
        groups, offsets = placements(sequences.lengths, self.window, self.stride, reach)
        if not len(groups):
            raise ValueError(
                f"No window fits: window={self.window}, gap={self.gap} and "
                f"horizon={self.horizon} need {self.window + reach} steps, the longest series "
                f"has {sequences.lengths.max()}. {SEVERAL_CHANNELS}"
            )
        ends = offsets + self.window - 1
        y = targets.values[(targets.starts[groups] + ends)[:, None] + ahead]
        y = y.reshape(len(y), -1)
        windows = oriented(self._gather(sequences, groups, offsets), self.axis_order)
        return WindowSamples(windows, y[:, 0] if y.shape[1] == 1 else y, groups, ends)

    def last_windows(self, X):
        """Take the last window of each series: what a forecast of its future starts from.

        Needs no fit: nothing is learned.

        Parameters
        ----------
        X : array-like of shape (T,), (n, T) or (n, T, n_channels), or sequence of n arrays
            Series of at least `window` steps.

        Returns
        -------
        windows : ndarray of shape (n, window, n_channels)
            Their last `window` steps; (n, n_channels, window) for channels first.
        """
        self._validate_params()
        sequences = read_sequences(_as_panel(X), axis_order=self.axis_order)
        short = np.flatnonzero(sequences.lengths < self.window)
        if len(short):
            raise ValueError(
                f"Sample {short[0]} has {sequences.lengths[short[0]]} step(s) while window="
                f"{self.window} needs as many. {SEVERAL_CHANNELS}"
            )
        last = np.stack([steps[-self.window :] for steps in sequences.as_list()])
        return oriented(last, self.axis_order)

    def _gather(self, sequences, groups, offsets):
        """Copy out windows, (n_windows, window, n_channels)."""
        rows = sequences.starts[groups] + offsets
        return sequences.values[rows[:, None] + np.arange(self.window)]

    def _read_targets(self, sequences, y):
        if self.horizon == 0 and self.gap:
            raise ValueError(f"gap must be 0 where horizon is 0, got gap={self.gap}.")
        if self.horizon == 0 and y is None:
            raise ValueError("horizon=0 needs y: the last step of a window is no target for it.")
        targets, labels = sequences, None
        if y is not None:
            labels, y = _coded(_as_panel(y))
            targets = read_sequences(y, axis_order=self.axis_order, input_name="y")
            _check_same_lengths(sequences.lengths, targets.lengths)
        values = targets.values[:, self._chosen(targets.n_channels)]
        return replace(targets, values=values if labels is None else labels[values.astype(int)])

    def _chosen(self, n_channels):
        if self.target_channels is None:
            return slice(None)
        chosen = np.atleast_1d(self.target_channels)
        are_numbers = chosen.dtype.kind in "iu" and chosen.ndim == 1
        if not are_numbers or not ((chosen >= 0) & (chosen < n_channels)).all():
            raise ValueError(
                f"target_channels must be integers from 0 to {n_channels - 1}, channels, got "
                f"{self.target_channels!r}."
            )
        return chosen


def placements(lengths, window, stride, reach=0):
    """Place windows on series.

    Parameters
    ----------
    lengths : ndarray of shape (n,)
        Number of steps of each series.
    window : int
        Steps of a window.
    stride : int
        Steps from one window to the next.
    reach : int, default=0
        Steps after a window that must lie inside the series as well.

    Returns
    -------
    groups : ndarray of shape (n_windows,), int64
        Number of the series of each window.
    offsets : ndarray of shape (n_windows,), int64
        Step of its series at which each window begins.
    """
    counts = np.maximum((lengths - window - reach) // stride + 1, 0)
    groups = np.repeat(np.arange(len(lengths)), counts)
    firsts = np.cumsum(counts) - counts
    return groups, stride * (np.arange(len(groups)) - firsts[groups])


def _as_panel(X):
    """Take a one-dimensional series for a panel of one."""
    if isinstance(X, list | tuple):
        is_series = len(X) > 0 and all(map(_is_one_value, X))
    else:
        array = np.asarray(X)
        is_series = array.ndim == 1 and (array.dtype != object or all(map(_is_one_value, array)))
    return np.asarray(X)[None] if is_series else X


def _is_one_value(value):
    return np.isscalar(value) or is_missing(value)


def _coded(y):
    """Labels, and series of their numbers; None and y itself where it holds other numbers.

    Sequences hold floats, so integers and texts are read by their numbers.
    """
    rows = y if isinstance(y, list | tuple) else np.atleast_1d(np.asarray(y))
    rows = [np.asarray(row) for row in rows]
    are_integers = all(row.dtype.kind in "iub" for row in rows)
    if not rows or not (are_integers or all(map(_are_texts, rows))):
        return None, y
    labels, codes = np.unique(np.concatenate([row.ravel() for row in rows]), return_inverse=True)
    parts = np.split(codes, np.cumsum([row.size for row in rows])[:-1])
    return labels, [part.reshape(row.shape) for part, row in zip(parts, rows, strict=True)]


def _are_texts(array):
    """Whether an array holds texts only."""
    if array.dtype.kind == "O":
        return array.size > 0 and all(isinstance(value, str) for value in array.flat)
    return array.dtype.kind == "U"


def _check_same_lengths(first, second):
    if len(first) != len(second):
        raise ValueError(f"X has {len(first)} series, but y has {len(second)}.")
    other = np.flatnonzero(first != second)
    if len(other):
        raise ValueError(
            f"X and y must have the same number of steps: series {other[0]} has "
            f"{first[other[0]]} in X and {second[other[0]]} in y."
        )
