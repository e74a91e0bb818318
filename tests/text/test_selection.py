"""Maximal marginal relevance within limits, against a direct loop."""

import numpy as np
import pytest

from sklearn_ext.text._limits import Limits
from sklearn_ext.text._selection import select
from sklearn_ext.text._terms import term_matrix, word_terms

SENTENCES = ["a b c.", "a b d.", "e f g h i j.", "k.", "a c e k."]


def rows_of(sentences):
    return term_matrix(word_terms(sentence) for sentence in sentences)


def by_loop(scores, similarity, n_chosen, importance):
    scores = (scores - scores.min()) / np.ptp(scores)
    chosen = []
    while len(chosen) < n_chosen:
        marginal = {
            i: importance * scores[i]
            - (1 - importance) * max((similarity[i, j] for j in chosen), default=0)
            for i in range(len(scores))
            if i not in chosen
        }
        chosen.append(max(marginal, key=marginal.get))
    return sorted(chosen)


@pytest.mark.parametrize("importance", [0.3, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("n_chosen", range(1, 6))
def test_equals_a_direct_loop(n_chosen, importance):
    rows, scores = rows_of(SENTENCES), np.array([3.0, 2.9, 1.0, 0.5, 2.0])
    expected = by_loop(scores, (rows @ rows.T).toarray(), n_chosen, importance)
    assert select(SENTENCES, scores, rows, Limits(n_chosen), importance) == expected


def test_a_sentence_that_does_not_fit_gives_way():
    rows, scores = rows_of(SENTENCES), np.array([0.0, 1.0, 9.0, 2.0, 3.0])
    assert select(SENTENCES, scores, rows, Limits(max_words=4)) == [4]
    assert select(SENTENCES, scores, rows, Limits(max_chars=2)) == [3]
    assert select(SENTENCES, scores, rows, Limits(max_chars=1)) == []


def test_repetitions_are_left_out():
    sentences = ["a b."] * 3 + ["c d."]
    assert len(select(sentences, np.array([4.0, 3, 2, 1]), rows_of(sentences), Limits(4))) == 2
