"""Largest sizes of a summary, and the cut that makes any text keep within them."""

import re
import unicodedata
from dataclasses import dataclass
from itertools import accumulate

from sklearn_ext.text._sentences import sentence_spans
from sklearn_ext.text._terms import HAN_KANA, SOUTH_EAST_ASIAN

__all__ = ["Limits", "count_words", "truncate"]

# One Han or kana character counts as a word, and so do four letters of Thai and its kin.
UNSPACED = HAN_KANA + SOUTH_EAST_ASIAN
WORD = re.compile(
    rf"(?:[{HAN_KANA}]|[{SOUTH_EAST_ASIAN}]{{1,4}}|[^\s{UNSPACED}]+)(?:(?![{UNSPACED}])[^\w\s])*"
)
JOINERS = "\u200d\ufe0e\ufe0f"


@dataclass(frozen=True)
class Limits:
    """Largest size of a summary; None sets no limit.

    Parameters
    ----------
    max_sentences : int or None, default=None
        Number of sentences, as the sentence splitter counts them.
    max_words : int or None, default=None
        Number of words, as :func:`count_words` counts them.
    max_chars : int or None, default=None
        Number of Unicode characters.
    """

    max_sentences: int | None = None
    max_words: int | None = None
    max_chars: int | None = None

    def admit(self, n_sentences, n_words, n_chars):
        """Tell whether a text of this size keeps within the limits.

        Parameters
        ----------
        n_sentences, n_words, n_chars : int or ndarray of int
            Sizes.

        Returns
        -------
        bool or ndarray of bool
            True where no limit is exceeded.
        """
        admitted = True
        for size, limit in (
            (n_sentences, self.max_sentences),
            (n_words, self.max_words),
            (n_chars, self.max_chars),
        ):
            if limit is not None:
                admitted &= size <= limit
        return admitted


def count_words(text):
    """Count words: what stands between spaces, and each character of Han and kana.

    Parameters
    ----------
    text : str
        Text in any script.

    Returns
    -------
    int
        Number of words, never less than ``len(text.split())``. Four letters of a script of
        South-East Asia that has no spaces between words count as one.

    Examples
    --------
    >>> from sklearn_ext.text._limits import count_words
    >>> count_words("two words"), count_words("四個漢字")
    (2, 4)
    """
    return sum(1 for _ in WORD.finditer(text))


def truncate(text, limits, *, language="auto"):
    """Keep the beginning of a text, whole sentences if one fits, within limits.

    Parameters
    ----------
    text : str
        Any text, an answer of a language model for instance.
    limits : Limits
        They hold for what is returned.
    language : str, default="auto"
        As for the sentence splitter.

    Returns
    -------
    str
        Beginning of the text without white space around it.

    Examples
    --------
    >>> from sklearn_ext.text._limits import Limits, truncate
    >>> truncate("One here. Two here. Three.", Limits(max_words=4))
    'One here. Two here.'
    """
    text = text.strip()
    spans = sentence_spans(text, language)
    words = accumulate(count_words(text[start:stop]) for start, stop in spans)
    fitting = [
        stop
        for number, ((_, stop), n_words) in enumerate(zip(spans, words, strict=True), start=1)
        if limits.admit(number, n_words, stop)
    ]
    if fitting or not spans:
        return text[: max(fitting, default=0)]
    return _cut_sentence(text[: spans[0][1]], limits, language)


def _cut_sentence(sentence, limits, language):
    """Cut a single sentence that is too long, between words if possible."""
    if 0 in (limits.max_sentences, limits.max_words, limits.max_chars):
        return ""
    if limits.max_words is not None:
        ends = [match.end() for match in WORD.finditer(sentence)]
        sentence = sentence[: ends[min(limits.max_words, len(ends)) - 1]]
    if limits.max_chars is not None:
        sentence = _cut_characters(sentence, limits.max_chars)
    # A quotation that the cut has left open may now count as several sentences.
    spans = sentence_spans(sentence, language)
    if limits.max_sentences is not None and len(spans) > limits.max_sentences:
        sentence = sentence[: spans[limits.max_sentences - 1][1]]
    return sentence.strip()


def _cut_characters(text, length):
    """Cut behind the last whole word, or whole character if the first word is too long."""
    if len(text) <= length:
        return text
    word_end = max((match.end() for match in WORD.finditer(text[: length + 1])), default=0)
    if word_end > length:
        ends = [match.end() for match in WORD.finditer(text[: length + 1])][:-1]
        word_end = ends[-1] if ends else 0
    if word_end:
        return text[:word_end]
    while length and _continues(text[length], text[length - 1]):
        length -= 1
    return text[:length]


def _continues(character, previous):
    """Tell whether a character belongs to the one before it: accents, joined emoji."""
    joined = (
        character in JOINERS or previous == "\u200d" or "\U0001f3fb" <= character <= "\U0001f3ff"
    )
    return joined or unicodedata.combining(character) > 0 or unicodedata.category(character) == "Mc"
