"""Docstrings of estimators, put together from entries that are written once."""

import inspect
import re
from string import Template

__all__ = ["by_name", "documented"]


def documented(parameters, *, attributes, notes, **words):
    """Make a decorator of a class that fills in the sections of its docstring.

    Parameters
    ----------
    parameters : str
        Entries of parameters, in any order; of several of one name the last counts. Those of
        ``__init__``, in its order, take the place of ``<parameters>``.
    attributes, notes : str
        Take the places of ``<attributes>`` and ``<notes>``.
    **words : str
        Take the places of ``$word`` in all of these.

    Returns
    -------
    decorator : callable
        Takes the class.
    """

    def fill(cls):
        if cls.__doc__ is None:  # python -OO takes docstrings away
            return cls
        entries = by_name(parameters)
        _, *names = inspect.signature(cls.__init__).parameters  # without self
        listed = "".join(entries[name] for name in names)
        for section, text in (("parameters", listed), ("attributes", attributes), ("notes", notes)):
            filled = Template(text).substitute(words)
            cls.__doc__ = cls.__doc__.replace(f"    <{section}>\n", filled)
        return cls

    return fill


def by_name(text):
    """Entries of a section by their name: each begins with four blanks, its name and a colon."""
    parts = re.split(r"^(?=    \w+ : )", text, flags=re.MULTILINE)
    return {part.split()[0]: part for part in parts if part}
