"""OpenAI's chat completions, and every server that speaks them."""

from typing import Any

from sklearn_ext._optional import import_optional
from sklearn_ext.exceptions import BackendError
from sklearn_ext.text.backends._protocol import SummaryReply, SummaryRequest
from sklearn_ext.text.backends._vendor import VendorBackend, finished_text

__all__ = ["OpenAIBackend"]


class OpenAIBackend(VendorBackend):
    """Chat completions through the package openai.

    With `base_url` it speaks to Azure OpenAI, AssemblyAI's gateway, Ollama, vLLM, llama.cpp.

    Examples
    --------
    >>> from sklearn_ext.text.backends._openai import OpenAIBackend
    >>> OpenAIBackend.key_variable
    'OPENAI_API_KEY'
    """

    name = "openai"
    key_variable = "OPENAI_API_KEY"
    default_context = 128_000

    @property
    def context_tokens(self) -> int | None:
        """Tokens that prompt and answer may have together; little is known of other servers."""
        return 8_192 if self.settings.base_url else self.default_context

    def _build(self, key: str) -> Any:
        openai = import_optional("openai", extra="openai", purpose="backend='openai'")
        return openai.OpenAI(
            api_key=key,
            base_url=self.settings.base_url,
            timeout=self.settings.timeout,
            max_retries=0,
        )

    def _send(self, client: Any, request: SummaryRequest) -> SummaryReply:
        # The vendor's newer models refuse the old name, other servers often know only that.
        limit = "max_tokens" if self.settings.base_url else "max_completion_tokens"
        fields = {
            "model": self.settings.model,
            "messages": [
                {"role": "system", "content": request.instructions},
                {"role": "user", "content": request.prompt},
            ],
            limit: request.max_tokens,
        }
        known = {key: value for key, value in self.settings.options.items() if key in fields}
        others = {key: value for key, value in self.settings.options.items() if key not in fields}
        answer = client.chat.completions.create(**(fields | known), extra_body=others)
        return _reply(answer)

    def _timeouts(self) -> tuple[type[Exception], ...]:
        import openai

        return (openai.APITimeoutError,)

    def _connections(self) -> tuple[type[Exception], ...]:
        import openai

        return (openai.APIConnectionError, OSError)


def _reply(answer: Any) -> SummaryReply:
    if not getattr(answer, "choices", None):
        raise BackendError("The answer holds no choices.", kind="empty")
    choice, usage = answer.choices[0], answer.usage
    finish = choice.finish_reason
    refusal = getattr(choice.message, "refusal", None)
    text = finished_text(
        choice.message.content,
        finish,
        refused=finish == "content_filter" or bool(refusal),
        cut_off=finish == "length",
    )
    if usage is None:
        return SummaryReply(text)
    return SummaryReply(text, usage.prompt_tokens or 0, usage.completion_tokens or 0)
