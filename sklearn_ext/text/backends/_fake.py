"""A backend without a server, for tests."""

import threading
import time
from collections.abc import Callable, Iterable

from sklearn_ext.exceptions import BackendError
from sklearn_ext.text.backends._protocol import SummaryReply, SummaryRequest

__all__ = ["FakeBackend"]


class FakeBackend:
    """Backend that answers at once, fails when told to, and remembers what it was asked.

    It asks nobody, so tests of a pipeline need neither key nor network. `clone` gives the same
    object: after a grid search it has seen every request.

    Parameters
    ----------
    reply : str, callable or None, default=None
        The answer, or a function from the request to it. None answers with the first
        `max_sentences` lines or pieces between full stops.
    faults : iterable of BackendError or None, default=()
        What happens to the first requests, in order: an error is raised, None answers. Later
        requests are answered.
    latency : float, default=0.0
        Seconds until an answer.
    context_tokens : int or None, default=None
        Tokens that prompt and answer may have together; None sets no limit.

    Attributes
    ----------
    requests : list of SummaryRequest
        What was asked, in order.

    Examples
    --------
    >>> from sklearn_ext import TextSummarizer
    >>> from sklearn_ext.text import FakeBackend
    >>> backend = FakeBackend(reply=lambda request: request.text.upper())
    >>> TextSummarizer(backend).fit(["It rains."]).transform(["It rains."])
    array(['IT RAINS.'], dtype=object)
    >>> len(backend.requests)
    1
    """

    def __init__(
        self,
        reply: str | Callable[[SummaryRequest], str] | None = None,
        *,
        faults: Iterable[BackendError | None] = (),
        latency: float = 0.0,
        context_tokens: int | None = None,
    ) -> None:
        self.reply, self.latency, self.context_tokens = reply, latency, context_tokens
        self.requests: list[SummaryRequest] = []
        self._faults = list(faults)[::-1]
        self._lock = threading.Lock()

    @property
    def cache_id(self) -> str:
        """Name that cached answers are found by."""
        made = getattr(self.reply, "__qualname__", None) if callable(self.reply) else self.reply
        return f"fake:{made}"

    def complete(self, request: SummaryRequest) -> SummaryReply:
        """Answer, or fail as `faults` say.

        Parameters
        ----------
        request : SummaryRequest
            What is asked for.

        Returns
        -------
        reply : SummaryReply
            The answer; tokens are its words.
        """
        with self._lock:
            self.requests.append(request)
            fault = self._faults.pop() if self._faults else None
        if self.latency:
            time.sleep(self.latency)
        if fault is not None:
            raise fault
        text = self._answer(request)
        return SummaryReply(text, len(request.prompt.split()), len(text.split()))

    def _answer(self, request: SummaryRequest) -> str:
        if callable(self.reply):
            return self.reply(request)
        if self.reply is not None:
            return self.reply
        pieces = request.text.replace("\n", ". ").split(". ")
        return ". ".join(pieces[: request.max_sentences])

    def __sklearn_clone__(self) -> "FakeBackend":
        return self

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state, _lock=threading.Lock())
