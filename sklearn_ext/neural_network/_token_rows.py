"""Texts as tokens: what a net for texts is trained on and asked for."""

from dataclasses import dataclass, replace

import numpy as np

__all__ = ["TokenRows", "windows_of"]

UNCOUNTED = -1  # as in :mod:`sklearn_ext._torch.likelihood`


@dataclass(frozen=True)
class TokenRows:
    """Token sequences, one after another in one array.

    Attributes
    ----------
    values : ndarray of shape (sum of lengths, ...)
        Tokens, or pairs of a token and its counted successor, int64.
    lengths : ndarray of shape (n_rows,)
        Number of tokens of each row, int64.
    owners : ndarray of shape (n_rows,)
        Number of the text that each row is of.
    dtype : numpy.dtype
        Precision of what is predicted for them.
    """

    values: np.ndarray
    lengths: np.ndarray
    owners: np.ndarray
    dtype: np.dtype

    @classmethod
    def from_list(cls, sequences, dtype, owners=None):
        """Join arrays of tokens."""
        lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
        owners = np.arange(len(lengths)) if owners is None else np.asarray(owners)
        return cls(np.concatenate(sequences), lengths, owners, dtype)

    def __len__(self):
        return len(self.lengths)

    def __getitem__(self, rows):
        """Take the rows of a slice, a mask or row numbers."""
        rows = np.arange(len(self))[rows]
        ends = self.lengths.cumsum()
        steps = [np.arange(ends[row] - self.lengths[row], ends[row]) for row in rows]
        steps = np.concatenate(steps) if len(steps) else np.arange(0)
        return replace(
            self,
            values=self.values[steps],
            lengths=self.lengths[rows],
            owners=self.owners[rows],
        )

    @property
    def counts(self):
        """Number of counted successors of each row."""
        counted = np.concatenate([[0], (self.values[:, 1] != UNCOUNTED).cumsum()])
        ends = self.lengths.cumsum()
        return counted[ends] - counted[ends - self.lengths]

    def of_texts(self, values, n_texts):
        """Add up what belongs to the rows of each text."""
        return np.bincount(self.owners, weights=values, minlength=n_texts)

    def as_ragged(self):
        """Make tensors, padded with -1 where a batch needs it."""
        import torch

        from sklearn_ext._torch.batches import Ragged

        values, lengths = np.array(self.values), np.array(self.lengths)
        return Ragged(torch.from_numpy(values), torch.from_numpy(lengths), UNCOUNTED)


def windows_of(prompt, text, start, end, longest):
    """Cut a text into windows in which each of its tokens is predicted once.

    Parameters
    ----------
    prompt : ndarray of shape (n_prompt,)
        Tokens in front of the text, which are not predicted.
    text : ndarray of shape (n_text,)
        Tokens of the text; its end is predicted too.
    start, end : int
        Tokens of both ends.
    longest : int
        Most tokens of a window. The windows begin at every multiple of half of that, so each
        token is predicted from all before it, of which a long text shows at least half a window.

    Returns
    -------
    windows : list of ndarray of shape (n, 2)
        Tokens and their successors, -1 where these are not predicted in the window.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ext.neural_network._token_rows import windows_of
    >>> for window in windows_of(np.array([7]), np.array([1, 2, 3]), 0, 0, 4):
    ...     window.T.tolist()
    [[0, 7, 1, 2], [-1, 1, 2, 3]]
    [[1, 2, 3], [-1, -1, 0]]
    """
    tokens = np.concatenate([[start], prompt, text, [end]]).astype(np.int64)
    pairs = np.column_stack([tokens[:-1], tokens[1:]])
    pairs[: len(prompt), 1] = UNCOUNTED
    stride = max(1, longest // 2)
    n_windows = 1 + max(0, -(-(len(pairs) - longest) // stride))
    windows = []
    for number in range(n_windows):
        window = pairs[number * stride : number * stride + longest].copy()
        if number:
            window[: longest - stride, 1] = UNCOUNTED
        if (window[:, 1] != UNCOUNTED).any():  # not all of it is prompt
            windows.append(window)
    return windows
