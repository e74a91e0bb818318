"""Summaries as a transformer: offline by default, through every API when asked."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import check_consistent_length

from sklearn_ext._documentation import DocumentationLinkMixin
from sklearn_ext._validation import (
    HasMethods,
    Interval,
    StrOptions,
    _fit_context,
    all_or_nothing,
    assign_parameters,
    check_is_fitted,
)
from sklearn_ext.text._containers import SameShapeOutputMixin
from sklearn_ext.text._engine import Engine
from sklearn_ext.text._failures import answer_for_failures, failures_of, warn_of_cache
from sklearn_ext.text._grounding import ungrounded
from sklearn_ext.text._last_call import LastCallMixin
from sklearn_ext.text._references import reference_texts
from sklearn_ext.text._rouge import rouge
from sklearn_ext.text._run_log import RunLog, Summaries
from sklearn_ext.text._strategies import STRATEGIES
from sklearn_ext.text._text_table import read_table, read_texts
from sklearn_ext.text._trained_ranker import SentenceRanker
from sklearn_ext.text.backends._registry import VENDORS

__all__ = ["TextSummarizer"]

AT_LEAST_1 = Interval(Integral, 1, None, closed="left")
AT_LEAST_0 = Interval(Real, 0, None, closed="left")


class TextSummarizer(
    SameShapeOutputMixin,
    LastCallMixin,
    DocumentationLinkMixin,
    OneToOneFeatureMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Summaries of texts, from the texts' own sentences or from a language model.

    The default works offline: it ranks the sentences of each text and keeps the best ones, within
    limits that always hold. With the name of a vendor the same transformer asks a language model,
    several documents at a time, with retries, a cache and a budget; what fails is told, and
    nothing that succeeded is lost.

    Parameters
    ----------
    backend : str, object or callable, default="extractive"
        Who summarises. ``"extractive"`` is offline. ``"openai"`` is every server that speaks
        OpenAI's chat completions (see `base_url`); ``"anthropic"`` and ``"cohere"`` are chat
        models as well; ``"azure"``, ``"nlpcloud"``, ``"clova"`` and ``"meaningcloud"`` are
        services for summaries. Also a function from a text to its summary, or an object with
        a method ``complete(request)`` (see the notes).
    model : str, default=None
        The vendor's name of the model; needed for "openai", "anthropic", "cohere", "nlpcloud".
        For "azure": "abstractive" (also None) or "extractive".
    max_sentences : int, default=3
        Largest number of sentences of a summary. None sets no limit.
    max_words : int, default=None
        Largest number of words between white space.
    max_chars : int, default=None
        Largest number of characters.
    focus : str, default=None
        What the summaries are to be about. It steers the ranking of sentences as well as the
        prompt; services for summaries other than chat models do not know it.
    language : str, default="auto"
        Code such as "en", "ko", "ja": of the texts, for the ends of sentences, and to write in.
    strategy : {"auto", "stuff", "map_reduce", "refine", "extract_then_abstract"}, default="auto"
        What to do with a text that does not fit into the context. "stuff" fails;
        "map_reduce" summarises parts and then their summaries; "refine" goes through the parts
        with the summary so far; "extract_then_abstract", also "auto", shortens the text by its
        own sentences first and asks once.
    context_tokens : int, default=None
        Tokens that prompt and answer may have together. None takes what is known of the backend:
        128,000 for "openai" and "cohere", 200,000 for "anthropic", but 8,192 with a `base_url`.
    max_tokens : int, default=None
        Tokens that may be generated for one answer. None takes a generous number from the
        limits, at most 1,024. A model that reasons needs more.
    count_tokens : callable, default=None
        Function from a text to its number of tokens. None is an estimate from above, in English
        1.4 times the number.
    base_url : str, default=None
        Address of another server than the vendor's own: Azure OpenAI, AssemblyAI's gateway,
        Ollama, vLLM, llama.cpp for "openai"; the endpoint of your resource for "azure".
    api_key_env : str or callable, default=None
        NAME of the environment variable that holds the key, or a function that returns it; never
        the key itself. None takes the vendor's own: ``OPENAI_API_KEY``, ``ANTHROPIC_API_KEY``,
        ``CO_API_KEY``, ``AZURE_LANGUAGE_KEY``, ``NLPCLOUD_API_KEY``, ``CLOVASTUDIO_API_KEY``,
        ``MEANINGCLOUD_API_KEY``. With `base_url`, None sends no key: that of the vendor is for
        the vendor only.
    request_options : dict, default=None
        Further fields of each request, such as ``{"temperature": 0}``.
    concurrency : int, default=8
        Documents that are asked for at the same time.
    timeout : float, default=60.0
        Seconds that one request may take as a whole, also where bytes keep dripping in.
    max_retries : int, default=4
        Requests of one document that may be sent again, in all. Nothing is sent again after the
        statuses 400, 401, 403 and 404.
    backoff : float, default=1.0
        Seconds before the first retry; each further wait is twice as long. All waits are spread
        by up to a half, a ``Retry-After`` of the server is kept, and a server that is full slows
        all threads down together.
    max_wait : float, default=60.0
        Longest wait in seconds; a server that asks for a longer one is not asked again.
    on_error : {"raise", "warn", "extractive"}, default="raise"
        What to do about a document that failed: raise its error, once everything under way is
        finished (and cached); or give an empty string, or the offline summary, and warn.
    cache : str or path, default=None
        Directory where answers are kept, found by text, settings and model. A second run sends
        nothing (but wants the key as well), an interrupted one goes on. The summaries in it are as
        readable as any file; texts and keys are not in it. None keeps nothing.
    budget : dict, default=None
        Most of "requests", "tokens" and "cost" that one call may use. The request that could
        exceed it, whatever becomes of those under way, is not sent, and the run ends as for an
        error; what is done is kept.
    prices : tuple of two floats, default=None
        Prices of a million tokens read and generated, for `usage_`, `estimate` and `budget`.
    check_grounding : bool, default=False
        Whether to list numbers and names of a summary that its text lacks in `warnings_`.
    learn : bool or "auto", default="auto"
        Whether `fit` trains the ranking of sentences on `y`. "auto" does so if `y` holds
        summaries: texts of 10 characters and more at the median, half of them different at the
        least; labels of a classifier in the same pipeline are left alone.
    metric : {"rouge1", "rouge2", "rougeLsum"}, default="rougeLsum"
        What `score` gives the mean F1 of: overlap in words, in pairs of words, or in order
        ("Lsum", where each line of a text is a sentence).
    progress : bool or callable, default=False
        True shows a bar (by the package tqdm); a function is called with (done, total).
    random_state : int, RandomState instance or None, default=None
        Seed of the training of the ranking.

    Attributes
    ----------
    failures_ : list of Failure
        Documents of the last call that failed: `row`, `stage`, `error`, `attempts`.
    usage_ : Usage
        Requests, tokens, cached answers and cost of the last call.
    warnings_ : list of UngroundedSummary
        Summaries of the last call with numbers or names that their texts lack.
    ranker_ : SentenceRanker or None
        Ranking trained on reference summaries; None where `fit` got none.
    n_features_in_ : int
        Number of columns; 1 for a sequence of texts.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of columns, where X has names that are all strings.

    See Also
    --------
    sklearn_ext.text.FakeBackend : Backend for tests, without a server.

    Notes
    -----
    A backend of your own is an object with one method: ``complete(request)`` takes a
    :class:`sklearn_ext.text.SummaryRequest`, returns a :class:`sklearn_ext.text.SummaryReply` and
    raises :class:`sklearn_ext.exceptions.BackendError`. It may have two attributes:
    `context_tokens`, and `cache_id`, a str that names all settings its answers depend on, without
    which `cache` is refused.

    Only the text, the limits, `focus` and `language` are sent. The text stands between two
    delimiters with 20 random digits, which it cannot close, and the model is told that what
    stands there is no instruction. Neither client nor key is ever an attribute: `repr`,
    `get_params`, pickles, the cache and error messages hold none.

    `failures_`, `usage_` and `warnings_` speak of the last call of `transform`, `summarize` or
    `score` and are not pickled; in threads, `summarize` returns them with the summaries.

    A missing text (None, NaN) has an empty summary. Equal texts are asked for once. A refused
    key, an unknown model, an empty account and the budget end a run, as no further document
    would fare better; the rest stands in `failures_` with the stage "not asked".

    Examples
    --------
    >>> from sklearn_ext import TextSummarizer
    >>> texts = ["The cat sat on the mat. The mat was red. The red mat pleased the cat."]
    >>> summarizer = TextSummarizer(max_sentences=1).fit(texts)
    >>> len(summarizer.transform(texts)[0]) < len(texts[0])
    True

    Numbers in a table stay as they are:

    >>> TextSummarizer(max_words=2).fit_transform([["It rained all day.", 8.5]])
    array([['It rained', 8.5]], dtype=object)
    """

    _parameter_constraints: dict = {
        "backend": [StrOptions({"extractive", *VENDORS}), HasMethods("complete"), callable],
        "model": [str, None],
        "max_sentences": [AT_LEAST_1, None],
        "max_words": [AT_LEAST_1, None],
        "max_chars": [AT_LEAST_1, None],
        "focus": [str, None],
        "language": [str],
        "strategy": [StrOptions(set(STRATEGIES))],
        "context_tokens": [AT_LEAST_1, None],
        "max_tokens": [AT_LEAST_1, None],
        "count_tokens": [callable, None],
        "base_url": [str, None],
        "api_key_env": [str, callable, None],
        "request_options": [dict, None],
        "concurrency": [AT_LEAST_1],
        "timeout": [Interval(Real, 0, None, closed="neither")],
        "max_retries": [Interval(Integral, 0, None, closed="left")],
        "backoff": [AT_LEAST_0],
        "max_wait": [AT_LEAST_0],
        "on_error": [StrOptions({"raise", "warn", "extractive"})],
        "cache": [str, HasMethods("__fspath__"), None],
        "budget": [dict, None],
        "prices": [tuple, list, None],
        "check_grounding": ["boolean"],
        "learn": ["boolean", StrOptions({"auto"})],
        "metric": [StrOptions({"rouge1", "rouge2", "rougeLsum"})],
        "progress": ["boolean", callable],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        backend="extractive",
        *,
        model=None,
        max_sentences=3,
        max_words=None,
        max_chars=None,
        focus=None,
        language="auto",
        strategy="auto",
        context_tokens=None,
        max_tokens=None,
        count_tokens=None,
        base_url=None,
        api_key_env=None,
        request_options=None,
        concurrency=8,
        timeout=60.0,
        max_retries=4,
        backoff=1.0,
        max_wait=60.0,
        on_error="raise",
        cache=None,
        budget=None,
        prices=None,
        check_grounding=False,
        learn="auto",
        metric="rougeLsum",
        progress=False,
        random_state=None,
    ):
        assign_parameters(self, locals())

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn which columns hold texts and, from reference summaries, how to rank sentences.

        No request is sent.

        Parameters
        ----------
        X : sequence of n_samples str, or array-like of shape (n_samples, n_features)
            Texts (list, array, Series), or a table with columns of texts and of numbers.
        y : sequence of n_samples str, default=None
            Reference summaries, see `learn`. Anything else, such as labels, is not used.

        Returns
        -------
        self : object
            Fitted summarizer.
        """
        with all_or_nothing(self):
            Engine(self).check()
            table = read_table(self, X, reset=True)
            self.ranker_ = self._train_ranker(table, y)
            self._run_log = RunLog()
        return self

    def transform(self, X):
        """Summarise texts.

        Parameters
        ----------
        X : sequence of n_samples str, or array-like of shape (n_samples, n_features)
            Texts, or a table with as many columns as at fit.

        Returns
        -------
        summaries : ndarray of shape (n_samples,) or (n_samples, n_features), or a frame
            Summaries in the places of the texts; cells with numbers as they were. With
            `set_output`, a Series or a frame of that library.

        Raises
        ------
        BackendError
            With ``on_error="raise"``, if a document failed. Its attribute `summaries` holds what
            is done.
        """
        return self._finished(self._read(X)).summaries

    def summarize(self, X):
        """Summarise texts, and tell what happened.

        Parameters
        ----------
        X : sequence of n_samples str, or array-like of shape (n_samples, n_features)
            Texts, or a table with as many columns as at fit.

        Returns
        -------
        result : Summaries
            Named tuple of `summaries`, `failures`, `usage` and `warnings`, of this call alone.
        """
        table = self._read(X)
        return _shaped(self._finished(table), table)

    def score(self, X, y):
        """Compare summaries with reference summaries by ROUGE.

        Parameters
        ----------
        X : sequence of n_samples str, or array-like of shape (n_samples, n_features)
            Texts; a table must have one text in each row.
        y : sequence of n_samples str
            Reference summaries.

        Returns
        -------
        score : float
            Mean F1 of `metric`, from 0 to 1, on words of any alphabet. NaN for a table without
            texts.
        """
        check_consistent_length(X, y)
        table = self._read(X)
        if not table.texts:
            return float("nan")
        if not table.has_one_text_a_row:
            raise ValueError(
                f"score needs one text in each row, X has {len(table.texts)} texts in "
                f"{len(y)} rows."
            )
        references = read_texts(y, name="y")
        summaries = self._finished(table).summaries[table.rows, table.columns]
        pairs = zip(references, summaries, strict=True)
        return float(np.mean([rouge(*pair, self.metric).fmeasure for pair in pairs]))

    def estimate(self, X):
        """Tell what `transform` would use at most, before a single request.

        Parameters
        ----------
        X : sequence of n_samples str, or array-like of shape (n_samples, n_features)
            Texts, or a table with as many columns as at fit.

        Returns
        -------
        estimate : Estimate
            Named tuple of `documents`, `chunks`, `requests`, `tokens_in`, `tokens_out` and
            `cost`. Retries are not in it, answers in the cache are not taken off.
        """
        return Engine(self, None).estimate(self._read(X).texts)

    def _train_ranker(self, table, y):
        """Train a ranking of sentences where y holds summaries of the texts."""
        summaries = reference_texts(y, self.learn)
        if summaries is None or not table.texts:
            return None
        check_consistent_length(table.values, summaries)
        if not table.has_one_text_a_row:
            if self.learn == "auto":  # y may be of anything
                return None
            raise ValueError(
                f"learn=True needs one text in each row, X has {len(table.texts)} texts in "
                f"{len(summaries)} rows."
            )
        pairs = [pair for pair in zip(table.texts, summaries, strict=True) if pair[1].strip()]
        texts, summaries = zip(*pairs, strict=True) if pairs else ([], [])
        return SentenceRanker().fit(texts, summaries, random_state=self.random_state)

    def _read(self, X):
        check_is_fitted(self)
        return read_table(self, X, reset=False)

    def _finished(self, table):
        """Run, log, and deal with failures as `on_error` says."""
        engine = Engine(self, self.ranker_)
        outcomes, usage, unstored = engine.run(table.texts)
        texts = [outcome.summary for outcome in outcomes]
        if self.on_error == "extractive":
            texts = [
                summary if outcome.error is None else engine.extracted(text)
                for text, summary, outcome in zip(table.texts, texts, outcomes, strict=True)
            ]
        failures = failures_of(table.rows, outcomes)
        flagged = ungrounded(table.rows, table.texts, texts) if self.check_grounding else []
        result = Summaries(table.filled(texts), failures, usage, flagged)
        self._run_log.refill(failures, usage, flagged)
        warn_of_cache(unstored)
        answer_for_failures(_shaped(result, table), self.on_error)
        return result

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _shaped(result, table):
    """Give the summaries of a sequence without columns."""
    return result._replace(summaries=result.summaries[:, 0]) if table.is_sequence else result
