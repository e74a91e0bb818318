"""What a call did: failures, usage, and the records that speak of them."""

import threading
from typing import NamedTuple

import numpy as np

from sklearn_ext.exceptions import BackendError

__all__ = ["Estimate", "Failure", "RunLog", "Summaries", "UngroundedSummary", "Usage"]


class Failure(NamedTuple):
    """A document that got no summary from the backend.

    Parameters
    ----------
    row : int
        Row of the document. A row of a table with several texts can have several failures.
    stage : str
        What was being done: ``"summarize"``, ``"combine"``, ``"refine"``, or ``"not asked"``
        where an earlier error ended the run.
    error : BackendError
        What went wrong.
    attempts : int
        Requests that were sent for the document.

    Examples
    --------
    >>> from sklearn_ext.exceptions import BackendError
    >>> from sklearn_ext.text import Failure
    >>> Failure(3, "summarize", BackendError("gone", kind="server"), 5).attempts
    5
    """

    row: int
    stage: str
    error: BackendError
    attempts: int


class Usage(NamedTuple):
    """What a call used.

    Parameters
    ----------
    requests : int, default=0
        Requests that were sent, those that failed included.
    tokens_in, tokens_out : int, default=0
        Tokens read and generated, as the vendor counted them.
    cached : int, default=0
        Answers that came from the cache.
    cost : float or None, default=None
        Price of the tokens, in the currency of `prices`; None where no prices were given.

    Examples
    --------
    >>> from sklearn_ext.text import Usage
    >>> Usage(requests=2, tokens_in=800, tokens_out=90).tokens_in
    800
    """

    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cached: int = 0
    cost: float | None = None


class Estimate(NamedTuple):
    """What a call would use at most, if every request is answered at once.

    Parameters
    ----------
    documents : int
        Different documents that are not empty; equal ones are asked once.
    chunks : int
        Parts that they are divided into.
    requests : int
        Requests without those sent again.
    tokens_in, tokens_out : int
        Upper estimates of tokens read and generated.
    cost : float or None
        Price of these tokens; None where no prices were given.

    Examples
    --------
    >>> from sklearn_ext import TextSummarizer
    >>> TextSummarizer().fit(["One. Two."]).estimate(["One. Two."])
    Estimate(documents=1, chunks=1, requests=0, tokens_in=0, tokens_out=0, cost=None)
    """

    documents: int
    chunks: int
    requests: int
    tokens_in: int
    tokens_out: int
    cost: float | None


class UngroundedSummary(NamedTuple):
    """A summary that holds numbers or names its document lacks.

    Parameters
    ----------
    row : int
        Row of the document.
    words : tuple of str
        The numbers and names, in their order in the summary.

    Examples
    --------
    >>> from sklearn_ext.text import UngroundedSummary
    >>> UngroundedSummary(0, ("1999",)).words
    ('1999',)
    """

    row: int
    words: tuple[str, ...]


class Summaries(NamedTuple):
    """Summaries with what is to be known about the call that made them.

    Parameters
    ----------
    summaries : ndarray of the shape of the input
        The summaries; numeric cells of a table as they were.
    failures : list of Failure
        Documents without a summary from the backend, in order of rows.
    usage : Usage
        Requests, tokens and cost.
    warnings : list of UngroundedSummary
        Summaries that say what their documents do not; empty without `check_grounding`.

    Examples
    --------
    >>> from sklearn_ext import TextSummarizer
    >>> result = TextSummarizer(max_sentences=1).fit(["A cat."]).summarize(["A cat."])
    >>> result.summaries.tolist(), result.failures
    (['A cat.'], [])
    """

    summaries: np.ndarray
    failures: list[Failure]
    usage: Usage
    warnings: list[UngroundedSummary]


class RunLog:
    """What the last call of an estimator did; shared by threads.

    Examples
    --------
    >>> from sklearn_ext.text._run_log import RunLog
    >>> RunLog().usage
    Usage(requests=0, tokens_in=0, tokens_out=0, cached=0, cost=None)
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._last = [], Usage(), []

    def refill(self, failures, usage, warnings):
        """Replace what is told, all at once.

        Parameters
        ----------
        failures : list of Failure
            Documents without a summary.
        usage : Usage
            Requests, tokens and cost.
        warnings : list of UngroundedSummary
            Summaries that say too much.
        """
        with self._lock:
            self._last = list(failures), usage, list(warnings)

    @property
    def failures(self):
        """Documents without a summary."""
        return self._last[0]

    @property
    def usage(self):
        """Requests, tokens and cost."""
        return self._last[1]

    @property
    def warnings(self):
        """Summaries that say too much."""
        return self._last[2]
