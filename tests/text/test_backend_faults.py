"""What goes wrong on a real server, seen through the packages of the vendors."""

import random
import warnings

import pytest
from loopback import (
    CUT,
    DRIP,
    EMPTY,
    FILTERED,
    MALFORMED,
    VENDORS,
    Fault,
    first_sentence,
    serving,
    status_fault,
    vendor_settings,
)
from test_summarizer_texts import PACKAGES, TEXTS

from sklearn_ext import TextSummarizer
from sklearn_ext.exceptions import BackendError, SummaryWarning

TEXT = TEXTS[0]


@pytest.fixture(params=VENDORS)
def vendor(request):
    pytest.importorskip(PACKAGES[request.param])
    return request.param


def at_first(*faults):
    """Plan faults for the first requests."""
    return lambda number, text: faults[number] if number < len(faults) else None


def ask(server, vendor="openai", texts=(TEXT,), **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SummaryWarning)
        summarizer = TextSummarizer(**vendor_settings(vendor, server, on_error="warn", **settings))
        return summarizer.fit(texts).summarize(list(texts))


TRANSIENT = {
    "rate_limit": status_fault(429),
    "rate_limit that says when": status_fault(429, Retry_After="0.01"),
    "server": status_fault(500),
    "unavailable": status_fault(503),
    "connection": CUT,
    "malformed": MALFORMED,
    "empty": EMPTY,
}


@pytest.mark.parametrize("name", TRANSIENT)
def test_a_passing_fault_is_passed_over(vendor, name):
    with serving(fault=at_first(TRANSIENT[name])) as server:
        result = ask(server, vendor)
        assert result.failures == []
        assert result.summaries.tolist() == [first_sentence(TEXT)]
        assert server.n_requests == result.usage.requests == 2


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (status_fault(429), "rate_limit"),
        (status_fault(500), "server"),
        (status_fault(503, Retry_After="0"), "server"),
        (CUT, "connection"),
        (MALFORMED, "malformed"),
        (EMPTY, "empty"),
    ],
)
def test_no_document_is_asked_more_than_allowed(vendor, fault, kind):
    with serving(fault=lambda number, text: fault) as server:
        result = ask(server, vendor, max_retries=2)
        (failure,) = result.failures
        assert (failure.row, failure.attempts, failure.stage) == (0, 3, "summarize")
        # Packages tell a cut body and a body that is no JSON apart in their own ways.
        broken = ("connection", "malformed")
        assert failure.error.kind == kind or {failure.error.kind, kind} <= set(broken)
        assert server.n_requests == 3
        assert result.summaries.tolist() == [""]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (status_fault(400), "request"),
        (status_fault(401), "authentication"),
        (status_fault(403), "permission"),
        (status_fault(404), "not_found"),
        (Fault(400, body={"error": {"message": "maximum context length is 9"}}), "context"),
    ],
)
def test_a_lasting_fault_is_met_once(vendor, fault, kind):
    with serving(fault=lambda number, text: fault) as server:
        (failure,) = ask(server, vendor).failures
        assert server.n_requests == failure.attempts == 1
        assert failure.error.kind == kind and not failure.error.is_transient


@pytest.mark.parametrize("name", [name for name in VENDORS if name != "nlpcloud"])  # it has none
def test_a_refused_text_is_sent_once(name):
    pytest.importorskip(PACKAGES[name])
    with serving(fault=lambda number, text: FILTERED) as server:
        (failure,) = ask(server, name).failures
        is_told = name in ("openai", "anthropic", "cohere", "clova")
        assert failure.error.kind == ("content_filter" if is_told else "request")
        assert server.n_requests == failure.attempts == 1


def test_an_empty_account_is_not_asked_again():
    body = {"error": {"message": "check your plan", "code": "insufficient_quota"}}
    with serving(fault=lambda number, text: Fault(429, body=body)) as server:
        (failure,) = ask(server).failures
        assert (failure.error.kind, server.n_requests) == ("quota", 1)


def test_dripping_bytes_do_not_outwit_the_timeout(vendor):
    with serving(fault=at_first(DRIP)) as server:
        result = ask(server, vendor, timeout=0.3, max_retries=0)
        (failure,) = result.failures
        assert failure.error.kind == "timeout"
        assert server.n_drips_finished == 0


def test_a_wait_that_is_too_long_is_not_waited_for():
    with serving(fault=at_first(status_fault(429, Retry_After="3600"))) as server:
        (failure,) = ask(server, max_wait=1.0).failures
        assert failure.error.retry_after == 3600 and server.n_requests == 1


def test_nobody_listens():
    with serving() as server:
        url = server.url
    server.url = url
    (failure,) = ask(server, max_retries=1).failures
    assert (failure.error.kind, failure.attempts) == ("connection", 2)


def test_a_refused_key_ends_the_run():
    with serving(fault=lambda number, text: status_fault(401)) as server:
        texts = [f"Text {i}. More." for i in range(50)]
        result = ask(server, texts=texts, concurrency=4)
        assert server.n_requests <= 4
        assert [failure.row for failure in result.failures] == list(range(50))
        assert {failure.stage for failure in result.failures} == {"summarize", "not asked"}


def test_two_hundred_documents_under_random_faults():
    """Each has its summary or its failure, none is asked more than allowed, none is lost."""
    rng = random.Random(0)
    faults = [*TRANSIENT.values(), status_fault(400), FILTERED]
    plan = [rng.choice(faults) if rng.random() < 0.3 else None for _ in range(2000)]
    texts = [f"Document {i} tells of the sea. It has a second sentence." for i in range(200)]
    with serving(fault=lambda number, text: plan[number]) as server:
        result = ask(server, texts=texts, concurrency=8, max_retries=2, backoff=0.002)
        failed = {failure.row: failure for failure in result.failures}
        assert len(failed) == len(result.failures)
        for row, (text, summary) in enumerate(zip(texts, result.summaries, strict=True)):
            assert (summary == "") == (row in failed)
            assert summary in ("", first_sentence(text))
            assert 1 <= server.asked[text] <= 3
            if row in failed:
                assert failed[row].attempts == server.asked[text]
        assert 0 < len(failed) < 60
        assert sum(server.asked.values()) == result.usage.requests == server.n_requests


def test_raise_comes_after_all_under_way_is_finished_and_cached(tmp_path):
    def fault(number, text):
        return status_fault(400) if text.startswith("Bad") else None

    texts = ["Bad one. More.", *(f"Good {i}. More." for i in range(7))]
    with serving(fault=fault, latency=0.05) as server:
        settings = vendor_settings("openai", server, cache=tmp_path, concurrency=8)
        summarizer = TextSummarizer(**settings).fit(texts)
        with pytest.raises(BackendError, match="400") as caught:
            summarizer.transform(texts)
        done = caught.value.summaries
        assert done.summaries[1:].tolist() == [f"Good {i}." for i in range(7)]
        assert [f.row for f in summarizer.failures_] == [0]
        asked = server.n_requests
        assert summarizer.transform(texts[1:]).tolist() == done.summaries[1:].tolist()
        assert server.n_requests == asked
        assert summarizer.usage_.cached == 7


def test_offline_summaries_step_in():
    with serving(fault=lambda number, text: status_fault(500)) as server:
        settings = vendor_settings("openai", server, on_error="extractive", max_retries=0)
        summarizer = TextSummarizer(**settings).fit(TEXTS)
        with pytest.warns(SummaryWarning, match="5 of the texts got the extractive summary"):
            found = summarizer.transform(TEXTS)
        offline = TextSummarizer(max_sentences=1).fit(TEXTS).transform(TEXTS)
        assert found.tolist() == offline.tolist()
        assert len(summarizer.failures_) == len(TEXTS)


def test_warning_counts_and_quotes():
    with serving(fault=lambda number, text: status_fault(400)) as server:
        summarizer = TextSummarizer(**vendor_settings("openai", server, on_error="warn"))
        with pytest.warns(SummaryWarning, match=r"1 of the texts got an empty .* Row 0: HTTP"):
            assert summarizer.fit_transform([TEXT]).tolist() == [""]
