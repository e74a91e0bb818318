"""Many texts at a time: bounded threads, kept order, nothing lost when one of them fails."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from sklearn_ext.exceptions import BackendError

__all__ = ["Outcome", "run_batch"]

# After these, no further document would fare better.
FATAL = frozenset({"authentication", "not_found", "quota", "budget"})


class Outcome(NamedTuple):
    """What became of one text.

    Parameters
    ----------
    summary : str
        The summary; empty where there is none.
    error : BackendError or None, default=None
        Why there is none.
    stage : str, default=""
        What was being done then.
    attempts : int, default=0
        Requests that were sent.

    Examples
    --------
    >>> from sklearn_ext.text._batch import Outcome
    >>> Outcome("Short.").error is None
    True
    """

    summary: str
    error: BackendError | None = None
    stage: str = ""
    attempts: int = 0


def run_batch(texts, summarize_one, *, concurrency, stop_at_first, progress=None):
    """Summarise texts with several threads.

    Parameters
    ----------
    texts : list of str
        Different texts.
    summarize_one : callable
        Function from a text to its `Outcome`.
    concurrency : int
        Largest number of threads.
    stop_at_first : bool
        Whether the first failure ends the run. What is under way is always finished.
    progress : callable or None, default=None
        Function that is called with (done, total) behind each text, by one thread at a time.

    Returns
    -------
    outcomes : list of Outcome
        One for each text, in order. Texts that were not asked for carry the error that ended
        the run and the stage ``"not asked"``.

    Examples
    --------
    >>> from sklearn_ext.text._batch import Outcome, run_batch
    >>> def shout(text):
    ...     return Outcome(text.upper())
    >>> found = run_batch(["a", "b"], shout, concurrency=2, stop_at_first=True)
    >>> [outcome.summary for outcome in found]
    ['A', 'B']
    """
    batch = _Batch(texts, summarize_one, stop_at_first, progress)
    n_threads = min(concurrency, len(texts))
    if n_threads <= 1:
        batch.work()
    else:
        _work_together(batch, n_threads)
    missing = Outcome("", batch.ending, "not asked")
    return [missing if outcome is None else outcome for outcome in batch.outcomes]


def _work_together(batch, n_threads):
    with ThreadPoolExecutor(n_threads, thread_name_prefix="sklearn_ext-text") as pool:
        futures = [pool.submit(batch.work) for _ in range(n_threads)]
        try:
            for future in futures:
                future.result()
        finally:  # an interrupt: finish what is under way, begin nothing new
            batch.stopped.set()


class _Batch:
    """Texts, their outcomes, and which comes next."""

    def __init__(self, texts, summarize_one, stop_at_first, progress):
        self.texts, self.summarize_one = texts, summarize_one
        self.stop_at_first, self.progress = stop_at_first, progress
        self.outcomes = [None] * len(texts)
        self.ending = None
        self.stopped = threading.Event()
        self._rows, self._lock, self._done = iter(range(len(texts))), threading.Lock(), 0

    def work(self):
        """Do texts until none is left or the run has ended."""
        while not self.stopped.is_set():
            with self._lock:
                row = next(self._rows, None)
            if row is None:
                return
            try:
                outcome = self.summarize_one(self.texts[row])
            except BaseException:
                self.stopped.set()
                raise
            self._record(row, outcome)

    def _record(self, row, outcome):
        with self._lock:
            self.outcomes[row] = outcome
            error = outcome.error
            if error is not None and (self.stop_at_first or error.kind in FATAL):
                self.ending = self.ending or error
                self.stopped.set()
            self._done += 1
            if self.progress is not None:
                self.progress(self._done, len(self.texts))
