"""Long texts: parts lose nothing, plans are kept, no request exceeds the context."""

import random
import re

import pytest

from sklearn_ext import TextSummarizer
from sklearn_ext.exceptions import BackendError
from sklearn_ext.text import FakeBackend, SummaryRequest
from sklearn_ext.text._chunking import cut_to, split_text
from sklearn_ext.text._strategies import STRATEGIES, carry_out, make_plan
from sklearn_ext.text._tokens import estimate_tokens

COUNTERS = {
    "estimate": estimate_tokens,
    "characters": len,
    "words": lambda text: len(text.split()),
    "bytes": lambda text: len(text.encode()),
    "a whole with more than its parts": lambda text: len(text) + len(text) // 10,
}


def prose(n_sentences, seed=0):
    rng = random.Random(seed)
    words = ["sea", "harbour", "ship", "날씨가", "좋다", "incomprehensibilities", "a", "12.5"]
    sentences = (" ".join(rng.choices(words, k=rng.randint(1, 30))) for _ in range(n_sentences))
    return " ".join(f"The {sentence}." for sentence in sentences)


TEXTS = {
    "prose": prose(80),
    "no sentence": "word " * 1500,
    "no blank": "x" * 3000,
    "Korean": "오늘은 비가 왔다. 강물이 불었다. " * 60,
    "lines": "one\ntwo\n\nthree\n" * 200,
}


@pytest.mark.parametrize("count", COUNTERS.values(), ids=COUNTERS)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("capacity", [7, 64, 500])
def test_parts_fit_and_lose_nothing_but_white_space(text, count, capacity):
    parts = split_text(text, capacity, count)
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert all(parts) and max(map(count, parts)) <= capacity


def test_parts_end_with_sentences_where_they_can():
    text = "One two three. Four five. Six. Seven eight nine ten."
    parts = split_text(text, 4, COUNTERS["words"])
    assert parts == ["One two three.", "Four five. Six.", "Seven eight nine ten."]


@pytest.mark.parametrize("capacity", [0, 1, 5, 99])
def test_cut_is_the_longest_beginning_that_fits(capacity):
    text = "Rain fell 12 times. 비가."
    found = cut_to(text, capacity, estimate_tokens)
    assert text.startswith(found) and estimate_tokens(found) <= capacity
    longer = text[: len(found) + 1]
    assert longer == found or estimate_tokens(longer) > capacity


class Watching:
    """Backend that answers at the greatest length allowed, and notes the sizes of requests."""

    def __init__(self, count, answer="much "):
        self.count, self.answer, self.sizes, self.texts = count, answer, [], []

    def __call__(self, request):
        read = self.count(request.instructions) + self.count(request.prompt)
        self.sizes.append(read + request.max_tokens)
        self.texts.append(request.text)
        return cut_to(self.answer * 60, request.max_tokens, self.count)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("count", [COUNTERS[name] for name in ("estimate", "words", "bytes")])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_plans_are_kept_in_a_tiny_context(text, count, strategy):
    """The number of requests is known before, and the smallest context is respected."""
    template = SummaryRequest("", max_sentences=1, max_tokens=40)
    with pytest.raises(BackendError, match=r"At least \d+ are needed") as caught:
        make_plan(text, template, strategy=strategy, context=50, count_tokens=count)
    assert caught.value.kind == "context"
    if strategy == "stuff":
        return
    plan, context = _smallest_plan(text, template, strategy, count)
    watching = Watching(count)
    carry_out(plan, watching)
    assert len(watching.sizes) == plan.n_requests
    assert max(watching.sizes) <= context
    assert sum(watching.sizes) <= plan.n_tokens_in + plan.n_requests * plan.template.max_tokens
    if plan.strategy in ("map_reduce", "refine"):
        assert "".join("".join(plan.parts).split()) == "".join(text.split())


def _smallest_plan(text, template, strategy, count):
    """Follow the advice of the errors to the smallest context."""
    context = 50
    while True:
        try:
            plan = make_plan(text, template, strategy=strategy, context=context, count_tokens=count)
            return plan, context
        except BackendError as error:
            context = max(context + 1, int(re.search(r"At least (\d+)", str(error))[1]))


def test_stuff_is_refused_without_a_request():
    backend = FakeBackend(context_tokens=400)
    summarizer = TextSummarizer(backend, strategy="stuff").fit(["a"])
    with pytest.raises(BackendError, match="nothing was sent"):
        summarizer.transform([TEXTS["prose"]])
    assert backend.requests == [] and summarizer.failures_[0].attempts == 0


def test_map_reduce_by_hand():
    template = SummaryRequest("", max_tokens=10)
    plan = make_plan(
        "abcd " * 40, template, strategy="map_reduce", context=100, count_tokens=len, text_only=True
    )
    asked = []
    summary = carry_out(plan, lambda request: asked.append(request) or request.text[:3])
    n_parts = len(plan.parts)
    assert [request.task for request in asked[:n_parts]] == ["summarize"] * n_parts
    assert {request.task for request in asked[n_parts:]} == {"combine"}
    firsts = [part[:3] for part in plan.parts]
    assert asked[n_parts].text == "\n".join(firsts[: plan.fan_in])
    assert summary == "abc"
    assert len({request.fence for request in asked}) == 1


def test_refine_by_hand():
    template = SummaryRequest("", max_tokens=10)
    plan = make_plan(
        "abcd " * 40, template, strategy="refine", context=100, count_tokens=len, text_only=True
    )
    asked = []
    carry_out(plan, lambda request: asked.append(request) or f"s{len(asked)}")
    assert [request.previous for request in asked] == ["", *(f"s{i}" for i in range(1, len(asked)))]
    assert [request.text for request in asked] == list(plan.parts)


@pytest.mark.parametrize("strategy", ["map_reduce", "refine", "extract_then_abstract", "auto"])
def test_estimate_is_kept_by_the_summarizer(strategy):
    backend = FakeBackend(context_tokens=500)
    texts = [TEXTS["prose"], TEXTS["Korean"], "Short. Text."]
    summarizer = TextSummarizer(backend, strategy=strategy, prices=(1, 2), max_sentences=2)
    estimate = summarizer.fit(texts).estimate([*texts, texts[0], ""])
    result = summarizer.summarize(texts)
    assert estimate.documents == 3
    assert result.usage.requests == estimate.requests == len(backend.requests)
    assert result.usage.tokens_in <= estimate.tokens_in
    assert result.usage.cost <= estimate.cost
    assert backend.requests and all(result.summaries)


def test_focus_steers_what_is_kept_for_the_model():
    fillers = " ".join(f"The harbour has {i} ships and ropes." for i in range(60))
    text = f"{fillers} Volcanoes erupt rarely. {fillers}"
    backend = FakeBackend(context_tokens=500)
    TextSummarizer(backend, focus="volcanoes erupt").fit([text]).transform([text])
    assert "Volcanoes erupt rarely." in backend.requests[0].text


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("The quick brown fox jumps over the lazy dog.", 10, 20),
        ("3.14159", 7, 7),
        ("안녕하세요", 15, 15),
        ("deadbeef" * 8, 40, 64),
        ("", 0, 0),
    ],
)
def test_token_estimate_is_from_above(text, least, most):
    assert least <= estimate_tokens(text) <= most
