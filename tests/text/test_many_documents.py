"""Retries, the shared gate, the cache, the budget, threads: what happens among many documents."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import joblib
import pytest
from sklearn.base import clone

from sklearn_ext import TextSummarizer
from sklearn_ext.exceptions import BackendError, SummaryWarning
from sklearn_ext.text import FakeBackend, SummaryReply, SummaryRequest
from sklearn_ext.text._batch import Outcome, run_batch
from sklearn_ext.text._ledger import Ledger
from sklearn_ext.text.backends._cache import Cache, request_key
from sklearn_ext.text.backends._deadline import call_within
from sklearn_ext.text.backends._retry import Allowance, Gate, with_retries

TEXTS = [f"Document {i} is here. It goes on." for i in range(12)]


def failing(*errors):
    """Function that raises errors one after another, then returns."""
    left = list(errors)

    def send():
        if left:
            raise left.pop(0)
        return "done"

    return send


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self):
        self.now, self.sleeps = 0.0, []

    def sleep(self, seconds):
        self.sleeps.append(seconds)
        self.now += seconds

    def gate(self):
        return Gate(clock=lambda: self.now, sleep=self.sleep)


# Retries


def test_waits_double_and_are_spread():
    clock = Clock()
    errors = [BackendError("x", kind="server") for _ in range(4)]
    with_retries(failing(*errors), Allowance(4, backoff=1.0, max_wait=100), clock.gate())
    for i, wait in enumerate(clock.sleeps):
        assert 0.5 * 2**i <= wait <= 1.5 * 2**i
    assert len(set(clock.sleeps)) == 4


def test_retry_after_is_kept():
    clock = Clock()
    error = BackendError("x", kind="rate_limit", retry_after=7.0)
    with_retries(failing(error), Allowance(1), clock.gate())
    assert 7.0 <= clock.now <= 9.0


def test_allowance_is_for_all_requests_of_a_document():
    allowance = Allowance(3, backoff=0.0)
    error = BackendError("x", kind="server")
    gate = Clock().gate()
    assert with_retries(failing(error, error), allowance, gate) == "done"
    with pytest.raises(BackendError):
        with_retries(failing(error, error), allowance, gate)


def test_one_full_server_slows_all_workers():
    clock = Clock()
    gate = clock.gate()
    error = BackendError("x", kind="rate_limit", retry_after=5.0)
    with pytest.raises(BackendError):
        with_retries(failing(error, error), Allowance(1, backoff=0.0), gate)
    gate.close_for(5.0)
    before = clock.now
    with_retries(failing(), Allowance(0), gate)  # another worker, which met no fault itself
    assert clock.now - before == pytest.approx(5.0)


def test_the_gate_closes_for_a_full_server_only():
    clock = Clock()
    gate = clock.gate()
    gate.close_for(3.0)
    gate.close_for(1.0)  # does not open it earlier
    gate.wait()
    assert clock.now == pytest.approx(3.0)


def test_call_within_passes_results_errors_and_the_end_of_time():
    assert call_within(5, lambda: 3) == 3
    with pytest.raises(KeyError):
        call_within(5, lambda: {}["a"])
    release = threading.Event()
    with pytest.raises(BackendError, match=r"within timeout=0\.05"):
        call_within(0.05, release.wait)
    release.set()


def test_global_random_state_is_left_alone():
    import random

    state = random.getstate()
    backend = FakeBackend(faults=[BackendError("x", kind="server")] * 3)
    TextSummarizer(backend, backoff=0.001).fit(TEXTS).transform(TEXTS)
    assert random.getstate() == state


# Errors of a caller's own backend


@pytest.mark.parametrize(
    ("error", "kind", "n_asked"),
    [
        (ValueError("no"), "other", 1),
        (TimeoutError(), "timeout", 3),
        (ConnectionError(), "connection", 3),
    ],
)
def test_errors_of_functions_become_failures(error, kind, n_asked):
    asked = []

    def function(text):
        asked.append(text)
        raise error

    summarizer = TextSummarizer(function, on_error="warn", max_retries=2, backoff=0.001)
    with pytest.warns(SummaryWarning):
        assert summarizer.fit_transform(["A text."]).tolist() == [""]
    assert (summarizer.failures_[0].error.kind, len(asked)) == (kind, n_asked)


def test_wrong_answers_are_failures():
    for backend in (lambda text: 3, lambda text: " "):
        with pytest.raises(BackendError):
            TextSummarizer(backend, max_retries=0).fit_transform(["A text."])

    class Wrong:
        def complete(self, request):
            return "a str"

    with pytest.raises(BackendError, match="must return a SummaryReply, it returned str"):
        TextSummarizer(Wrong()).fit_transform(["A text."])


# Cache


def test_second_run_sends_nothing(tmp_path):
    backend = FakeBackend()
    first = TextSummarizer(backend, cache=tmp_path).fit(TEXTS).transform(TEXTS)
    again = TextSummarizer(backend, cache=str(tmp_path)).fit(TEXTS)
    assert again.transform(TEXTS).tolist() == first.tolist()
    assert len(backend.requests) == len(TEXTS)
    assert again.usage_.requests == 0 and again.usage_.cached == len(TEXTS)


@pytest.mark.parametrize(
    "change", [{"max_words": 5}, {"focus": "rain"}, {"language": "ko"}, {"max_tokens": 99}]
)
def test_other_settings_are_other_answers(tmp_path, change):
    backend = FakeBackend()
    TextSummarizer(backend, cache=tmp_path).fit_transform(TEXTS[:1])
    TextSummarizer(backend, cache=tmp_path, **change).fit_transform(TEXTS[:1])
    assert len(backend.requests) == 2


def test_key_leaves_out_the_fence_only():
    request = SummaryRequest("a", fence="document-1")
    assert request_key(request, "m") == request_key(SummaryRequest("a", fence="document-2"), "m")
    assert request_key(request, "m") != request_key(request, "n")


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"text": 3}', '{"text": "a"}', '{"text": 1, "tokens_in": 1}', "\xff"],
)
def test_a_corrupt_entry_is_a_miss_and_is_mended(tmp_path, content):
    backend = FakeBackend()
    summarizer = TextSummarizer(backend, cache=tmp_path).fit(TEXTS)
    expected = summarizer.transform(TEXTS[:1]).tolist()
    (path,) = tmp_path.rglob("*.json")
    path.write_bytes(content.encode("latin-1"))
    assert summarizer.transform(TEXTS[:1]).tolist() == expected
    assert len(backend.requests) == 2
    assert json.loads(path.read_text())["text"] == expected[0]


def test_an_interrupted_run_goes_on(tmp_path):
    faults = [None] * 5 + [KeyboardInterrupt()]
    backend = FakeBackend(faults=faults)
    summarizer = TextSummarizer(backend, cache=tmp_path, concurrency=1).fit(TEXTS)
    with pytest.raises(KeyboardInterrupt):
        summarizer.transform(TEXTS)
    assert len(list(tmp_path.rglob("*.json"))) == 5
    assert list(tmp_path.rglob("*.part")) == []
    summarizer.transform(TEXTS)
    assert summarizer.usage_.cached == 5 and len(backend.requests) == 6 + len(TEXTS) - 5


def test_equal_documents_are_asked_once_also_among_threads(tmp_path):
    backend = FakeBackend(latency=0.02)
    summarizer = TextSummarizer(backend, cache=tmp_path, concurrency=4).fit(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: summarizer.transform(TEXTS[:4] * 3).tolist(), range(4)))
    assert len(backend.requests) == 4
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("on_error", ["raise", "warn"])
def test_a_cache_that_is_no_folder_is_told_before_anything_is_paid_for(tmp_path, on_error):
    file, backend = tmp_path / "answers.json", FakeBackend()
    file.write_text("{}")
    summarizer = TextSummarizer(backend, cache=file, on_error=on_error).fit(TEXTS)
    with pytest.raises(ValueError, match=r"cache='.*answers\.json' is no folder"):
        summarizer.transform(TEXTS)
    assert backend.requests == []


def test_a_cache_that_is_full_loses_no_answer(tmp_path, monkeypatch):
    def no_space(cache, key, reply):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Cache, "_put", no_space)
    backend = FakeBackend("Short.")
    summarizer = TextSummarizer(backend, cache=tmp_path).fit(TEXTS)
    with pytest.warns(SummaryWarning, match="could not be stored in the cache: .*No space left"):
        summaries = summarizer.transform(TEXTS)
    assert summaries.tolist() == ["Short."] * len(TEXTS)
    assert len(backend.requests) == len(TEXTS)


def test_failures_are_not_cached(tmp_path):
    cache = Cache(tmp_path)
    with pytest.raises(BackendError):
        cache.answer("ab12", failing(BackendError("x")))
    assert cache.answer("ab12", lambda: SummaryReply("y")) == (SummaryReply("y"), False)


def test_a_backend_without_a_name_is_not_cached(tmp_path):
    with pytest.raises(ValueError, match="attribute cache_id"):
        TextSummarizer(lambda text: text, cache=tmp_path).fit(TEXTS)


# Budget


def test_budget_of_requests_stops_before_and_keeps_what_is_done(tmp_path):
    backend = FakeBackend()
    settings = {"budget": {"requests": 4}, "concurrency": 1, "cache": tmp_path}
    summarizer = TextSummarizer(backend, **settings).fit(TEXTS)
    with pytest.raises(BackendError, match="requests would reach 5") as caught:
        summarizer.transform(TEXTS)
    assert caught.value.kind == "budget" and len(backend.requests) == 4
    assert all(caught.value.summaries.summaries[:4])
    assert {f.attempts for f in summarizer.failures_} == {0}
    for _ in range(2):  # each further call goes on where the last one stopped
        try:
            summarizer.transform(TEXTS)
        except BackendError:
            pass
    assert len(backend.requests) == len(TEXTS)


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_budget_that_is_enough_for_one_thread_is_enough_for_many(concurrency):
    # Each request may use 1,000 tokens or so, and uses few: all fit, one after another.
    backend = FakeBackend("Short.", latency=0.02)
    settings = {"budget": {"tokens": 1200}, "max_sentences": 8, "concurrency": concurrency}
    result = TextSummarizer(backend, **settings).fit(TEXTS).summarize(TEXTS)
    assert result.failures == [] and result.usage.requests == len(TEXTS)


def test_who_waits_for_the_budget_is_told_when_it_is_spent():
    ledger, ended = Ledger({"tokens": 100}, None), []
    ledger.reserve(60, 0)

    def wait():
        with pytest.raises(BackendError, match="tokens would reach 110"):
            ledger.reserve(50, 0)
        ended.append(True)

    waiting = threading.Thread(target=wait)
    waiting.start()
    waiting.join(0.05)
    assert not ended  # it fits if what is under way uses little
    ledger.fail((60, 0), RuntimeError("an answer that nobody saw may be charged"))
    waiting.join(10)
    assert ended


@pytest.mark.parametrize("budget", [{"tokens": 700}, {"cost": 0.0007}])
def test_budget_is_never_exceeded(budget):
    backend = FakeBackend("word " * 20)
    summarizer = TextSummarizer(backend, budget=budget, prices=(1, 1), on_error="warn")
    with pytest.warns(SummaryWarning, match="could exceed"):
        summarizer.fit(TEXTS).transform(TEXTS)
    usage = summarizer.usage_
    # One request could use 520, and uses 29: the budget is too small however they overlap.
    assert 0 < usage.tokens_in + usage.tokens_out <= 700
    assert usage.cost <= 0.0007 and len(summarizer.failures_) > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"budget": {"request": 3}}, "budget must map some of"),
        ({"budget": {"tokens": -1}}, "budget must map some of"),
        ({"budget": {"cost": 1.0}}, "pass prices as well"),
        ({"prices": (1.0,)}, "prices must be two numbers"),
        ({"backend": "openai"}, "needs model"),
        ({"backend": "azure"}, "needs base_url"),
        ({"backend": "openai", "model": "m", "base_url": "http://u:p@h/v1"}, "api_key_env"),
    ],
)
def test_parameters_that_say_nothing_are_refused_by_fit(settings, message):
    with pytest.raises(ValueError, match=message):
        TextSummarizer(**settings).fit(TEXTS)


# Threads, loops, processes


def test_order_is_kept_and_threads_are_bounded():
    under_way, most, lock = 0, 0, threading.Lock()
    meet = threading.Barrier(3, timeout=20)

    def function(text):
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        meet.wait()  # three are here together, or the test ends by the barrier's time
        with lock:
            under_way -= 1
        return text.split(".")[0]

    found = TextSummarizer(function, concurrency=3).fit(TEXTS).transform(TEXTS)
    assert found.tolist() == [text.split(".")[0] for text in TEXTS]
    assert most == 3


def test_inside_a_running_event_loop():
    async def notebook():
        return TextSummarizer(FakeBackend(), max_sentences=1).fit_transform(TEXTS).tolist()

    assert asyncio.run(notebook()) == [text.split(". ")[0] for text in TEXTS]


def work(summarizer, texts):
    return summarizer.transform(texts).tolist()


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_inside_workers(backend):
    summarizer = TextSummarizer(FakeBackend(), max_sentences=1).fit(TEXTS)
    jobs = (joblib.delayed(work)(summarizer, TEXTS[i : i + 4]) for i in (0, 4, 8))
    found = joblib.Parallel(n_jobs=2, backend=backend)(jobs)
    assert found == [[text.split(". ")[0] for text in TEXTS[i : i + 4]] for i in (0, 4, 8)]


def test_logs_of_threads_do_not_mix():
    summarizer = TextSummarizer(FakeBackend(latency=0.001)).fit(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda n: summarizer.summarize(TEXTS[:n]), [1, 3, 5, 7]))
    assert [result.usage.requests for result in results] == [1, 3, 5, 7]
    assert summarizer.usage_.requests in (1, 3, 5, 7)


def test_the_rest_is_marked_as_not_asked():
    def one(text):
        return Outcome("", BackendError("x", kind="quota"), "summarize", 1)

    first, *rest = run_batch(list("abc"), one, concurrency=1, stop_at_first=False)
    assert first.attempts == 1
    assert all((o.stage, o.attempts, o.error) == ("not asked", 0, first.error) for o in rest)


def test_progress(capsys):
    seen = []
    summarizer = TextSummarizer(FakeBackend(), progress=lambda *state: seen.append(state))
    summarizer.fit_transform([*TEXTS, TEXTS[0]])
    assert seen == [(i + 1, len(TEXTS)) for i in range(len(TEXTS))]
    pytest.importorskip("tqdm")
    TextSummarizer(progress=True).fit_transform(TEXTS[:3])
    assert "3/3" in capsys.readouterr().err


# The fake itself


def test_fake_is_shared_by_clones_and_copied_by_pickle():
    import pickle

    backend = FakeBackend("Yes.")
    assert clone(TextSummarizer(backend)).backend is backend
    returned = pickle.loads(pickle.dumps(backend))
    assert returned.complete(SummaryRequest("a")).text == "Yes." and backend.requests == []


# Learning


def test_reference_summaries_train_the_ranking_and_labels_do_not():
    texts = [
        f"Filler {i} is dull. Bold results number {i} matter. More filler here." for i in range(20)
    ]
    summaries = [f"Bold results number {i} matter." for i in range(20)]
    trained = TextSummarizer(max_sentences=1, random_state=0).fit(texts, summaries)
    assert trained.ranker_ is not None
    plain = TextSummarizer(max_sentences=1).fit(texts)
    assert trained.score(texts, summaries) >= plain.score(texts, summaries)
    for labels in (["dry", "wet"] * 10, list(range(20)), ["a long label indeed"] * 20):
        assert TextSummarizer().fit(texts, labels).ranker_ is None
    assert TextSummarizer(learn=False).fit(texts, summaries).ranker_ is None
    with pytest.raises(ValueError, match="learn=True needs y"):
        TextSummarizer(learn=True).fit(texts, list(range(20)))


@pytest.mark.parametrize("metric", ["rouge1", "rouge2", "rougeLsum"])
def test_score_is_that_of_rouge_score(metric):
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer([metric])
    references = [text.split(". ")[1] + " Document here." for text in TEXTS]
    summarizer = TextSummarizer(max_sentences=1, metric=metric).fit(TEXTS)
    found = summarizer.transform(TEXTS)
    expected = [scorer.score(r, s)[metric].fmeasure for r, s in zip(references, found, strict=True)]
    assert summarizer.score(TEXTS, references) == pytest.approx(sum(expected) / 12, abs=1e-9)
    table = [[text, i] for i, text in enumerate(TEXTS)]
    as_table = TextSummarizer(max_sentences=1, metric=metric).fit(table)
    assert as_table.score(table, references) == pytest.approx(sum(expected) / 12, abs=1e-9)


@pytest.mark.parametrize("text", ["오늘은 비가 왔다.", "今日は雨です。", "วันนี้ฝนตก"])
def test_score_knows_every_script(text):
    assert TextSummarizer().fit([text]).score([text], [text]) == 1.0
