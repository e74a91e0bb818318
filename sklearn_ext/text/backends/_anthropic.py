"""Anthropic's messages."""

from typing import Any

from sklearn_ext._optional import import_optional
from sklearn_ext.text.backends._protocol import SummaryReply, SummaryRequest
from sklearn_ext.text.backends._vendor import VendorBackend, finished_text

__all__ = ["AnthropicBackend"]


class AnthropicBackend(VendorBackend):
    """Messages through the package anthropic.

    Examples
    --------
    >>> from sklearn_ext.text.backends._anthropic import AnthropicBackend
    >>> AnthropicBackend.default_context
    200000
    """

    name = "anthropic"
    key_variable = "ANTHROPIC_API_KEY"
    default_context = 200_000

    def _build(self, key: str) -> Any:
        anthropic = import_optional("anthropic", extra="anthropic", purpose="backend='anthropic'")
        return anthropic.Anthropic(
            api_key=key,
            base_url=self.settings.base_url,
            timeout=self.settings.timeout,
            max_retries=0,
        )

    def _send(self, client: Any, request: SummaryRequest) -> SummaryReply:
        answer = client.messages.create(
            model=self.settings.model,
            system=request.instructions,
            messages=[{"role": "user", "content": request.prompt}],
            max_tokens=request.max_tokens,
            extra_body=self.settings.options,
        )
        blocks = answer.content or []
        text = finished_text(
            "".join(block.text for block in blocks if block.type == "text"),
            answer.stop_reason,
            refused=answer.stop_reason == "refusal",
            cut_off=answer.stop_reason == "max_tokens",
        )
        return SummaryReply(text, answer.usage.input_tokens, answer.usage.output_tokens)

    def _timeouts(self) -> tuple[type[Exception], ...]:
        import anthropic

        return (anthropic.APITimeoutError,)

    def _connections(self) -> tuple[type[Exception], ...]:
        import anthropic

        return (anthropic.APIConnectionError, OSError)
