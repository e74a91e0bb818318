"""Extractive summaries: limits, determinism, focus, and quality on written articles."""

import itertools

import numpy as np
import pytest
from articles import JAPANESE, KOREAN
from test_limits import LIMITS, TEXTS, assert_within

from sklearn_ext.text._extractive import Limits, extract
from sklearn_ext.text._rouge import rouge
from sklearn_ext.text._sentences import split_sentences

ENGLISH = (
    "Rain fell on the town all night. The town council opened a new library in the old station. "
    "The library holds 20,000 books and a room for children. Buses were late because of the rain. "
    "The council says the new library cost two million. However, they did not say who paid."
)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("limits", LIMITS, ids=repr)
def test_limits_hold(text, limits):
    summary = extract(text, limits)
    assert_within(summary, limits)
    assert extract(text, limits) == summary


@pytest.mark.parametrize(
    "limits", [Limits(1), Limits(None, 8), Limits(None, None, 20), Limits(3, 9)]
)
@pytest.mark.parametrize("text", ["Hello there.", "x", "가나다라.", ENGLISH, "!!!", "😀"])
def test_text_always_has_a_summary(text, limits):
    assert extract(text, limits)


@pytest.mark.parametrize("text", ["", "  ", "\n\n"])
def test_empty_text_has_an_empty_summary(text):
    assert extract(text, Limits(1)) == extract(text, Limits()) == ""


def test_sentences_are_those_of_the_text_in_its_order():
    sentences = split_sentences(ENGLISH)
    for n_sentences in range(1, len(sentences) + 2):
        chosen = [
            sentences.index(part) for part in split_sentences(extract(ENGLISH, Limits(n_sentences)))
        ]
        assert chosen == sorted(chosen)
        assert len(chosen) == min(n_sentences, len(sentences))


def test_focus_moves_the_summary():
    assert "library" in extract(ENGLISH, Limits(1))
    assert "Buses" in extract(ENGLISH, Limits(1), focus="buses")
    assert "children" in extract(ENGLISH, Limits(1), focus="What is there for children?")
    assert extract(ENGLISH, Limits(1), focus="") == extract(ENGLISH, Limits(1))
    assert extract(ENGLISH, Limits(1), focus="xyzzy") == extract(ENGLISH, Limits(1))


def test_focus_moves_a_korean_summary():
    text = KOREAN[0].text
    assert "병원" in extract(text, Limits(1), focus="병원")


def test_repeated_sentences_are_not_chosen_twice():
    text = "The new bridge is open to cars. " * 3 + "Snow closed the mountain road today."
    assert "Snow" in extract(text, Limits(2))


def test_line_breaks_within_a_sentence_become_spaces():
    text = "The committee will meet again in the first\nweek of March."
    assert extract(text, Limits(1)) == text.replace("\n", " ")


@pytest.mark.parametrize("articles", [KOREAN, JAPANESE], ids=["Korean", "Japanese"])
def test_better_than_the_first_sentence(articles):
    def quality(summaries):
        pairs = itertools.product(
            zip(articles, summaries, strict=True), ("rouge1", "rouge2", "rougeL")
        )
        return np.mean(
            [rouge(article.summary, text, kind).fmeasure for (article, text), kind in pairs]
        )

    ours = quality([extract(article.text, Limits(1)) for article in articles])
    first = quality([split_sentences(article.text)[0] for article in articles])
    every = quality([" ".join(split_sentences(article.text)) for article in articles])
    assert ours > 2 * first
    assert ours > every


def test_long_document():
    generator = np.random.default_rng(0)
    words = [f"w{i}" for i in range(5000)]
    text = " ".join(" ".join(generator.choice(words, 12)).capitalize() + "." for _ in range(2000))
    assert len(split_sentences(extract(text, Limits(5)))) == 5
