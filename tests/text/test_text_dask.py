"""Summaries where a dask bag or data frame lies, on two worker processes."""

import pandas as pd
import pytest
from worker_processes import two_workers

from sklearn_ext import TextSummarizer
from sklearn_ext.text import FakeBackend

pytest.importorskip("distributed")
bags = pytest.importorskip("dask.bag")
frames = pytest.importorskip("dask.dataframe")

TEXTS = [f"Document {i} is here. It goes on about other things." for i in range(12)]


@pytest.fixture(scope="module")
def client():
    with two_workers(threads_per_worker=2) as client:
        yield client


@pytest.fixture(params=["extractive", FakeBackend()], ids=["extractive", "fake"])
def summarizer(request):
    return TextSummarizer(request.param, max_sentences=1).fit(TEXTS)


def summaries_of(part, summarizer):
    return summarizer.transform(list(part)).tolist()


def with_summaries(part, summarizer):
    return part.assign(text=summarizer.transform(part["text"]))


def test_bag(client, summarizer):
    bag = bags.from_sequence(TEXTS, npartitions=4)
    found = bag.map_partitions(summaries_of, summarizer).compute()
    assert found == summarizer.transform(TEXTS).tolist()


def test_data_frame(client, summarizer):
    frame = pd.DataFrame({"text": TEXTS, "n": range(len(TEXTS))})
    lazy = frames.from_pandas(frame, npartitions=3)
    found = lazy.map_partitions(with_summaries, summarizer, meta=lazy).compute()
    assert found["text"].tolist() == summarizer.transform(TEXTS).tolist()
    assert found["n"].tolist() == frame["n"].tolist()


def test_empty_partitions(client, summarizer):
    frame = pd.DataFrame({"text": TEXTS, "n": range(len(TEXTS))})
    lazy = frames.from_pandas(frame, npartitions=3)
    few = lazy[lazy["n"] < 2].map_partitions(with_summaries, summarizer, meta=lazy).compute()
    assert few["text"].tolist() == summarizer.transform(TEXTS[:2]).tolist()
    whole = TextSummarizer(max_sentences=1).fit(frame)
    assert whole.transform(frame.iloc[:0]).shape == (0, 2)
