"""What is predicted in one go: rows of about the same length, so that little of it is padding."""

import numpy as np

__all__ = ["padded_parts"]


def padded_parts(lengths, most):
    """Row numbers in parts of bounded padded size, the shortest rows first.

    Parameters
    ----------
    lengths : ndarray of shape (n_rows,)
        Steps of each row.
    most : int
        Most steps of a part, each row counted as long as its longest.

    Returns
    -------
    parts : list of ndarray
        Row numbers; a row that is too long is a part of its own.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ext.neural_network._padded_parts import padded_parts
    >>> [part.tolist() for part in padded_parts(np.array([3, 9, 2, 4]), 8)]
    [[2, 0], [3], [1]]
    """
    order = np.argsort(lengths, kind="stable")
    parts, start = [], 0
    while start < len(order):
        # No longer part can be within the bound: its last row is its longest.
        sizes = np.arange(1, len(order) - start + 1) * lengths[order[start:]]
        size = max(1, int(np.searchsorted(sizes, most, side="right")))
        parts.append(order[start : start + size])
        start += size
    return parts
