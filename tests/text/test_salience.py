"""What the untrained score rests on."""

import numpy as np
import pytest

from sklearn_ext.text._cues import cue_table
from sklearn_ext.text._salience import (
    MOST_ORDER_GAIN,
    best_of,
    describe,
    focus_relevance,
    order_weight,
    salience,
)

SENTENCES = [
    "Graphs are used in many fields of science.",
    "In this paper we propose a fast method for the colouring of graphs.",
    "However, they are slow.",
    "See Figure 3 for the graphs.",
    "Is it fast?",
]


def test_cues_are_found():
    table = cue_table(SENTENCES)
    np.testing.assert_array_equal(table["purpose"], [0, 1, 0, 0, 0])
    np.testing.assert_array_equal(table["dependent"], [0, 0, 1, 0, 0])
    np.testing.assert_array_equal(table["apparatus"], [0, 0, 0, 1, 0])
    np.testing.assert_array_equal(table["question"], [0, 0, 0, 0, 1])


@pytest.mark.parametrize(
    ("cue", "sentence"),
    [
        ("purpose", "본 연구는 벼의 수확량을 다룬다."),
        ("purpose", "本研究では新しい方法を提案する。"),
        ("purpose", "本文提出了一种新方法。"),
        ("dependent", "그러나 예산이 부족하다."),
        ("dependent", "しかし費用は高い。"),
        ("dependent", "但是成本很高。"),
        ("apparatus", "무단 전재 및 재배포 금지"),
        ("apparatus", "Copyright 2020, all rights reserved."),
        ("question", "왜 그런가?"),
        ("question", "なぜですか？"),
    ],
)
def test_cues_of_other_languages(cue, sentence):
    table = cue_table([sentence, "나무가 자란다.", "Trees grow.", "木が育つ。"])
    np.testing.assert_array_equal(table[cue], [1, 0, 0, 0])


def test_the_purpose_wins_and_is_stated_once():
    assert np.argmax(salience(describe(SENTENCES))) == 1
    np.testing.assert_array_equal(best_of(np.array([1.0, 0, 1]), np.array([1.0, 9, 2])), [0, 0, 1])
    np.testing.assert_array_equal(best_of(np.zeros(2), np.ones(2)), [0, 0])


def test_order_counts_more_in_a_long_text_with_a_central_opening():
    central = np.array([2.0] * 3 + [1.0] * 57)
    assert order_weight(central[:8]) < 2 < order_weight(central)
    assert order_weight(central) == pytest.approx(1 + MOST_ORDER_GAIN)
    aside = np.array([0.0] * 3 + [1.0] * 57)
    assert order_weight(aside) == pytest.approx(1)


@pytest.mark.parametrize("sentences", [["One."], ["Same words.", "Same words."], ["?", "!"]])
def test_scores_are_finite(sentences):
    assert np.isfinite(salience(describe(sentences))).all()


def test_focus_relevance_prefers_what_is_asked():
    assert np.argmax(focus_relevance(SENTENCES, "colourings of a graph")) == 1
    np.testing.assert_array_equal(focus_relevance(SENTENCES, "xyzzy qwrk"), np.zeros(5))
