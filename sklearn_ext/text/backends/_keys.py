"""Keys of vendors: read when they are needed, kept nowhere."""

import os
import re
from collections.abc import Callable

__all__ = ["KeySource", "read_key", "without_key"]

KeySource = str | Callable[[], str]

VARIABLE_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


def read_key(source: KeySource) -> str:
    """Read a key from the environment, or from the function that gives it.

    Parameters
    ----------
    source : str or callable
        NAME of an environment variable, or function without arguments that returns the key.

    Returns
    -------
    key : str
        The key.

    Raises
    ------
    ValueError
        If the variable is not set or the function gives nothing. A name that may be a key by
        mistake is not repeated in the message.

    Examples
    --------
    >>> from sklearn_ext.text.backends._keys import read_key
    >>> read_key(lambda: "from a vault")
    'from a vault'
    """
    key = source() if callable(source) else os.environ.get(source, "")
    if key:
        return key
    if callable(source):
        raise ValueError("The function passed as api_key_env returned no key.")
    shown = repr(source) if VARIABLE_NAME.fullmatch(source) else "(not shown: it may be a key)"
    raise ValueError(
        f"api_key_env must be the NAME of an environment variable that is set, got {shown}. Set "
        "that variable to the key, or pass a function that returns the key."
    )


def without_key(message: str, key: str | None) -> str:
    """Take a key out of a message that a server or a library wrote.

    Parameters
    ----------
    message : str
        Message to show.
    key : str or None
        Key that it may repeat.

    Returns
    -------
    message : str
        Message with ``***`` in place of the key.

    Examples
    --------
    >>> from sklearn_ext.text.backends._keys import without_key
    >>> without_key("The key 123 is wrong.", "123")
    'The key *** is wrong.'
    """
    return message.replace(key, "***") if key else message
