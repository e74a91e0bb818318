"""Twins on texts of scikit-learn's checks, over every backend.

`check_estimator` sends numbers only; here the same laws are asked of texts, for the offline
backend, a fake, a function, and every vendor's own package against a server on the loopback.
"""

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from loopback import VENDORS, first_sentence, serving, vendor_settings
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_ext import TextSummarizer
from sklearn_ext.text import FakeBackend

PACKAGES = {
    "openai": "openai",
    "anthropic": "anthropic",
    "cohere": "cohere",
    "azure": "azure.ai.textanalytics",
    "nlpcloud": "httpx",
    "clova": "httpx",
    "meaningcloud": "httpx",
}
TEXTS = [
    "The harbour opened in May. Ships came from the north. Nobody expected so many of them.",
    "Rain fell for two days. The river rose by 3.5 metres. A bridge was closed.",
    "The school won a prize. Its garden feeds forty families. Pupils plant it themselves.",
    "Der Zug hielt an. Niemand stieg aus. Der Schaffner wartete lange.",
    "오늘은 비가 왔다. 강물이 불었다. 다리가 막혔다.",
]


def without_server(vendor):
    return {"backend": vendor, "max_sentences": 1}


@pytest.fixture(scope="module")
def server():
    with serving() as loopback:
        yield loopback


@pytest.fixture(params=["extractive", "fake", "callable", *VENDORS])
def make(request, server):
    """Make a summarizer for a backend."""
    name = request.param
    if name in VENDORS:
        pytest.importorskip(PACKAGES[name])
        settings = vendor_settings(name, server)
    elif name == "callable":
        settings = without_server(first_sentence)
    else:
        settings = without_server(FakeBackend() if name == "fake" else name)
    return lambda **changes: TextSummarizer(**(settings | changes))


def summarize(summarizer, X):
    return clone(summarizer).fit(X).transform(X)


# What comes out


def test_one_text_for_each_text(make):
    found = summarize(make(), TEXTS)
    assert found.shape == (len(TEXTS),) and found.dtype == object
    assert all(type(text) is str and text for text in found)
    assert all(len(summary) < len(text) for summary, text in zip(found, TEXTS, strict=True))


@pytest.mark.parametrize(
    "limits", [{"max_sentences": None, "max_words": 3}, {"max_chars": 12}, {"max_words": 1}]
)
def test_limits_hold(make, limits):
    for summary in summarize(make(**limits), TEXTS):
        assert len(summary.split()) <= limits.get("max_words", 99)
        assert len(summary) <= limits.get("max_chars", 999)


# Same input, same output


def test_fit_is_idempotent(make):
    summarizer = make().fit(TEXTS)
    first = summarizer.transform(TEXTS)
    assert_array_equal(summarizer.fit(TEXTS).transform(TEXTS), first)


def test_transform_is_repeatable_and_is_that_of_fit_transform(make):
    summarizer = make().fit(TEXTS)
    assert_array_equal(summarizer.transform(TEXTS), summarizer.transform(TEXTS))
    assert_array_equal(make().fit_transform(TEXTS), summarizer.transform(TEXTS))


def test_subsets_give_the_same(make):
    summarizer = make().fit(TEXTS)
    single = np.concatenate([summarizer.transform([text]) for text in TEXTS])
    assert_array_equal(single, summarizer.transform(TEXTS))


def test_order_of_texts_plays_no_part(make):
    summarizer = make().fit(TEXTS)
    assert_array_equal(summarizer.transform(TEXTS[::-1]), summarizer.transform(TEXTS)[::-1])


def test_transform_changes_nothing_in_the_estimator_or_the_input(make):
    texts = list(TEXTS)
    summarizer = make().fit(texts)
    before = vars(summarizer).copy()
    summarizer.transform(texts)
    assert vars(summarizer) == before and texts == TEXTS


# Copies


def test_pickle(make):
    summarizer = make().fit(TEXTS)
    returned = pickle.loads(pickle.dumps(summarizer))
    assert_array_equal(returned.transform(TEXTS), summarizer.transform(TEXTS))
    assert returned.failures_ == []


def test_joblib_and_deepcopy(make, tmp_path):
    summarizer = make().fit(TEXTS)
    joblib.dump(summarizer, tmp_path / "s.joblib")
    for returned in (joblib.load(tmp_path / "s.joblib"), copy.deepcopy(summarizer)):
        assert_array_equal(returned.transform(TEXTS[:2]), summarizer.transform(TEXTS[:2]))


def test_clone_is_unfitted(make):
    cloned = clone(make().fit(TEXTS))
    for ask in (cloned.transform, cloned.summarize, cloned.estimate):
        with pytest.raises(NotFittedError):
            ask(TEXTS)
    assert not hasattr(cloned, "failures_") and not hasattr(cloned, "usage_")


# Sizes


def test_empty_list(make):
    with pytest.raises(ValueError, match="0 sample"):
        make().fit([])
    assert make().fit(TEXTS).transform([]).shape == (0,)


def test_one_document(make):
    assert summarize(make(), TEXTS[:1]).shape == (1,)


def test_empty_strings_and_white_space(make):
    assert summarize(make(), ["", " \n\t", TEXTS[0]])[:2].tolist() == ["", ""]


def test_one_megabyte(make):
    text = "Water is wet and the sea is wide. " * 30_000
    assert len(text) > 1_000_000
    (summary,) = summarize(make(context_tokens=1_000_000), [text])
    assert 0 < len(summary) < 200


# Values


def test_missing_texts_have_empty_summaries(make):
    found = summarize(make(), [TEXTS[0], None, float("nan"), pd.NA])
    assert found[0] and found[1:].tolist() == ["", "", ""]


def test_bytes_are_utf8(make):
    as_bytes = [text.encode() for text in TEXTS]
    assert_array_equal(summarize(make(), as_bytes), summarize(make(), TEXTS))
    with pytest.raises(ValueError, match=r"X\[1\] holds bytes that are not UTF-8"):
        make().fit([b"fine", b"\xff\xfe"])


def test_a_bare_string_is_refused(make):
    for ask in (make().fit, make().fit(TEXTS).transform):
        with pytest.raises(ValueError, match="got a single str: put it in a list"):
            ask(TEXTS[0])


@pytest.mark.parametrize("X", [None, [1, 2]])
def test_what_holds_no_texts_is_told_what_texts_are(make, X):
    with pytest.raises(ValueError, match="Expected 2D array") as raised:
        make().fit(X)
    (note,) = raised.value.__notes__
    assert note.startswith("Texts are a sequence of strings")


def test_other_values_are_refused_by_their_place(make):
    with pytest.raises(TypeError, match=r"X\[1\] must be a str, got int"):
        make().fit([TEXTS[0], 3])
    with pytest.raises(TypeError, match=r"X\[0, 1\] must be a str or a number, got dict"):
        make().fit([[TEXTS[0], {"a": 1}]])


def test_emoji_and_halves_of_surrogate_pairs(make):
    found = summarize(
        make(), ["Fine 👩‍👩‍👧 day. It stays.", "Half \ud83d of one. Rest.", "a\x00b. c."]
    )
    assert all(found)
    assert "👩‍👩‍👧" in found[0] or "stays" in found[0]


# Containers


def test_every_sequence_gives_the_same(make):
    expected = summarize(make(), TEXTS)
    for X in (tuple(TEXTS), np.array(TEXTS), np.array(TEXTS, dtype=object)):
        assert_array_equal(summarize(make(), X), expected)
    for X in (pd.Series(TEXTS), pd.Series(TEXTS, dtype=object), pl.Series(TEXTS)):
        assert_array_equal(summarize(make(), X), expected)
    frame = pd.DataFrame({"text": TEXTS})
    assert_array_equal(summarize(make(), frame["text"]), expected)
    for X in (frame, pl.DataFrame({"text": TEXTS}), [[text] for text in TEXTS]):
        assert_array_equal(summarize(make(), X), expected[:, None])


def test_read_only_arrays(make):
    X = np.array(TEXTS, dtype=object)
    X.setflags(write=False)
    assert_array_equal(summarize(make(), X), summarize(make(), TEXTS))
    assert_array_equal(summarize(make(), X[:, None])[:, 0], summarize(make(), TEXTS))


def test_numbers_of_a_table_pass_through(make):
    table = np.array([[text, i, float("nan")] for i, text in enumerate(TEXTS)], dtype=object)
    found = summarize(make(), table)
    assert_array_equal(found[:, 0], summarize(make(), TEXTS))
    assert found[:, 1].tolist() == list(range(len(TEXTS)))
    assert all(value != value for value in found[:, 2])


def test_set_output(make):
    expected = summarize(make(), TEXTS)
    frame = pd.DataFrame({"text": TEXTS, "n": range(5)}, index=list("abcde"))
    found = make().set_output(transform="pandas").fit_transform(frame)
    assert found.columns.tolist() == ["text", "n"] and found.index.tolist() == list("abcde")
    assert found["n"].dtype == frame["n"].dtype
    assert_array_equal(found["text"], expected)
    series = make().set_output(transform="pandas").fit(frame["text"]).transform(frame["text"])
    assert isinstance(series, pd.Series) and series.name == "text"
    assert series.index.tolist() == list("abcde")
    polar = pl.DataFrame({"text": TEXTS, "n": range(5)})
    found = make().set_output(transform="polars").fit_transform(polar)
    assert found.schema == polar.schema and found["text"].to_list() == expected.tolist()
    series = make().set_output(transform="polars").fit_transform(polar["text"])
    assert isinstance(series, pl.Series) and series.to_list() == expected.tolist()


def test_feature_names(make):
    summarizer = make().fit(pd.DataFrame({"text": TEXTS, "n": range(5)}))
    assert summarizer.get_feature_names_out().tolist() == ["text", "n"]
    assert make().fit(TEXTS).get_feature_names_out().tolist() == ["x0"]
    with pytest.raises(ValueError, match="X has 1 features, but TextSummarizer is expecting 2"):
        summarizer.transform(TEXTS)


# Compositions


def test_pipeline_into_a_vectorizer(make):
    pipeline = make_pipeline(make(), TfidfVectorizer())
    found = pipeline.fit_transform(TEXTS)
    expected = TfidfVectorizer().fit_transform(summarize(make(), TEXTS))
    assert_array_equal(found.toarray(), expected.toarray())


def test_column_transformer(make):
    frame = pd.DataFrame({"text": TEXTS, "n": range(5)})
    columns = ColumnTransformer([("short", make(), ["text"])], remainder="passthrough")
    assert_array_equal(columns.fit_transform(frame)[:, 0], summarize(make(), TEXTS))
    vectors = ColumnTransformer([("vectors", make_pipeline(make(), TfidfVectorizer()), "text")])
    assert vectors.fit_transform(frame).shape[0] == len(TEXTS)


def test_grid_search_in_a_classifier_ignores_labels(make):
    texts, labels = TEXTS * 2, np.array(["dry", "wet"])[[0, 1, 0, 0, 1] * 2]
    pipeline = make_pipeline(make(), TfidfVectorizer(), LogisticRegression())
    search = GridSearchCV(pipeline, {"textsummarizer__max_words": [3, 9]}, cv=2)
    search.fit(texts, labels)
    assert search.best_estimator_[0].ranker_ is None
    assert not np.isnan(search.cv_results_["mean_test_score"]).any()


def test_grid_search_over_rouge(make):
    references = [" ".join(text.split()[:9]) for text in TEXTS]
    search = GridSearchCV(make(learn=False), {"max_words": [1, 9]}, cv=2, error_score="raise")
    assert search.fit(TEXTS, references).best_params_ == {"max_words": 9}
    assert 0 < search.best_score_ <= 1
    assert make(learn=False).fit(TEXTS).score(TEXTS, summarize(make(), TEXTS)) == 1.0


# Telling


def test_log_of_the_last_call(make):
    summarizer = make(prices=(1.0, 2.0)).fit(TEXTS)
    estimate = summarizer.estimate(TEXTS)
    result = summarizer.summarize([*TEXTS, TEXTS[0], ""])
    assert result.failures == summarizer.failures_ == []
    assert result.usage == summarizer.usage_
    asked = 0 if make().backend == "extractive" else len(TEXTS)
    assert result.usage.requests == estimate.requests == asked
    assert estimate.documents == len(TEXTS)
    assert result.usage.cost <= max(estimate.cost, 1e-9)
