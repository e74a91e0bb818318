"""A plain function from a text to its summary, as a backend."""

from collections.abc import Callable
from typing import Any

from sklearn_ext.exceptions import BackendError
from sklearn_ext.text.backends._protocol import SummaryReply, SummaryRequest

__all__ = ["CallableBackend"]


class CallableBackend:
    """Backend around a function.

    Parameters
    ----------
    function : callable
        Takes a text, returns its summary.

    Examples
    --------
    >>> from sklearn_ext.text import SummaryRequest
    >>> from sklearn_ext.text.backends._callable import CallableBackend
    >>> CallableBackend(str.title).complete(SummaryRequest("a cat")).text
    'A Cat'
    """

    text_only = True

    def __init__(self, function: Callable[[str], Any]) -> None:
        self.function = function

    @property
    def cache_id(self) -> str | None:
        """Name that cached answers are found by: the function's own, where it has one."""
        return getattr(self.function, "cache_id", None)

    @property
    def context_tokens(self) -> int | None:
        """Tokens that prompt and answer may have together, where the function says so."""
        return getattr(self.function, "context_tokens", None)

    def complete(self, request: SummaryRequest) -> SummaryReply:
        """Call the function.

        Parameters
        ----------
        request : SummaryRequest
            What is asked for.

        Returns
        -------
        reply : SummaryReply
            What the function returned.
        """
        if request.previous:
            text = self.function(f"{request.previous}\n{request.text}")
        else:
            text = self.function(request.text)
        if not isinstance(text, str):
            kind = type(text).__name__
            raise BackendError(f"The function must return a str, it returned {kind}.")
        return SummaryReply(text)
