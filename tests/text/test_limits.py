"""Limits hold for every text, and a cut keeps whole sentences, words and characters."""

import itertools
import random

import pytest
from articles import JAPANESE, KOREAN

from sklearn_ext.text._limits import Limits, count_words, truncate
from sklearn_ext.text._sentences import sentence_spans

TEXTS = [
    "",
    "word",
    "One short sentence. And a longer second sentence, with a tail! A third?",
    "averyveryverylongwordwithoutanyspace" * 3,
    "👩‍👩‍👧‍👦 family 👍🏽 e\u0301 \ud800 end. 😀😀😀😀",
    "彼は「行く。待って。ここで。」と言った。それから帰った。",
    "ประเทศไทยมีประชากรมาก กรุงเทพเป็นเมืองหลวง",
    "- item one\n- item two\n\nParagraph.",
    *(article.text for article in (*KOREAN[:2], *JAPANESE[:2])),
]
LIMITS = [
    Limits(*sizes) for sizes in itertools.product((None, 0, 1, 2), (None, 1, 7), (None, 1, 9, 40))
]


def assert_within(text, limits):
    if limits.max_sentences is not None:
        assert len(sentence_spans(text)) <= limits.max_sentences
    if limits.max_words is not None:
        assert count_words(text) <= limits.max_words
        assert len(text.split()) <= limits.max_words
    if limits.max_chars is not None:
        assert len(text) <= limits.max_chars


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("limits", LIMITS, ids=repr)
def test_limits_hold_and_the_beginning_is_kept(text, limits):
    cut = truncate(text, limits)
    assert_within(cut, limits)
    assert text.strip().startswith(cut)
    assert truncate(cut, limits) == cut


@pytest.mark.parametrize("seed", range(100))
def test_limits_hold_on_random_text(seed):
    generator = random.Random(seed)
    pieces = [
        "a",
        "B.",
        " ",
        ". ",
        "\n",
        "다 ",
        "습니다 ",
        "。",
        "「",
        "」と",
        "“",
        "”",
        "et al. ",
        "👍🏽",
    ]
    text = "".join(generator.choices(pieces, k=40))
    limits = Limits(
        generator.choice([None, 1, 2]),
        generator.choice([None, 1, 5]),
        generator.choice([None, 1, 12]),
    )
    assert_within(truncate(text, limits), limits)


def test_whole_sentences_are_preferred():
    text = "One two. Three four five. Six."
    assert truncate(text, Limits(max_words=4)) == "One two."
    assert truncate(text, Limits(max_chars=26)) == "One two. Three four five."
    assert truncate(text, Limits(max_sentences=2)) == "One two. Three four five."


def test_whole_words_are_preferred():
    assert truncate("alpha beta gamma", Limits(max_chars=12)) == "alpha beta"
    assert truncate("alpha beta gamma", Limits(max_chars=10)) == "alpha beta"
    assert truncate("alpha beta gamma", Limits(max_words=2)) == "alpha beta"


def test_characters_are_not_torn():
    assert truncate("👍🏽👍🏽", Limits(max_chars=3)) == "👍🏽"
    assert truncate("aaae\u0301", Limits(max_chars=4)) == "aaa"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("two words", 2),
        ("well-known", 1),
        ("日本 です。", 4),
        ("한국어 문장", 2),
        ("กขคงจ", 2),
        ("a . b", 3),
    ],
)
def test_words_are_counted(text, expected):
    assert count_words(text) == expected


def test_no_limit_keeps_the_text():
    assert truncate("  A. B.\n", Limits()) == "A. B."
