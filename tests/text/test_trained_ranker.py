"""The trained ranker: learns what references stress, and is never worse than no training."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sklearn_ext import TextSummarizer
from sklearn_ext.text._extractive import Limits, SentenceRanker, extract
from sklearn_ext.text._salience import describe, salience
from sklearn_ext.text._sentences import split_sentences

NOUNS = "river bridge garden school market engine forest harbour castle museum".split()


def verdict_corpus(n_texts, seed):
    """Texts whose summary is the sentence that begins with 'Verdict', wherever it stands."""
    generator = np.random.default_rng(seed)
    texts, summaries = [], []
    for _ in range(n_texts):
        nouns = generator.choice(NOUNS, 8)
        parts = [
            f"The {a} near the {b} was seen by many people that day." for a, b in pairwise(nouns)
        ]
        verdict = f"Verdict on the {nouns[0]} and the {generator.choice(NOUNS)} is known."
        parts.insert(int(generator.integers(len(parts))), verdict)
        texts.append(" ".join(parts))
        summaries.append(verdict)
    return texts, summaries


@pytest.fixture(scope="module")
def fitted():
    return SentenceRanker().fit(*verdict_corpus(40, 0), random_state=0)


def hits(ranker, seed=1):
    texts, summaries = verdict_corpus(20, seed)
    return np.mean(
        [extract(t, Limits(1), ranker=ranker) == s for t, s in zip(texts, summaries, strict=True)]
    )


def test_it_learns(fitted):
    assert fitted.trust_ > 0
    assert fitted.gain_ > 0
    assert fitted.n_sentences_ == 1
    assert hits(fitted) > 0.95 > hits(None)


def test_too_little_data_leaves_the_ranking_untrained():
    texts, summaries = verdict_corpus(1, 0)
    ranker = SentenceRanker().fit(texts, summaries)
    assert ranker.trust_ == 0
    table = describe(split_sentences(texts[0]))
    np.testing.assert_array_equal(ranker.rank(table), salience(table))


@pytest.mark.parametrize("seed", range(5))
def test_random_references_teach_nothing(seed):
    texts, _ = verdict_corpus(12, seed)
    generator = np.random.default_rng(seed)
    summaries = [str(generator.choice(split_sentences(text))) for text in texts]
    ranker = SentenceRanker().fit(texts, summaries, random_state=seed)
    assert ranker.trust_ == 0


@pytest.mark.parametrize("texts", [[], [""], ["  ", "A text. It has two."]])
def test_no_useful_text(texts):
    ranker = SentenceRanker().fit(texts, ["" for _ in texts])
    assert ranker.trust_ == 0
    assert extract("One is here. Two is there.", Limits(1), ranker=ranker)


def test_same_data_and_seed_same_bits(fitted):
    again = SentenceRanker().fit(*verdict_corpus(40, 0), random_state=0)
    np.testing.assert_array_equal(again.coef_, fitted.coef_)
    assert vars(again).keys() == vars(fitted).keys()
    assert (again.trust_, again.alpha_, again.gain_) == (fitted.trust_, fitted.alpha_, fitted.gain_)


def test_weight_zero_is_a_removed_text(fitted):
    texts, summaries = verdict_corpus(40, 0)
    noise = ["Some other text. Nobody knows it."] * 3
    weights = [1.0] * 40 + [0.0] * 3
    ranker = SentenceRanker().fit(
        texts + noise, summaries + noise, sample_weight=weights, random_state=0
    )
    np.testing.assert_array_equal(ranker.coef_, fitted.coef_)


def test_weight_two_is_a_repeated_text():
    texts, summaries = verdict_corpus(12, 0)
    weights = [2] * 4 + [1] * 8
    weighted = SentenceRanker().fit(texts, summaries, sample_weight=weights, random_state=0)
    repeated = SentenceRanker().fit(texts + texts[:4], summaries + summaries[:4], random_state=0)
    assert weighted.vocabulary_ == repeated.vocabulary_
    np.testing.assert_allclose(weighted.idf_, repeated.idf_)
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-3, atol=1e-5)
    assert weighted.trust_ == repeated.trust_


def test_several_references():
    texts, summaries = verdict_corpus(40, 0)
    ranker = SentenceRanker().fit(
        texts, [["Nothing at all.", s] for s in summaries], random_state=0
    )
    assert hits(ranker) > 0.95


@pytest.mark.parametrize("missing", [None, float("nan"), ""])
@pytest.mark.parametrize("learn", [True, "auto"])
def test_texts_without_a_reference_are_left_out(missing, learn):
    texts, summaries = verdict_corpus(40, 0)
    few = TextSummarizer(learn=learn, random_state=0).fit(texts[:39], summaries[:39])
    one_missing = clone(few).fit(texts, [*summaries[:39], missing])
    assert few.ranker_.trust_ > 0
    assert_array_equal(one_missing.ranker_.coef_, few.ranker_.coef_)


def test_a_target_of_rows_with_two_texts_is_no_reference():
    texts, summaries = verdict_corpus(40, 0)
    table = np.array([texts, texts], dtype=object).T
    assert TextSummarizer().fit(table, summaries).ranker_ is None
    with pytest.raises(ValueError, match="one text in each row, X has 80 texts in 40 rows"):
        TextSummarizer(learn=True).fit(table, summaries)


def test_pickle_and_skops_give_back_the_same_summaries(fitted):
    skops = pytest.importorskip("skops.io")
    data = skops.dumps(fitted)
    trusted = skops.get_untrusted_types(data=data)
    assert trusted == ["sklearn_ext.text._trained_ranker.SentenceRanker"]
    table = describe(split_sentences(verdict_corpus(1, 5)[0][0]))
    for copy in (pickle.loads(pickle.dumps(fitted)), skops.loads(data, trusted=trusted)):
        np.testing.assert_array_equal(copy.rank(table), fitted.rank(table))


def test_unfitted():
    with pytest.raises(NotFittedError, match="SentenceRanker is not fitted"):
        extract("One is here. Two.", Limits(1), ranker=SentenceRanker())


def test_bad_lengths():
    with pytest.raises(ValueError, match="inconsistent numbers of samples: \\[2, 1\\]"):
        SentenceRanker().fit(["a", "b"], ["a"])
    with pytest.raises(ValueError, match="sample_weight must hold 1 numbers"):
        SentenceRanker().fit(["a"], ["a"], sample_weight=[-1])
