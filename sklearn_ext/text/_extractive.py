"""Summaries made of the text's own sentences, within limits that always hold."""

import re

import numpy as np

from sklearn_ext.text._limits import Limits, truncate
from sklearn_ext.text._ranking import to_unit_range
from sklearn_ext.text._salience import describe, focus_relevance, salience
from sklearn_ext.text._selection import select
from sklearn_ext.text._sentences import split_sentences
from sklearn_ext.text._trained_ranker import SentenceRanker

__all__ = ["Limits", "SentenceRanker", "extract", "truncate"]

# What a reader asks for outweighs what the text itself stresses.
FOCUS_WEIGHT = 2.0
LINE_BREAK = re.compile(r"\s*[\r\n\v\f\x85\u2028\u2029]\s*")
UNSPACED_END = tuple("。！？｡．」』）")


def extract(text, limits, *, focus=None, language="auto", ranker=None):
    """Summarise a text by its own sentences, in their order.

    Parameters
    ----------
    text : str
        Text in any script.
    limits : Limits
        They always hold; without any limit the whole text is its summary.
    focus : str or None, default=None
        What the summary shall be about: sentences like it are preferred.
    language : str, default="auto"
        Code of the language, for the sentence splitter.
    ranker : SentenceRanker or None, default=None
        Fitted ranker; None ranks without training.

    Returns
    -------
    str
        Summary; "" for a text without sentences. The same input gives the same summary.

    Examples
    --------
    >>> from sklearn_ext.text._extractive import Limits, extract
    >>> text = "Rain fell all night. A new library opened. The library is near the new school."
    >>> extract(text, Limits(max_sentences=1))
    'A new library opened.'
    >>> extract(text, Limits(max_sentences=1), focus="rain")
    'Rain fell all night.'
    """
    if limits == Limits():
        return text.strip()
    sentences = [LINE_BREAK.sub(" ", part) for part in split_sentences(text, language)]
    if not sentences:
        return ""
    table = describe(sentences)
    scores = to_unit_range(salience(table) if ranker is None else ranker.rank(table))
    if focus:
        scores = scores + FOCUS_WEIGHT * to_unit_range(focus_relevance(sentences, focus))
    chosen = select(sentences, scores, table.words, limits) or [int(np.argmax(scores))]
    return truncate(_join([sentences[i] for i in chosen]), limits, language=language)


def _join(sentences):
    """Join sentences by spaces, but not behind the full stops of CJK writing."""
    gaps = ["" if sentence.endswith(UNSPACED_END) else " " for sentence in sentences]
    return "".join(part for pair in zip(sentences, gaps, strict=True) for part in pair).strip()
