"""Reference summaries among the many things that a target can be."""

import statistics

from sklearn_ext._missing import is_missing
from sklearn_ext.text._text_table import is_one_dimensional, read_texts

__all__ = ["are_summaries", "reference_texts"]

# Labels are short and repeat; summaries are neither.
SHORTEST_MEDIAN = 10  # characters: few enough for a Korean or Japanese headline
LEAST_SHARE_OF_DISTINCT = 0.5


def reference_texts(y, learn):
    """List reference summaries if a target holds such.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or None
        Target of a fit: summaries, but also labels where the summarizer is a step of a
        classifier's pipeline.
    learn : bool or "auto"
        Whether y holds summaries; "auto" looks at it.

    Returns
    -------
    summaries : list of str or None
        The summaries; None where there is nothing to learn from.

    Raises
    ------
    ValueError
        If `learn` is True and y holds no texts.

    Examples
    --------
    >>> from sklearn_ext.text._references import reference_texts
    >>> reference_texts(["sports", "politics"], "auto") is None
    True
    >>> reference_texts(["The home team won.", "A law was passed."], "auto")
    ['The home team won.', 'A law was passed.']
    """
    if learn is False or (y is None and learn == "auto"):
        return None
    holds_texts = y is not None and is_one_dimensional(y)
    if learn is True and not holds_texts:
        raise ValueError("learn=True needs y, a sequence of reference summaries (str).")
    if not holds_texts:
        return None
    if learn == "auto" and not are_summaries(y):
        return None
    return read_texts(y, name="y")


def are_summaries(y):
    """Tell summaries from labels by their lengths and repetitions.

    Parameters
    ----------
    y : sequence of n_samples values
        Target of a fit.

    Returns
    -------
    answer : bool
        Whether all that are not missing are texts, half of them have 10 characters or more, and
        half or more are different from each other.

    Examples
    --------
    >>> from sklearn_ext.text._references import are_summaries
    >>> are_summaries(["a positive review", "a negative review"] * 5)
    False
    """
    values = [value for value in y if not is_missing(value)]
    if not values or not all(isinstance(value, str) for value in values):
        return False
    is_long = statistics.median(map(len, values)) >= SHORTEST_MEDIAN
    return is_long and len(set(values)) >= LEAST_SHARE_OF_DISTINCT * len(values)
