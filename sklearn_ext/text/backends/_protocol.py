"""What a backend is asked and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from sklearn_ext.text._prompts import fenced, instructions, new_fence

__all__ = ["Backend", "SummaryReply", "SummaryRequest", "request_tokens"]


@dataclass(frozen=True)
class SummaryRequest:
    """One thing that a backend is asked for.

    A language model takes `instructions` and `prompt`; a service that only summarises takes
    `text` and the limits.

    Parameters
    ----------
    text : str
        Text to summarise, as it is.
    task : {"summarize", "combine", "refine"}, default="summarize"
        Whether the text is (a part of) a document, a list of summaries of its parts, or the
        continuation of what `previous` summarises.
    previous : str, default=""
        Summary of what comes before the text, for ``task="refine"``.
    max_sentences, max_words, max_chars : int or None, default=None
        Limits of the answer. They are asked for here, and enforced on the answer by the caller.
    focus : str or None, default=None
        What the summary is to be about.
    language : str, default="auto"
        Code of the language to write in; ``"auto"`` is that of the text.
    max_tokens : int, default=256
        Largest number of tokens that may be generated.
    fence : str, default=""
        Random delimiter around the text; made new where it is empty. It is not compared, and
        not part of what a cached answer is found by.

    Examples
    --------
    >>> from sklearn_ext.text import SummaryRequest
    >>> request = SummaryRequest("It rained. Then it stopped.", max_sentences=1)
    >>> request.instructions
    'Summarize the document. Write at most 1 sentence. ...'
    >>> request.text in request.prompt
    True
    """

    text: str
    task: str = "summarize"
    previous: str = ""
    max_sentences: int | None = None
    max_words: int | None = None
    max_chars: int | None = None
    focus: str | None = None
    language: str = "auto"
    max_tokens: int = 256
    fence: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.fence:
            object.__setattr__(self, "fence", new_fence())

    @property
    def instructions(self) -> str:
        """What to do: the system message for a language model."""
        return instructions(
            self.task,
            self.fence,
            max_sentences=self.max_sentences,
            max_words=self.max_words,
            max_chars=self.max_chars,
            focus=self.focus,
            language=self.language,
        )

    @property
    def prompt(self) -> str:
        """The fenced text: the user message for a language model."""
        blocks = [self.previous, self.text] if self.task == "refine" else [self.text]
        return "\n\n".join(fenced(block, self.fence) for block in blocks)


def request_tokens(
    request: SummaryRequest, count_tokens: Callable[[str], int], *, text_only: bool
) -> int:
    """Count the tokens of a request.

    Parameters
    ----------
    request : SummaryRequest
        What is asked for.
    count_tokens : callable
        Function from a text to its number of tokens.
    text_only : bool
        Whether the backend gets the text without instructions and fences.

    Returns
    -------
    n_tokens : int
        Tokens that are read.

    Examples
    --------
    >>> from sklearn_ext.text import SummaryRequest
    >>> from sklearn_ext.text.backends._protocol import request_tokens
    >>> request_tokens(SummaryRequest("A cat."), len, text_only=True)
    6
    """
    if text_only:
        return count_tokens(request.previous) + count_tokens(request.text)
    return count_tokens(request.instructions) + count_tokens(request.prompt)


@dataclass(frozen=True)
class SummaryReply:
    """What a backend answers.

    Parameters
    ----------
    text : str
        The summary.
    tokens_in, tokens_out : int, default=0
        Tokens that were read and generated, as the vendor counts them; 0 where it does not.

    Examples
    --------
    >>> from sklearn_ext.text import SummaryReply
    >>> SummaryReply("It rained.", tokens_in=9, tokens_out=3).text
    'It rained.'
    """

    text: str
    tokens_in: int = 0
    tokens_out: int = 0


@runtime_checkable
class Backend(Protocol):
    """Anything with this one method is a backend.

    Two attributes are read where a backend has them: `context_tokens` (int, tokens that
    prompt and answer may have together) and `cache_id` (str, names all settings that an answer
    depends on; needed for caching).

    Examples
    --------
    >>> from sklearn_ext.text import SummaryReply
    >>> from sklearn_ext.text.backends._protocol import Backend
    >>> class Shouting:
    ...     def complete(self, request):
    ...         return SummaryReply(request.text.upper())
    >>> isinstance(Shouting(), Backend)
    True
    """

    def complete(self, request: SummaryRequest) -> SummaryReply:
        """Answer one request.

        Parameters
        ----------
        request : SummaryRequest
            What is asked for.

        Returns
        -------
        reply : SummaryReply
            The answer. Failures are raised as :class:`sklearn_ext.exceptions.BackendError`.
        """
        ...
