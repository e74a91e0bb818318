"""Summarization jobs of Azure AI Language (which retires in 2029)."""

from typing import Any

from sklearn_ext._optional import import_optional
from sklearn_ext.exceptions import BackendError
from sklearn_ext.text.backends._protocol import SummaryReply, SummaryRequest
from sklearn_ext.text.backends._vendor import VendorBackend, finished_text

__all__ = ["AzureBackend"]

SECONDS_BETWEEN_POLLS = 1
KIND_OF_CODE = {
    "InvalidDocument": "request",
    "InvalidDocumentBatch": "request",
    "InvalidRequest": "request",
    "UnsupportedLanguageCode": "request",
    "ServiceUnavailable": "server",
    "InternalServerError": "server",
}


class AzureBackend(VendorBackend):
    """Jobs through the package azure-ai-textanalytics; one job counts as one request.

    The model is ``"abstractive"`` (default) or ``"extractive"``; `base_url` is the endpoint of
    the resource. The service takes no instructions, so `focus` has no effect.

    Examples
    --------
    >>> from sklearn_ext.text.backends._azure import AzureBackend
    >>> AzureBackend.needs_base_url
    True
    """

    name = "azure"
    key_variable = "AZURE_LANGUAGE_KEY"
    needs_model = False
    needs_base_url = True
    text_only = True
    default_context = 30_000  # the service takes 125,000 characters

    def _build(self, key: str) -> Any:
        if self.settings.model not in (None, "abstractive", "extractive"):
            raise ValueError(
                "model must be 'abstractive' or 'extractive' for backend='azure', got "
                f"{self.settings.model!r}."
            )
        purpose = "backend='azure'"
        analytics = import_optional("azure.ai.textanalytics", extra="azure", purpose=purpose)
        credentials = import_optional("azure.core.credentials", extra="azure", purpose=purpose)
        return analytics.TextAnalyticsClient(
            self.settings.base_url,
            credentials.AzureKeyCredential(key),
            retry_total=0,
            connection_timeout=self.settings.timeout,
            read_timeout=self.settings.timeout,
        )

    def _send(self, client: Any, request: SummaryRequest) -> SummaryReply:
        extractive = self.settings.model == "extractive"
        begin = client.begin_extract_summary if extractive else client.begin_abstract_summary
        count = {"max_sentence_count" if extractive else "sentence_count": request.max_sentences}
        options = {"polling_interval": SECONDS_BETWEEN_POLLS} | self.settings.options
        language = None if request.language == "auto" else request.language
        job = begin([request.text], language=language, **count, **options)
        (result,) = job.result()
        if result.is_error:
            raise _document_error(result.error)
        parts = result.sentences if extractive else result.summaries
        text = " ".join(part.text for part in parts)
        return SummaryReply(finished_text(text, "done", refused=False, cut_off=False))

    def _timeouts(self) -> tuple[type[Exception], ...]:
        from azure.core.exceptions import ServiceRequestTimeoutError, ServiceResponseTimeoutError

        return (ServiceRequestTimeoutError, ServiceResponseTimeoutError)

    def _connections(self) -> tuple[type[Exception], ...]:
        from azure.core.exceptions import ServiceRequestError, ServiceResponseError

        return (ServiceRequestError, ServiceResponseError, OSError)


def _document_error(error: Any) -> BackendError:
    kind = KIND_OF_CODE.get(error.code, "other")
    return BackendError(f"{error.code}: {error.message}", kind=kind)
