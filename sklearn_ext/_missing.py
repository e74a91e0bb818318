"""What counts as missing in a cell of any kind."""

from numbers import Number

import numpy as np

__all__ = ["is_missing"]


def is_missing(cell: object) -> bool:
    """Tell None, NaN of any type, NaT and pandas.NA, without an import of pandas.

    Parameters
    ----------
    cell : object
        What stands in one place of a table or a list.

    Returns
    -------
    missing : bool
        False for texts, whatever they say: ``"<NA>"`` is a text, as it is for pandas.

    Examples
    --------
    >>> from sklearn_ext._missing import is_missing
    >>> [is_missing(cell) for cell in (None, float("nan"), 0.0, "", "nan")]
    [True, True, False, False, False]
    """
    if isinstance(cell, str):  # the usual case, told quickly
        return False
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):  # NA cannot be compared
        return True
    return isinstance(cell, Number | np.generic) and bool(cell != cell)
