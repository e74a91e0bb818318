"""Sequences of any lengths in one internal form."""

from dataclasses import dataclass, replace

import numpy as np

__all__ = ["AXIS_ORDERS", "Sequences", "check_finite", "oriented"]

AXIS_ORDERS = ("channels_last", "channels_first")


@dataclass(frozen=True)
class Sequences:
    """Sequences of any lengths, one after another in one array.

    Attributes
    ----------
    values : ndarray of shape (sum of lengths, n_channels), float32 or float64
        Steps of all sequences, all finite. It may be a view of the caller's array: never write
        into it.
    lengths : ndarray of shape (n_sequences,), int64
        Number of steps of each, at least 1.
    form : {"matrix", "tensor", "ragged"}
        How they were given: (n, T), (n, T, n_channels), or one array for each.
    n_timesteps : int
        Steps of the longest; for a tensor the size of its time axis, padding included.
    axis_order : {"channels_last", "channels_first"}
        Order of the caller's axes. `values` always has channels last.
    one_dimensional : bool
        Whether each of the ragged arrays was given as (T_i,) without an axis of channels.

    Examples
    --------
    >>> from sklearn_ext._sequences import read_sequences
    >>> found = read_sequences([[1.0, 2.0, 3.0], [4.0]])
    >>> found.values.ravel(), found.lengths, found.form
    (array([1., 2., 3., 4.]), array([3, 1]), 'ragged')
    >>> found.padded(fill=0.0)[:, :, 0]
    array([[1., 2., 3.],
           [4., 0., 0.]])
    """

    values: np.ndarray
    lengths: np.ndarray
    form: str
    n_timesteps: int
    axis_order: str = "channels_last"
    one_dimensional: bool = False

    def __len__(self):
        return len(self.lengths)

    def __getitem__(self, index):
        """Select sequences by a slice, a mask or row numbers."""
        chosen = np.arange(len(self))[index]
        lengths = self.lengths[chosen]
        offsets = np.repeat(self.starts[chosen] - (np.cumsum(lengths) - lengths), lengths)
        values = self.values[offsets + np.arange(len(offsets))]
        return replace(self, values=values, lengths=lengths)

    @property
    def dtype(self):
        """Precision of the values."""
        return self.values.dtype

    @property
    def n_channels(self):
        """Number of channels."""
        return self.values.shape[1]

    @property
    def n_features(self):
        """What scikit-learn counts: the columns of a matrix, else the channels."""
        return self.n_timesteps if self.form == "matrix" else self.n_channels

    @property
    def starts(self):
        """Row of `values` at which each sequence begins, (n_sequences,)."""
        return np.cumsum(self.lengths) - self.lengths

    def as_list(self):
        """Views of the sequences, a list of arrays of shape (length_i, n_channels)."""
        return np.split(self.values, self.starts[1:])

    def padded(self, n_timesteps=None, *, fill=np.nan):
        """Fill the sequences up to one length.

        Parameters
        ----------
        n_timesteps : int, default=None
            Length; None takes `n_timesteps`. Not below the longest sequence.
        fill : float, default=nan
            Value of the steps after the end of a sequence.

        Returns
        -------
        tensor : ndarray of shape (n_sequences, n_timesteps, n_channels)
            A new array.
        """
        n_timesteps = self.n_timesteps if n_timesteps is None else n_timesteps
        tensor = np.full((len(self), n_timesteps, self.n_channels), fill, self.values.dtype)
        tensor[np.arange(n_timesteps) < self.lengths[:, None]] = self.values
        return tensor

    def restored(self):
        """Give the sequences back in the form in which they came.

        Returns
        -------
        X : ndarray or list of ndarray
            (n, T) for a matrix, a tensor with NaN as padding for a tensor, a list for ragged.
        """
        if self.form == "matrix":
            return self.values.reshape(len(self), -1)
        if self.form == "tensor":
            return oriented(self.padded(), self.axis_order)
        if self.one_dimensional and self.n_channels == 1:
            return [steps[:, 0] for steps in self.as_list()]
        return [oriented(steps, self.axis_order) for steps in self.as_list()]


def oriented(array, axis_order):
    """Move the channels from the last axis to where `axis_order` wants them, or back."""
    return array if axis_order == "channels_last" else np.swapaxes(array, -1, -2)


def check_finite(sequences, input_name):
    """Raise a ValueError that names the first sample and step that is NaN or infinite."""
    values = sequences.values
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):  # no array of its size is made in the usual case
            return
    wrong = ~np.isfinite(values)
    if not wrong.any():  # the sum alone was too large
        return
    row, channel = np.argwhere(wrong)[0]
    sample = int(np.searchsorted(np.cumsum(sequences.lengths), row, side="right"))
    place = f"sample {sample}, step {row - sequences.starts[sample]}, channel {channel}"
    if np.isnan(values[row, channel]):
        raise ValueError(
            f"Input {input_name} contains NaN: {place}. Impute it or remove it. Only the last "
            "steps of a 3-D array may be NaN, in all channels: they are padding."
        )
    raise ValueError(
        f"Input {input_name} contains infinity or a value too large for {values.dtype!r}: {place}."
    )
