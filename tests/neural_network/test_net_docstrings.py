"""Docstrings put together from shared entries: order, precedence and words."""

import pytest

from sklearn_ext.neural_network._docstrings import documented

SHARED = """\
    size : int
        Size of $things.
    speed : float
        Speed,
        in two lines.
"""


def two_parameters():
    class TwoParameters:
        """Two of them.

        Parameters
        ----------
        <parameters>

        Attributes
        ----------
        <attributes>
        """

        def __init__(self, speed, *, size):
            pass

    # As indented as the docstring of a class of a module is.
    TwoParameters.__doc__ = TwoParameters.__doc__.replace("        ", "    ")
    return TwoParameters


def entries_of(cls, section):
    text = cls.__doc__.split(f"{section}\n    ----------\n")[1]
    return text.split("\n\n")[0].rstrip()


def test_entries_come_in_the_order_of_init():
    cls = documented(SHARED, attributes="", notes="", things="nets")(two_parameters())
    assert entries_of(cls, "Parameters") == (
        "    speed : float\n        Speed,\n        in two lines.\n"
        "    size : int\n        Size of nets."
    )


def test_the_last_entry_of_a_name_counts():
    own = SHARED + "    size : float\n        Another.\n"
    cls = documented(own, attributes="", notes="", things="nets")(two_parameters())
    assert entries_of(cls, "Parameters").endswith("    size : float\n        Another.")


def test_words_are_filled_in_everywhere():
    attributes = "    found_ : list\n        All $things.\n"
    cls = documented(SHARED, attributes=attributes, notes="", things="nets")(two_parameters())
    assert entries_of(cls, "Attributes") == "    found_ : list\n        All nets."


@pytest.mark.parametrize(
    ("parameters", "words", "missing"),
    [(SHARED, {}, "things"), ("    size : int\n        Size.\n", {"things": "nets"}, "speed")],
)
def test_what_is_missing_is_an_error(parameters, words, missing):
    with pytest.raises(KeyError, match=missing):
        documented(parameters, attributes="", notes="", **words)(two_parameters())
