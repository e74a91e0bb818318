"""The one way to a backend: cache, gate, budget, context and time limit, retries."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from sklearn_ext.exceptions import BackendError
from sklearn_ext.text.backends._cache import Cache, request_key
from sklearn_ext.text.backends._deadline import call_within
from sklearn_ext.text.backends._protocol import (
    Backend,
    SummaryReply,
    SummaryRequest,
    request_tokens,
)
from sklearn_ext.text.backends._retry import Allowance, Gate, with_retries

__all__ = ["Channel", "encodable"]


@dataclass
class Channel:
    """What all workers of a call ask through.

    Parameters
    ----------
    backend : Backend
        Who answers.
    ledger : Ledger
        Account and budget.
    timeout : float
        Seconds that one request may take as a whole.
    context_tokens : int or None
        Tokens that prompt and answer may have together.
    count_tokens : callable
        Function from a text to its number of tokens.
    cache : Cache or None, default=None
        Where answers are kept.
    gate : Gate
        What slows all workers down together.

    Examples
    --------
    >>> from sklearn_ext.text import FakeBackend, SummaryRequest
    >>> from sklearn_ext.text._ledger import Ledger
    >>> from sklearn_ext.text.backends._channel import Channel
    >>> from sklearn_ext.text.backends._retry import Allowance
    >>> channel = Channel(FakeBackend("Short."), Ledger(None, None), 5.0, None, len)
    >>> channel.ask(SummaryRequest("A long text."), Allowance(retries=1)).text
    'Short.'
    """

    backend: Backend
    ledger: Any
    timeout: float
    context_tokens: int | None
    count_tokens: Callable[[str], int]
    cache: Cache | None = None
    gate: Gate = field(default_factory=Gate)

    def ask(self, request: SummaryRequest, allowance: Allowance) -> SummaryReply:
        """Get an answer from the cache or from the backend.

        Parameters
        ----------
        request : SummaryRequest
            What is asked for.
        allowance : Allowance
            How often the requests of this document may still be sent again.

        Returns
        -------
        reply : SummaryReply
            The answer.

        Raises
        ------
        BackendError
            If there is none.
        """
        request = replace(
            request, text=encodable(request.text), previous=encodable(request.previous)
        )

        def fetch() -> SummaryReply:
            return with_retries(lambda: self._send(request, allowance), allowance, self.gate)

        if self.cache is None:
            return fetch()
        backend_id = str(getattr(self.backend, "cache_id", ""))
        reply, was_stored = self.cache.answer(request_key(request, backend_id), fetch)
        if was_stored:
            self.ledger.count_cached()
        return reply

    def _send(self, request: SummaryRequest, allowance: Allowance) -> SummaryReply:
        text_only = getattr(self.backend, "text_only", False)
        read = request_tokens(request, self.count_tokens, text_only=text_only)
        reserved = read, request.max_tokens
        self._check_context(sum(reserved))
        self.ledger.reserve(*reserved)
        allowance.sent += 1
        try:
            reply = self._checked(call_within(self.timeout, lambda: self._complete(request)))
            counted = reply.tokens_in, reply.tokens_out
            used = counted if any(counted) else (read, self.count_tokens(reply.text))
        except BaseException as error:  # or others would wait for it without end
            self.ledger.fail(reserved, error)
            raise
        self.ledger.settle(reserved, used)
        return reply

    def _complete(self, request: SummaryRequest) -> SummaryReply:
        """Ask, with errors of a caller's own backend in our words."""
        try:
            return self.backend.complete(request)
        except BackendError:
            raise
        except (TimeoutError, ConnectionError) as error:
            kind = "timeout" if isinstance(error, TimeoutError) else "connection"
            raise BackendError(f"{type(error).__name__}: {error}", kind=kind) from error
        except Exception as error:
            raise BackendError(f"{type(error).__name__}: {error}") from error

    def _checked(self, reply: Any) -> SummaryReply:
        if not isinstance(reply, SummaryReply):
            kind = type(reply).__name__
            raise BackendError(f"complete() must return a SummaryReply, it returned {kind}.")
        if not reply.text.strip():
            raise BackendError("The answer is empty.", kind="empty")
        return replace(reply, text=encodable(reply.text))

    def _check_context(self, n_tokens: int) -> None:
        if self.context_tokens is not None and n_tokens > self.context_tokens:
            raise BackendError(
                f"The request would have {n_tokens} tokens, context_tokens="
                f"{self.context_tokens} is the limit: nothing was sent. Choose another strategy, "
                "such as 'extract_then_abstract'.",
                kind="context",
            )


def encodable(text: str) -> str:
    """Replace halves of surrogate pairs, which no server accepts.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    text : str
        The same text where it can be encoded; otherwise pairs are joined, and halves that stay
        alone become U+FFFD.

    Examples
    --------
    >>> from sklearn_ext.text.backends._channel import encodable
    >>> encodable("a\\ud800b") == "a\\ufffdb"
    True
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
