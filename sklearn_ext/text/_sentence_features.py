"""Numbers that a trained ranker sees of each sentence: measurements and its wording."""

from itertools import pairwise

import numpy as np
from scipy import sparse

from sklearn_ext.text._cues import CUES
from sklearn_ext.text._salience import best_of, salience
from sklearn_ext.text._terms import word_terms

__all__ = ["learn_vocabulary", "measurements", "standardize", "wording"]

# A word or pair of words in fewer sentences than this says nothing.
LEAST_SENTENCES = 3
START = "^"


def standardize(values):
    """Shift and scale numbers to mean 0 and variance 1; equal numbers become 0.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Finite numbers.

    Returns
    -------
    ndarray of shape (n,)
        Standard scores.
    """
    spread = values.std()
    if spread <= 1e-12 * np.abs(values).max(initial=0.0):
        return np.zeros(len(values))
    return (values - values.mean()) / spread


def measurements(table):
    """Collect ranks, position, length and cues of the sentences of a text.

    Parameters
    ----------
    table : SentenceTable
        Sentences of one text.

    Returns
    -------
    ndarray of shape (n_sentences, n_measurements)
        Comparable between texts of different length.
    """
    column, score = table.columns, salience(table)
    n_sentences = len(score)
    place, length = np.arange(n_sentences), column["length"]
    return np.column_stack(
        [
            standardize(score),
            score == score.max(),
            *(column[name] for name in ("word_rank", "character_rank", "order", *CUES)),
            best_of(column["purpose"], score),
            place / n_sentences,
            1 / (1 + place),
            1 / (n_sentences - place),
            place == 0,
            np.log1p(length),
            length / max(length.mean(), 1),
        ]
    ).astype(float)


def learn_vocabulary(tables, weights):
    """Find the words and pairs of words that occur in several sentences.

    Parameters
    ----------
    tables : list of SentenceTable
        Texts.
    weights : ndarray of shape (n_texts,)
        How often each text counts.

    Returns
    -------
    vocabulary : dict of str to int
        Number of each term, in the order of the alphabet.
    idf : ndarray of shape (n_terms,)
        Inverse sentence frequency of each.
    """
    counts = {}
    for table, weight in zip(tables, weights, strict=True):
        for sentence in table.sentences:
            for term in set(_terms(sentence)):
                counts[term] = counts.get(term, 0.0) + float(weight)
    total = sum(w * len(t.sentences) for t, w in zip(tables, weights, strict=True))
    kept = sorted(term for term, count in counts.items() if count >= LEAST_SENTENCES)
    frequency = np.array([counts[term] for term in kept])
    idf = np.log((1 + total) / (1 + frequency)) + 1
    return {term: number for number, term in enumerate(kept)}, idf


def wording(sentences, vocabulary, idf):
    """Mark which terms of a vocabulary each sentence has.

    Parameters
    ----------
    sentences : list of str
        Sentences of any texts.
    vocabulary : dict of str to int
        Number of each term.
    idf : ndarray of shape (n_terms,)
        Weight of each.

    Returns
    -------
    csr_array of shape (n_sentences, n_terms)
        Weights of the terms that occur; rows of length 1.
    """
    found = [sorted({vocabulary[t] for t in _terms(s) if t in vocabulary}) for s in sentences]
    pointers = np.cumsum([0, *(len(columns) for columns in found)])
    columns = np.array([column for row in found for column in row], dtype=np.int64)
    values = idf[columns]
    rows = np.repeat(np.arange(len(sentences)), np.diff(pointers))
    values /= np.sqrt(np.bincount(rows, values**2, minlength=len(sentences)))[rows]
    shape = (len(sentences), len(vocabulary))
    return sparse.csr_array((values, columns, pointers), shape=shape)


def _terms(sentence):
    """List the words of a sentence and the pairs of neighbours, its start being a word too."""
    words = word_terms(sentence)
    return [*words, *(f"{first} {second}" for first, second in pairwise([START, *words]))]
