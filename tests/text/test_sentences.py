"""The sentence splitter: lossless, and right on the traps of several scripts."""

import random

import pytest
from articles import JAPANESE, KOREAN
from korean_sentences import STYLES

from sklearn_ext.text._sentences import sentence_spans, split_sentences

# One line, one text; " | " marks where sentences end.
ENGLISH = """
Dr. Smith paid $3.50 for it. | He left at 5 p.m. and slept. | Nobody knew why.
Mr. J. R. Smith et al. (2010) found it. | See Fig. 3 and p. 5 of Vol. 2. | It is there.
Is it vitamin C? | It is. | So am I. | The end
He grew up in the U.S. and moved. | He has a Ph.D. in law. | Then he left.
Wait... what is this? | It ended... | Nobody came.
I like it!!! | Do you?! | (This is inside.) | Done.
"Why?" he asked. | "Because." | She smiled.
Visit https://example.org/a.b today. | Version 2.1.3 is out.
Apples, pears, etc. are fruit. | We sell pears, etc. | Come in.
The results ( Smith et al . , 2010 ; Lee et al . , 2011 ) are new . | We use them , too .
As Kiros et al . ( 2015 ) say , it works . | it is lower case .
No. 5 is alive. | The answer is no. | He said so.
She works for Acme Inc. in Ohio. | Prices rose 4.2 percent vs. last year.
Temperatures fell to -3.5 degrees. | Was it cold? | Yes!
""".split("\n")[1:-1]

WIDE = """
彼は「行く。待って。」と言った。|それから帰った。
本当ですか？|はい、そうです！|「もう帰る。」|外は雨だ。
今天很冷。|你来吗？|他说：“我来。”|大家都笑了。
値段は３．５万円です。|安い。
""".split("\n")[1:-1]


def assert_split(text, expected, **options):
    assert split_sentences(text, **options) == expected


@pytest.mark.parametrize("line", ENGLISH)
def test_english_sentences(line):
    expected = line.split(" | ")
    assert_split(" ".join(expected), expected)


@pytest.mark.parametrize("line", WIDE)
def test_sentences_without_spaces_between(line):
    expected = line.split("|")
    assert_split("".join(expected), expected)


def test_blank_lines_and_lists_end_sentences():
    text = "A heading\n\nFirst point: \n- apples\n- pears and\n  plums\n1. one\n2) two\n• three"
    assert_split(
        text,
        [
            *("A heading", "First point:", "- apples", "- pears and\n  plums"),
            *("1. one", "2) two", "• three"),
        ],
    )


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_wrapped_lines_run_on(line_end):
    lines = [
        "The committee will meet again in the first",
        "week of March to Vote on it. Then",
        "ends.",
    ]
    first, second = split_sentences(line_end.join(lines))
    assert first.endswith("Vote on it.")
    assert second.split() == ["Then", "ends."]


def test_short_lines_do_not_run_on():
    assert_split("Introduction\nThis is new.", ["Introduction", "This is new."])


@pytest.mark.parametrize("line_end", ["\n\n", "\r\n\r\n", "\n \n"])
def test_a_blank_line_always_ends_a_sentence(line_end):
    long_line = "this line is long enough to have been wrapped by a margin"
    assert_split(line_end.join([long_line, "and more"]), [long_line, "and more"])


@pytest.mark.parametrize("style", STYLES)
def test_unpunctuated_korean_of_each_style(style):
    assert boundary_f1(STYLES[style]) >= 0.93


def test_unpunctuated_korean_in_any_order():
    sentences = [sentence for style in STYLES.values() for sentence in style]
    random.Random(0).shuffle(sentences)
    assert boundary_f1(sentences) >= 0.93


def boundary_f1(sentences):
    text = " ".join(sentences)
    ends, position = set(), 0
    for sentence in sentences:
        position += len(sentence) + 1
        ends.add(position - 1)
    # The end of the text is no achievement.
    ends.discard(len(text))
    found = {stop for _, stop in sentence_spans(text)} - {len(text)}
    return 2 * len(ends & found) / (len(ends) + len(found))


@pytest.mark.parametrize("article", KOREAN)
def test_punctuated_korean_is_not_divided_further(article):
    expected = [part + "." for part in article.text[:-1].split(". ")]
    assert_split(article.text, expected)


def test_korean_endings_are_left_alone_in_another_language():
    text = "비가 왔다 그래서 집에 있었다"
    assert_split(text, ["비가 왔다", "그래서 집에 있었다"])
    assert_split(text, [text], language="en")


def test_korean_connections_are_not_ends():
    sentence = "그는 작년보다 더 많이 읽다 보니 날마다 책이 필요 없다 해도 샀다"
    assert_split(sentence, [sentence])


def test_korean_quotation_is_not_divided():
    sentence = '그는 "나는 간다 너도 와라"라고 했다'
    assert_split(sentence, [sentence])


@pytest.mark.parametrize("text", ["", " ", "\n\t \r\n", "\u3000"])
def test_no_sentence_in_white_space(text):
    assert sentence_spans(text) == []


def random_text(seed):
    generator = random.Random(seed)
    pieces = [
        "a",
        "B",
        ".",
        "!",
        "?",
        " ",
        "\n",
        "\r\n",
        "\n\n",
        "다",
        "습니다",
        "。",
        "「",
        "」",
        '"',
    ]
    pieces += ["(", ")", "et al", "3", "…", "-", "😀", "\ud800", "é", "ก", "“", "”", ",", "Dr"]
    return "".join(generator.choices(pieces, k=generator.randint(0, 60)))


def assert_all_but_white_space(spans, text):
    position = 0
    for start, stop in spans:
        assert position <= start < stop <= len(text)
        assert not text[position:start].strip()
        assert text[start:stop] == text[start:stop].strip()
        position = stop
    assert not text[position:].strip()


@pytest.mark.parametrize("seed", range(200))
def test_nothing_but_white_space_is_lost(seed):
    text = random_text(seed)
    spans = sentence_spans(text)
    assert "".join(text[start:stop] for start, stop in spans).split() or not text.strip()
    assert_all_but_white_space(spans, text)


@pytest.mark.parametrize("article", KOREAN + JAPANESE)
def test_a_sentence_by_itself_stays_one(article):
    for sentence in split_sentences(article.text):
        assert_split(sentence, [sentence])


def test_time_grows_as_the_text_does():
    # A regular expression that backtracks would take minutes here.
    for text in (
        "(" * 20000 + ".",
        ". " * 20000,
        "가" * 20000,
        "「" * 5000 + "。" * 5000,
        "\n" * 20000,
    ):
        assert_all_but_white_space(sentence_spans(text), text)
