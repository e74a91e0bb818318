"""From the parameters of a summarizer and some texts to their outcomes."""

from contextlib import contextmanager
from dataclasses import dataclass

from sklearn_ext._optional import import_optional
from sklearn_ext.exceptions import BackendError
from sklearn_ext.text._batch import Outcome, run_batch
from sklearn_ext.text._extractive import extract
from sklearn_ext.text._ledger import Ledger, check_budget, price
from sklearn_ext.text._limits import Limits, truncate
from sklearn_ext.text._run_log import Estimate
from sklearn_ext.text._strategies import carry_out, make_plan
from sklearn_ext.text._tokens import estimate_tokens
from sklearn_ext.text.backends._cache import Cache
from sklearn_ext.text.backends._channel import Channel
from sklearn_ext.text.backends._protocol import SummaryRequest
from sklearn_ext.text.backends._registry import make_backend
from sklearn_ext.text.backends._retry import Allowance
from sklearn_ext.text.backends._vendor import VendorSettings

__all__ = ["Engine"]

# Generous numbers of tokens for what may be written at most.
TOKENS_PER_SENTENCE = 100
TOKENS_PER_WORD = 4
TOKENS_PER_CHAR = 1
FEWEST_TOKENS, MOST_TOKENS = 64, 1024


@dataclass(frozen=True)
class Engine:
    """Makes summaries as the parameters of a summarizer say.

    Parameters
    ----------
    params : object
        Has the parameters of :class:`TextSummarizer` as attributes.
    ranker : SentenceRanker or None, default=None
        Trained ranker of sentences.

    Examples
    --------
    >>> from sklearn_ext import TextSummarizer
    >>> from sklearn_ext.text._engine import Engine
    >>> outcomes, usage, unstored = Engine(TextSummarizer(max_sentences=1)).run(["A cat."])
    >>> outcomes[0].summary
    'A cat.'
    """

    params: object
    ranker: object = None

    def check(self):
        """Refuse parameters that do not go together."""
        check_budget(self.params.budget, self.params.prices)
        if self.params.backend != "extractive":
            self._backend()

    def run(self, texts):
        """Summarise texts.

        Parameters
        ----------
        texts : list of str
            Any texts; equal ones are asked for once, empty ones not at all.

        Returns
        -------
        outcomes : list of Outcome
            One for each text.
        usage : Usage
            Requests, tokens and cost.
        unstored : OSError or None
            Why an answer is not in the cache.
        """
        wanted = _wanted(texts)
        ledger = Ledger(self.params.budget, self.params.prices)
        cache = None if self.params.cache is None else Cache(self.params.cache)
        with self._summarizing(wanted, ledger, cache) as (one, concurrency):
            with _shown(self.params.progress, len(wanted)) as progress:
                outcomes = run_batch(
                    wanted,
                    one,
                    concurrency=concurrency,
                    stop_at_first=self.params.on_error == "raise",
                    progress=progress,
                )
        found = dict(zip(wanted, outcomes, strict=True))
        outcomes = [found.get(text, Outcome("")) for text in texts]
        return outcomes, ledger.usage(), cache and cache.failure

    def estimate(self, texts):
        """Tell what `run` would use at most, without a request.

        Parameters
        ----------
        texts : list of str
            Any texts.

        Returns
        -------
        estimate : Estimate
            Documents, chunks, requests, tokens, cost.
        """
        wanted = _wanted(texts)
        if self.params.backend == "extractive":
            cost = price(0, 0, self.params.prices)
            return Estimate(len(wanted), len(wanted), 0, 0, 0, cost)
        backend = self._backend()
        plans = [self._plan(text, backend) for text in wanted]
        tokens_in = sum(plan.n_tokens_in for plan in plans)
        tokens_out = sum(plan.n_requests * plan.template.max_tokens for plan in plans)
        return Estimate(
            len(wanted),
            sum(len(plan.parts) for plan in plans),
            sum(plan.n_requests for plan in plans),
            tokens_in,
            tokens_out,
            price(tokens_in, tokens_out, self.params.prices),
        )

    def extracted(self, text):
        """Summarise a text by its own sentences.

        Parameters
        ----------
        text : str
            Any text.

        Returns
        -------
        summary : str
            Summary within the limits.
        """
        params = self.params
        return extract(
            text, self._limits(), focus=params.focus, language=params.language, ranker=self.ranker
        )

    @contextmanager
    def _summarizing(self, wanted, ledger, cache):
        """Give the function for one text and the number of threads for it."""
        if self.params.backend == "extractive":
            yield (lambda text: Outcome(self.extracted(text))), 1
            return
        backend = self._backend()
        # A missing key, package or folder is no failure of a document.
        if wanted and hasattr(backend, "open"):
            backend.open()
        if wanted and cache is not None:
            cache.open()
        channel = Channel(
            backend,
            ledger,
            self.params.timeout,
            self._context(backend),
            self._count_tokens,
            cache,
        )
        try:
            yield (lambda text: self._asked(text, channel)), self.params.concurrency
        finally:
            # A backend that the caller passed stays open: it may be used again.
            if isinstance(self.params.backend, str):
                backend.close()

    def _asked(self, text, channel):
        """Summarise one text through a channel."""
        params = self.params
        allowance = Allowance(params.max_retries, params.backoff, params.max_wait)
        stage = "summarize"

        def ask(request):
            nonlocal stage
            stage = request.task
            return channel.ask(request, allowance).text

        try:
            plan = self._plan(text, channel.backend)
            summary = carry_out(plan, ask, self.ranker)
        except BackendError as error:
            return Outcome("", error, stage, allowance.sent)
        return Outcome(truncate(summary, self._limits(), language=params.language))

    def _plan(self, text, backend):
        return make_plan(
            text,
            self._template(),
            strategy=self.params.strategy,
            context=self._context(backend),
            count_tokens=self._count_tokens,
            text_only=getattr(backend, "text_only", False),
        )

    def _template(self):
        params = self.params
        return SummaryRequest(
            "",
            max_sentences=params.max_sentences,
            max_words=params.max_words,
            max_chars=params.max_chars,
            focus=params.focus,
            language=params.language,
            max_tokens=params.max_tokens or self._tokens_of_limits(),
        )

    def _tokens_of_limits(self):
        params = self.params
        sizes = (
            (params.max_sentences, TOKENS_PER_SENTENCE),
            (params.max_words, TOKENS_PER_WORD),
            (params.max_chars, TOKENS_PER_CHAR),
        )
        most = min((size * each for size, each in sizes if size is not None), default=MOST_TOKENS)
        return min(max(most, FEWEST_TOKENS), MOST_TOKENS)

    def _limits(self):
        params = self.params
        return Limits(params.max_sentences, params.max_words, params.max_chars)

    def _backend(self):
        params = self.params
        settings = VendorSettings(
            params.model,
            params.base_url,
            params.api_key_env,
            params.timeout,
            params.request_options or {},
        )
        backend = make_backend(params.backend, settings)
        if params.cache is not None and not getattr(backend, "cache_id", None):
            raise ValueError(
                "cache needs a backend with an attribute cache_id: a str that names all settings "
                f"that its answers depend on. {type(params.backend).__name__} has none."
            )
        return backend

    def _context(self, backend):
        if self.params.context_tokens is not None:
            return self.params.context_tokens
        return getattr(backend, "context_tokens", None)

    @property
    def _count_tokens(self):
        return self.params.count_tokens or estimate_tokens


def _wanted(texts):
    """List each text once, without those that hold nothing."""
    return [text for text in dict.fromkeys(texts) if text.strip()]


@contextmanager
def _shown(progress, total):
    """Give the function that shows how far a run is, or None."""
    if progress is not True:
        yield progress or None
        return
    tqdm = import_optional("tqdm.auto", extra="text", purpose="progress=True").tqdm
    with tqdm(total=total, unit="text") as bar:
        yield lambda done, _: bar.update(done - bar.n)
