"""Summaries made of the text's own sentences, within limits that always hold."""

import re
from dataclasses import dataclass

import numpy as np

from sklearn_ext.text._ranking import lexrank, pacsum, redundancy_order, term_matrix
from sklearn_ext.text._sentences import sentence_spans
from sklearn_ext.text._trained_ranker import SentenceRanker

__all__ = ["Limits", "SentenceRanker", "extract", "truncate"]


@dataclass(frozen=True)
class Limits:
    """Largest size of a summary.

    Parameters
    ----------
    max_sentences, max_words, max_chars : int or None, default=None
        Largest number of sentences, of words between white space and of characters. None sets no
        limit.
    """

    max_sentences: int | None = None
    max_words: int | None = None
    max_chars: int | None = None

    def admit(self, text, n_sentences):
        """Tell whether a text of so many sentences keeps within the limits."""
        return (
            (self.max_sentences is None or n_sentences <= self.max_sentences)
            and (self.max_words is None or len(text.split()) <= self.max_words)
            and (self.max_chars is None or len(text) <= self.max_chars)
        )


def extract(text, limits, *, focus=None, language="auto", ranker=None):
    """Summarise a text by its own sentences."""
    sentences = [text[start:stop] for start, stop in sentence_spans(text, language)]
    if not sentences:
        return ""
    words = term_matrix([re.findall(r"\w+", s.lower()) for s in sentences])
    grams = term_matrix([[s.lower()[i : i + 3] for i in range(len(s) - 2)] for s in sentences])
    scores = sum(standard(part) for part in (lexrank(words), lexrank(grams), pacsum(words)))
    if focus:
        wanted = term_matrix([re.findall(r"\w+", s.lower()) for s in [*sentences, focus]])
        scores = scores + 3 * standard((wanted[:-1] @ wanted[[-1]].T).toarray().ravel())
    chosen = []
    for sentence in redundancy_order(standard(scores), words):
        trial = sorted([*chosen, sentence])
        if limits.admit(" ".join(sentences[i] for i in trial), len(trial)):
            chosen = trial
        if limits.max_sentences is not None and len(chosen) >= limits.max_sentences:
            break
    chosen = chosen or [int(np.argmax(scores))]
    return truncate(" ".join(sentences[i] for i in chosen), limits, language=language)


def standard(scores):
    """Bring scores to the range from 0 to 1."""
    span = np.ptp(scores)
    return (scores - np.min(scores)) / span if span > 0 else np.zeros(len(scores))


def truncate(text, limits, *, language="auto"):
    """Cut a text so that it keeps within the limits."""
    text = text.strip()
    if limits.max_sentences is not None:
        spans = sentence_spans(text, language)
        if len(spans) > limits.max_sentences:
            text = text[: spans[limits.max_sentences - 1][1]]
    if limits.max_words is not None:
        ends = [match.end() for match in re.finditer(r"\S+", text)]
        if len(ends) > limits.max_words:
            text = text[: ends[limits.max_words - 1]]
    if limits.max_chars is not None and len(text) > limits.max_chars:
        text = text[: limits.max_chars + 1]
        text = text.rsplit(None, 1)[0] if any(c.isspace() for c in text) else text[:-1]
    return text.strip()[: limits.max_chars]
