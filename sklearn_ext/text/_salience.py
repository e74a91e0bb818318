"""How much each sentence of a text matters, told from the text alone."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.special import expit

from sklearn_ext.text._cues import cue_table
from sklearn_ext.text._ranking import lexrank, pacsum, relevance, to_unit_range
from sklearn_ext.text._terms import character_terms, term_matrix, word_terms

__all__ = ["SentenceTable", "describe", "focus_relevance", "salience"]

# Chosen on training and validation splits of two sets of scientific text; see the benchmark.
DEPENDENT_PENALTY = 0.3
APPARATUS_PENALTY = 0.6
QUESTION_PENALTY = 0.3
FRAGMENT_PENALTY = 0.5
PURPOSE_BONUS = 2.0
# The order of a text tells more the longer the text is: its weight, 1 at first, grows with the
# square of the number of sentences over this one, up to a bound.
MEDIUM_TEXT = 15
MOST_ORDER_GAIN = 8.0
# It grows only if the opening is about what the text is about: a logistic function of how many
# standard deviations the opening sentences lie above the mean rank.
OPENING = 3  # sentences
OPENING_MIDDLE, OPENING_WIDTH = -0.3, 0.1
SHORTEST_SENTENCE = 4  # words; less is a heading or a fragment


@dataclass(frozen=True)
class SentenceTable:
    """What is known about the sentences of one text.

    Parameters
    ----------
    sentences : list of str
        The sentences, in the order of the text.
    words : csr_array of shape (n_sentences, n_words)
        tf-idf rows of words.
    columns : dict of str to ndarray of shape (n_sentences,)
        Measurements by name.
    """

    sentences: list[str]
    words: sparse.csr_array
    columns: dict[str, np.ndarray]


def describe(sentences):
    """Measure the sentences of a text.

    Parameters
    ----------
    sentences : list of str
        At least one sentence, in the order of the text.

    Returns
    -------
    SentenceTable
        Graph scores in the unit range, cues, and lengths in words.
    """
    word_lists = [word_terms(sentence) for sentence in sentences]
    words = term_matrix(word_lists)
    characters = term_matrix(character_terms(sentence) for sentence in sentences)
    columns = {
        "word_rank": to_unit_range(lexrank(words)),
        "character_rank": to_unit_range(lexrank(characters)),
        "order": to_unit_range(pacsum(characters) + pacsum(words)),
        "length": np.array([len(terms) for terms in word_lists], dtype=float),
    }
    return SentenceTable(sentences, words, columns | cue_table(sentences))


def salience(table):
    """Score sentences without training: graph ranks and position in a mix, corrected by cues.

    Parameters
    ----------
    table : SentenceTable
        Sentences of one text.

    Returns
    -------
    ndarray of shape (n_sentences,)
        Scores; only their differences within the text have a meaning.
    """
    column = table.columns
    ranks = column["word_rank"] + column["character_rank"]
    scores = ranks + order_weight(ranks) * column["order"]
    scores -= DEPENDENT_PENALTY * column["dependent"]
    scores -= APPARATUS_PENALTY * column["apparatus"]
    scores -= QUESTION_PENALTY * column["question"]
    scores -= FRAGMENT_PENALTY * (column["length"] < SHORTEST_SENTENCE)
    return scores + PURPOSE_BONUS * best_of(column["purpose"], scores)


def order_weight(ranks):
    """Weight of the position-aware centrality beside the ranks that know no order.

    Parameters
    ----------
    ranks : ndarray of shape (n_sentences,)
        Ranks that do not depend on the order.

    Returns
    -------
    float
        1 for short texts and for texts whose opening is beside the matter, at most 9.
    """
    above = (ranks[:OPENING].mean() - ranks.mean()) / max(ranks.std(), 1e-12)
    trust = expit((above - OPENING_MIDDLE) / OPENING_WIDTH)
    return 1 + trust * min((len(ranks) / MEDIUM_TEXT) ** 2, MOST_ORDER_GAIN)


def best_of(flags, scores):
    """Keep only the flag of the best flagged sentence: a purpose is stated once.

    Parameters
    ----------
    flags, scores : ndarray of shape (n_sentences,)
        Zeros and ones; scores of the same sentences.

    Returns
    -------
    ndarray of shape (n_sentences,)
        A single 1.0, or zeros if no sentence is flagged.
    """
    kept = np.zeros(len(flags))
    if flags.any():
        kept[np.argmax(np.where(flags > 0, scores, -np.inf))] = 1
    return kept


def focus_relevance(sentences, focus):
    """Compare sentences with what the reader asks about, by words and character n-grams.

    Parameters
    ----------
    sentences : list of str
        Sentences of one text.
    focus : str
        Words, a question or a description.

    Returns
    -------
    ndarray of shape (n_sentences,)
        Similarity from 0 to 2.
    """
    total = np.zeros(len(sentences))
    for terms in (word_terms, character_terms):
        rows = term_matrix(terms(text) for text in [*sentences, focus])
        total += relevance(rows[:-1], rows[[-1]])
    return total
