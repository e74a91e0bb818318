"""Choosing sentences one by one: important, unlike those chosen before, within the limits."""

import numpy as np

from sklearn_ext.text._limits import count_words
from sklearn_ext.text._ranking import relevance, to_unit_range

__all__ = ["select"]

# Share of importance against novelty; chosen on training splits together with the scores.
IMPORTANCE = 0.8
# A sentence more similar than this to a chosen one repeats it.
REPETITION = 0.95


def select(sentences, scores, rows, limits, importance=IMPORTANCE):
    """Choose sentences by maximal marginal relevance.

    Parameters
    ----------
    sentences : list of str
        Sentences of one text.
    scores : ndarray of shape (n_sentences,)
        Importance of each.
    rows : csr_array of shape (n_sentences, n_terms)
        Rows of length 1, whose products are similarities.
    limits : Limits
        The chosen sentences, joined by spaces, keep within them. A repetition of a chosen sentence
        is never chosen.
    importance : float in [0, 1], default=0.8
        1 ignores similarity to sentences already chosen.

    Returns
    -------
    list of int
        Numbers of the chosen sentences, ascending; empty if none fits.

    References
    ----------
    .. [1] Carbonell and Goldstein (1998). The use of MMR, diversity-based reranking for
       reordering documents and producing summaries. SIGIR.
    """
    value = importance * to_unit_range(scores)
    words = np.array([count_words(sentence) for sentence in sentences])
    chars = np.array([len(sentence) for sentence in sentences])
    closest, left = np.zeros(len(value)), np.ones(len(value), dtype=bool)
    chosen, n_words, n_chars = [], 0, 0
    while True:
        left &= limits.admit(len(chosen) + 1, n_words + words, n_chars + chars)
        left &= closest < REPETITION
        if not left.any():
            return sorted(chosen)
        best = int(np.argmax(np.where(left, value - (1 - importance) * closest, -np.inf)))
        chosen.append(best)
        left[best] = False
        n_words, n_chars = n_words + words[best], n_chars + chars[best] + 1
        closest = np.maximum(closest, relevance(rows, rows[[best]]))
