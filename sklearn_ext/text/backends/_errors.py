"""One kind of error from the errors of all vendors."""

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from sklearn_ext.exceptions import BackendError

__all__ = ["from_status", "retry_after_seconds", "translated"]

KIND_OF_STATUS = {
    401: "authentication",
    403: "permission",
    404: "not_found",
    408: "timeout",
    409: "server",
    413: "context",
    425: "server",
    429: "rate_limit",
    529: "rate_limit",  # Anthropic: overloaded
}
# What vendors write into the body of an error whose status alone does not say enough.
SAYINGS = (
    ("content_filter", ("content_filter", "content filter", "content management policy")),
    (
        "context",
        ("context_length", "context length", "context size", "maximum context", "too long"),
    ),
)
QUOTA = ("insufficient_quota", "billing")


def from_status(
    status: int,
    message: str,
    headers: Mapping[str, str] | None = None,
    *,
    details: str = "",
) -> BackendError:
    """Make the error for an HTTP status.

    Parameters
    ----------
    status : int
        HTTP status, 400 or above.
    message : str
        What the server said.
    headers : mapping or None, default=None
        Headers of the answer, with names in any case.
    details : str, default=""
        More of the answer, looked at for the kind of error only.

    Returns
    -------
    error : BackendError
        Error with its kind, status and, where the server gave one, time to wait.

    Examples
    --------
    >>> from sklearn_ext.text.backends._errors import from_status
    >>> from_status(429, "slow down", {"Retry-After": "3"}).retry_after
    3.0
    >>> from_status(400, "maximum context length is 4096 tokens").kind
    'context'
    """
    return BackendError(
        f"HTTP status {status}: {message}",
        kind=_kind(status, f"{message} {details}".lower()),
        status=status,
        retry_after=retry_after_seconds(headers or {}),
    )


def _kind(status: int, message: str) -> str:
    if status in (400, 422):
        said = (kind for kind, words in SAYINGS if any(word in message for word in words))
        return next(said, "request")
    if status == 429 and any(word in message for word in QUOTA):
        return "quota"  # waiting does not fill an empty account
    if status in KIND_OF_STATUS:
        return KIND_OF_STATUS[status]
    return "server" if status >= 500 else "request"


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Read how long the server asks to wait.

    Parameters
    ----------
    headers : mapping
        Headers of an answer. ``Retry-After`` holds seconds or a date.

    Returns
    -------
    seconds : float or None
        Time to wait, at least 0, or None where nothing readable was said.

    Examples
    --------
    >>> from sklearn_ext.text.backends._errors import retry_after_seconds
    >>> retry_after_seconds({"retry-after": "1.5"})
    1.5
    >>> retry_after_seconds({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})
    0.0
    """
    lowered = {str(name).lower(): str(value) for name, value in headers.items()}
    text = lowered.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except ValueError:
            return None
    return max(seconds, 0.0) if seconds == seconds else None


def translated(
    error: Exception,
    *,
    timeouts: tuple[type[Exception], ...],
    connections: tuple[type[Exception], ...],
) -> BackendError:
    """Translate the error of a vendor's library.

    Parameters
    ----------
    error : Exception
        Error with a `status_code`, where the server answered.
    timeouts, connections : tuple of exception types
        What the library raises when nothing came in time, and when a connection broke.

    Returns
    -------
    error : BackendError
        The error in our words; not chained to the vendor's, whose request holds the key.

    Examples
    --------
    >>> from sklearn_ext.text.backends._errors import translated
    >>> translated(TimeoutError(), timeouts=(TimeoutError,), connections=(OSError,)).kind
    'timeout'
    """
    if isinstance(error, BackendError):
        return error
    text = f"{type(error).__name__}: {error}"
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and status >= 400:
        body = str(getattr(error, "body", ""))
        return from_status(status, text, _headers(error), details=body)
    if isinstance(error, timeouts):
        return BackendError(text, kind="timeout")
    if isinstance(error, connections):
        return BackendError(text, kind="connection")
    return BackendError(f"The answer could not be read: {text}", kind="malformed")


def _headers(error: Any) -> Mapping[str, str]:
    response = getattr(error, "response", None)
    return getattr(response, "headers", None) or getattr(error, "headers", None) or {}
