"""ROUGE against the rouge-score package, a brute-force LCS, and scripts it cannot read."""

import itertools
import random

import pytest

from sklearn_ext.text._rouge import ROUGE_KINDS, is_english, rouge, rouge_tokens

ENGLISH = [
    ("The cat sat on the mat.", "A cat was on the mat!"),
    ("It's 3.5% of U.S. GDP\nthe naïve owners said.", "3.5 percent of GDP, café owners said."),
    ("A naïve rule", "the naïve rules of Müller"),
    ("one", "two"),
    ("", "something"),
    ("something", ""),
    ("police killed the gunman\nthe gunman ran", "the gunman killed police\nran"),
]
SCRIPTS = [
    "고양이가 지금 방에서 자고 있다",
    "猫が寝ている。",
    "แมวกำลังนอนหลับ",
    "кошка тихо спит на окне",
    "बिल्ली घर में सो रही है",
    "القطة نائمة الآن في البيت",
]
every_kind = pytest.mark.parametrize("kind", ROUGE_KINDS)


def random_pair(seed):
    generator = random.Random(seed)

    def text():
        return "\n".join(
            " ".join(generator.choices("abcdef", k=generator.randint(0, 9)))
            for _ in range(generator.randint(0, 4))
        )

    return text(), text()


@every_kind
@pytest.mark.parametrize("pair", [*ENGLISH, *map(random_pair, range(60))])
def test_equals_rouge_score_on_english(pair, kind):
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer([kind])
    expected = scorer.score(*pair)[kind]
    assert rouge(*pair, kind) == pytest.approx(tuple(expected), abs=1e-9)


@every_kind
@pytest.mark.parametrize("text", SCRIPTS)
def test_identical_text_of_any_script_is_perfect(text, kind):
    assert rouge(text, text, kind) == (1, 1, 1)


@every_kind
@pytest.mark.parametrize("text", SCRIPTS)
def test_equals_rouge_score_over_our_tokens(text, kind):
    class Tokenizer:
        def tokenize(self, text):
            return rouge_tokens(text, english=False)

    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(
        [kind], tokenizer=Tokenizer()
    )
    other = text[: len(text) // 2] + " " + text[len(text) // 3 :]
    expected = scorer.score(text, other)[kind]
    assert 0 < expected.fmeasure < 1
    assert rouge(text, other, kind) == pytest.approx(tuple(expected), abs=1e-9)


@pytest.mark.parametrize("seed", range(30))
def test_longest_common_subsequence_by_brute_force(seed):
    generator = random.Random(seed)
    first, second = (generator.choices("abc", k=generator.randint(1, 7)) for _ in range(2))
    subsequences = {
        tokens
        for size in range(len(first) + 1)
        for tokens in itertools.combinations(first, size)
        if all(token in rest for rest in [iter(second)] for token in tokens)
    }
    longest = max(map(len, subsequences))
    assert rouge(" ".join(first), " ".join(second), "rougeL").recall == longest / len(first)


@every_kind
def test_swapping_the_texts_swaps_precision_and_recall(kind):
    forward, backward = rouge("a b c d", "b c e", kind), rouge("b c e", "a b c d", kind)
    assert (forward.precision, forward.recall) == (backward.recall, backward.precision)
    assert forward.fmeasure == pytest.approx(backward.fmeasure, abs=1e-15)


def test_few_foreign_letters_are_english():
    assert is_english("A long English sentence that Müller wrote about the weather in May")
    assert not is_english("Die Größe der Häuser überrascht")


def test_unknown_kind():
    with pytest.raises(ValueError, match=r"kind must be one of .* got 'rouge9'"):
        rouge("a", "a", "rouge9")
