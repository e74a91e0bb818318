"""What the backends of all vendors share: a key read late, a client built once, one error."""

import json
import threading
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from sklearn_ext.exceptions import BackendError
from sklearn_ext.text.backends._errors import translated
from sklearn_ext.text.backends._keys import KeySource, read_key, without_key
from sklearn_ext.text.backends._protocol import SummaryReply, SummaryRequest

__all__ = ["VendorBackend", "VendorSettings", "finished_text"]


@dataclass(frozen=True)
class VendorSettings:
    """What a caller chooses about a vendor; no key is among it.

    Parameters
    ----------
    model : str or None, default=None
        Name of the model.
    base_url : str or None, default=None
        Address of another server than the vendor's own.
    api_key_env : str or callable, default=None
        NAME of the environment variable with the key, or function that gives it.
    timeout : float, default=60.0
        Seconds until a request is given up.
    options : dict, default={}
        Further fields of the request, such as ``{"temperature": 0}``.

    Examples
    --------
    >>> from sklearn_ext.text.backends._vendor import VendorSettings
    >>> VendorSettings(model="small").timeout
    60.0
    """

    model: str | None = None
    base_url: str | None = None
    api_key_env: KeySource | None = None
    timeout: float = 60.0
    options: dict[str, Any] = field(default_factory=dict)


class VendorBackend:
    """Backend around the client of a vendor; lives as long as one call of the summarizer.

    A subclass gives the class attributes, builds its client (`_build`), sends one request
    (`_send`) and names the errors of its library (`_timeouts`, `_connections`).

    Parameters
    ----------
    settings : VendorSettings
        What the caller chose.

    Examples
    --------
    >>> from sklearn_ext.text.backends._vendor import VendorBackend, VendorSettings
    >>> VendorBackend(VendorSettings(model="small")).cache_id
    '["", "small", "", "", {}]'
    """

    name = ""
    key_variable = ""  # of the vendor's own documentation
    needs_model = True
    needs_base_url = False
    text_only = False  # whether it gets the text without instructions
    default_context: int | None = None  # tokens

    def __init__(self, settings: VendorSettings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._client: Any = None
        self._key: str | None = None

    @property
    def context_tokens(self) -> int | None:
        """Tokens that prompt and answer may have together."""
        return self.default_context

    @property
    def cache_id(self) -> str:
        """Name of all that an answer depends on besides the request."""
        url = urlsplit(self.settings.base_url or "")
        # Without user, password and query, where a key may stand.
        place = (url.hostname or "") + (f":{url.port}" if url.port else "")
        parts = [self.name, self.settings.model, place, url.path, self.settings.options]
        return json.dumps(parts, sort_keys=True, default=repr)

    def complete(self, request: SummaryRequest) -> SummaryReply:
        """Send one request, once.

        Parameters
        ----------
        request : SummaryRequest
            What is asked for.

        Returns
        -------
        reply : SummaryReply
            The answer.

        Raises
        ------
        BackendError
            Whatever went wrong, in our words and without the key.
        """
        client = self.open()
        try:
            return self._send(client, request)
        except Exception as error:
            failure = self._failure(error)
        # Outside of the handler, so that the vendor's error, which holds the request and with it
        # the key, is not chained to ours.
        raise failure

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            client, self._client = self._client, None
        if hasattr(client, "close"):
            client.close()

    def read_key(self) -> str:
        """Read the key from where the caller, or else the vendor, says it is.

        Returns
        -------
        key : str
            The key. A server of one's own that needs none gets a word instead: the key of the
            vendor is never sent to another server unless it is named.
        """
        if self.settings.api_key_env is None and self.settings.base_url and not self.needs_base_url:
            return "none"
        return read_key(self.settings.api_key_env or self.key_variable)

    def open(self) -> Any:
        """Import the vendor's package, read the key and build the client, once.

        Returns
        -------
        client : object
            The vendor's client.

        Raises
        ------
        MissingDependencyError
            If the package is not installed.
        ValueError
            If there is no key.
        """
        with self._lock:
            if self._client is None:
                self._key = self.read_key()
                self._client = self._build(self._key)
            return self._client

    def _failure(self, error: Exception) -> BackendError:
        failure = translated(error, timeouts=self._timeouts(), connections=self._connections())
        hidden = BackendError(
            without_key(str(failure), self._key),
            kind=failure.kind,
            status=failure.status,
            retry_after=failure.retry_after,
        )
        return hidden

    def _build(self, key: str) -> Any:
        raise NotImplementedError

    def _send(self, client: Any, request: SummaryRequest) -> SummaryReply:
        raise NotImplementedError

    def _timeouts(self) -> tuple[type[Exception], ...]:
        return (TimeoutError,)

    def _connections(self) -> tuple[type[Exception], ...]:
        return (OSError,)


def finished_text(text: str | None, finish: str | None, *, refused: bool, cut_off: bool) -> str:
    """Check that an answer holds a summary.

    Parameters
    ----------
    text : str or None
        What was generated.
    finish : str or None
        Why the vendor stopped, for the message.
    refused, cut_off : bool
        Whether it stopped because of what was said, or of the limit on tokens.

    Returns
    -------
    text : str
        The same text.

    Raises
    ------
    BackendError
        If there is no text to use.

    Examples
    --------
    >>> from sklearn_ext.text.backends._vendor import finished_text
    >>> finished_text("It rained.", "stop", refused=False, cut_off=False)
    'It rained.'
    """
    if refused:
        raise BackendError(f"The vendor refused ({finish}).", kind="content_filter")
    if text and text.strip():
        return text
    if cut_off:
        raise BackendError(
            "The answer reached its limit of tokens before it held any text: raise max_tokens "
            "(a model that reasons needs room for that).",
            kind="length",
        )
    raise BackendError(f"The answer holds no text (it stopped by {finish!r}).", kind="empty")
