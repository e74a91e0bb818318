"""Summarization services that take one JSON or form request: one adapter, three vendors."""

from typing import Any

from sklearn_ext._optional import import_optional
from sklearn_ext.exceptions import BackendError
from sklearn_ext.text.backends._errors import from_status
from sklearn_ext.text.backends._protocol import SummaryReply, SummaryRequest
from sklearn_ext.text.backends._vendor import VendorBackend, finished_text

__all__ = ["ClovaBackend", "JSONBackend", "MeaningCloudBackend", "NLPCloudBackend"]


class JSONBackend(VendorBackend):
    """Service that is asked by one POST through the package httpx.

    A subclass says what is posted (`_posted`) and where the answer holds the summary (`_read`).
    These services take no instructions, so `focus` has no effect.

    Examples
    --------
    >>> from sklearn_ext.text.backends._json import JSONBackend, NLPCloudBackend
    >>> issubclass(NLPCloudBackend, JSONBackend)
    True
    """

    address = ""
    text_only = True

    def _build(self, key: str) -> Any:
        httpx = import_optional("httpx", extra="text", purpose=f"backend={self.name!r}")
        return httpx.Client(timeout=self.settings.timeout)

    def _send(self, client: Any, request: SummaryRequest) -> SummaryReply:
        base = (self.settings.base_url or self.address).rstrip("/")
        path, fields = self._posted(request)
        answer = client.post(base + path, **fields)
        if answer.status_code >= 400:
            raise from_status(answer.status_code, answer.text[:500], answer.headers)
        content = answer.json()
        if not isinstance(content, dict):
            raise BackendError("The answer is not a JSON object.", kind="malformed")
        return self._read(content)

    def _posted(self, request: SummaryRequest) -> tuple[str, dict[str, Any]]:
        """Give the path, and the arguments of `httpx.Client.post`."""
        raise NotImplementedError

    def _read(self, content: dict[str, Any]) -> SummaryReply:
        raise NotImplementedError

    def _timeouts(self) -> tuple[type[Exception], ...]:
        import httpx

        return (httpx.TimeoutException,)

    def _connections(self) -> tuple[type[Exception], ...]:
        import httpx

        return (httpx.TransportError, OSError)


class NLPCloudBackend(JSONBackend):
    """NLP Cloud's summarization; the model is such as ``"bart-large-cnn"``.

    Examples
    --------
    >>> from sklearn_ext.text.backends._json import NLPCloudBackend
    >>> NLPCloudBackend.needs_model
    True
    """

    name = "nlpcloud"
    key_variable = "NLPCLOUD_API_KEY"
    address = "https://api.nlpcloud.io/v1"
    default_context = 4_096

    def _posted(self, request: SummaryRequest) -> tuple[str, dict[str, Any]]:
        headers = {"Authorization": f"Token {self._key}"}
        body = {"text": request.text} | self.settings.options
        return f"/{self.settings.model}/summarization", {"json": body, "headers": headers}

    def _read(self, content: dict[str, Any]) -> SummaryReply:
        text = content.get("summary_text")
        return SummaryReply(finished_text(text, "done", refused=False, cut_off=False))


class ClovaBackend(JSONBackend):
    """NAVER CLOVA Studio's summarization, version 2.

    Examples
    --------
    >>> from sklearn_ext.text.backends._json import ClovaBackend
    >>> ClovaBackend.address
    'https://clovastudio.stream.ntruss.com'
    """

    name = "clova"
    key_variable = "CLOVASTUDIO_API_KEY"
    needs_model = False
    address = "https://clovastudio.stream.ntruss.com"
    default_context = 35_000  # the service takes 35,000 characters

    def _posted(self, request: SummaryRequest) -> tuple[str, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {self._key}"}
        body = {"texts": [request.text]} | self.settings.options
        return "/v1/api-tools/summarization/v2", {"json": body, "headers": headers}

    def _read(self, content: dict[str, Any]) -> SummaryReply:
        code = str(content.get("status", {}).get("code", ""))
        result = content.get("result") or {}
        if code != "20000":  # the first three digits are those of HTTP
            message = str(content.get("status", {}).get("message", "no message"))
            raise from_status(int(code[:3] or 500), message)
        text = finished_text(result.get("text"), "done", refused=False, cut_off=False)
        return SummaryReply(text, int(result.get("inputTokens") or 0))


class MeaningCloudBackend(JSONBackend):
    """MeaningCloud's extractive summarization, version 1.0.

    Examples
    --------
    >>> from sklearn_ext.text.backends._json import MeaningCloudBackend
    >>> MeaningCloudBackend.needs_model
    False
    """

    name = "meaningcloud"
    key_variable = "MEANINGCLOUD_API_KEY"
    needs_model = False
    address = "https://api.meaningcloud.com"
    default_context = 100_000

    # Its own codes, given with HTTP status 200.
    KINDS = {
        "100": "authentication",
        "101": "quota",
        "102": "context",
        "104": "rate_limit",
        "105": "permission",
        "201": "timeout",
        "202": "server",
        "203": "server",
    }

    def _posted(self, request: SummaryRequest) -> tuple[str, dict[str, Any]]:
        form = {"key": self._key, "of": "json", "txt": request.text, "lang": request.language}
        form |= {"sentences": str(request.max_sentences or 3)}
        return "/summarization-1.0", {"data": form | self.settings.options}

    def _read(self, content: dict[str, Any]) -> SummaryReply:
        status = content.get("status", {})
        code = str(status.get("code", ""))
        if code != "0":
            kind = self.KINDS.get(code, "request")
            raise BackendError(f"Status {code}: {status.get('msg', 'no message')}", kind=kind)
        text = finished_text(content.get("summary"), "done", refused=False, cut_off=False)
        return SummaryReply(text.replace(" [...] ", " "))
