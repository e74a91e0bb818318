"""Cohere's chat, version 2."""

from typing import Any

from sklearn_ext._optional import import_optional
from sklearn_ext.text.backends._protocol import SummaryReply, SummaryRequest
from sklearn_ext.text.backends._vendor import VendorBackend, finished_text

__all__ = ["CohereBackend"]


class CohereBackend(VendorBackend):
    """Chat (/v2/chat) through the package cohere; its /v1/summarize is deprecated.

    Examples
    --------
    >>> from sklearn_ext.text.backends._cohere import CohereBackend
    >>> CohereBackend.key_variable
    'CO_API_KEY'
    """

    name = "cohere"
    key_variable = "CO_API_KEY"
    default_context = 128_000

    def _build(self, key: str) -> Any:
        cohere = import_optional("cohere", extra="cohere", purpose="backend='cohere'")
        httpx = import_optional("httpx", extra="cohere", purpose="backend='cohere'")
        # Its client has no close(): the connections are ours, to be closed by us.
        self._connection_pool = httpx.Client(timeout=self.settings.timeout, follow_redirects=True)
        return cohere.ClientV2(
            key,
            base_url=self.settings.base_url,
            timeout=self.settings.timeout,
            max_retries=0,
            httpx_client=self._connection_pool,
            log_warning_experimental_features=False,
        )

    def close(self) -> None:
        """Close the connections."""
        super().close()
        if hasattr(self, "_connection_pool"):
            self._connection_pool.close()

    def _send(self, client: Any, request: SummaryRequest) -> SummaryReply:
        answer = client.chat(
            model=self.settings.model,
            messages=[
                {"role": "system", "content": request.instructions},
                {"role": "user", "content": request.prompt},
            ],
            max_tokens=request.max_tokens,
            request_options={
                "max_retries": 0,
                "additional_body_parameters": self.settings.options,
            },
        )
        blocks = answer.message.content or []
        finish = str(answer.finish_reason)
        text = finished_text(
            "".join(block.text for block in blocks if block.type == "text"),
            finish,
            refused=finish == "ERROR_TOXIC",
            cut_off=finish == "MAX_TOKENS",
        )
        return SummaryReply(text, *_tokens(answer.usage))

    def _timeouts(self) -> tuple[type[Exception], ...]:
        import httpx

        return (httpx.TimeoutException,)

    def _connections(self) -> tuple[type[Exception], ...]:
        import httpx

        return (httpx.TransportError, OSError)


def _tokens(usage: Any) -> tuple[int, int]:
    tokens = getattr(usage, "tokens", None)
    if tokens is None:
        return 0, 0
    return int(tokens.input_tokens or 0), int(tokens.output_tokens or 0)
