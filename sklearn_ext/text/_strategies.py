"""Ways to summarise a text that does not fit into one request.

Each is planned first: the plan knows how many requests there will be, and no request can exceed
the context, because every part of it (instructions, text, summaries so far, answer) has a size
that was set aside for it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sklearn_ext.exceptions import BackendError
from sklearn_ext.text._chunking import cut_to, split_text
from sklearn_ext.text._extractive import extract
from sklearn_ext.text._limits import Limits
from sklearn_ext.text.backends._protocol import request_tokens

__all__ = ["STRATEGIES", "Plan", "carry_out", "make_plan"]

STRATEGIES = ("auto", "stuff", "map_reduce", "refine", "extract_then_abstract")
# Tokens kept free, as a whole may have a few more than its parts; and the least that is worth it.
MARGIN = 8
LEAST_ROOM = 24


@dataclass(frozen=True)
class Plan:
    """What will be asked for one text.

    Parameters
    ----------
    strategy : {"stuff", "map_reduce", "refine", "extract_then_abstract"}
        How the parts are put together.
    parts : tuple of str
        Consecutive parts of the text.
    template : SummaryRequest
        Request with everything but the text.
    count_tokens : callable
        Function from a text to its number of tokens.
    room : int or None
        Largest number of tokens of one part; None is no limit.
    partial : int
        Largest number of tokens of a summary that goes into another request.
    fan_in : int
        Summaries that are combined by one request, at least 2.
    text_only : bool, default=False
        Whether the backend gets texts without instructions.

    Examples
    --------
    >>> from sklearn_ext.text import SummaryRequest
    >>> from sklearn_ext.text._strategies import Plan
    >>> Plan("map_reduce", ("a", "b", "c"), SummaryRequest(""), len, 9, 3, 2).n_requests
    6
    """

    strategy: str
    parts: tuple[str, ...]
    template: Any
    count_tokens: Callable[[str], int]
    room: int | None = None
    partial: int = 0
    fan_in: int = 2
    text_only: bool = False

    @property
    def n_requests(self):
        """Number of requests, without those sent again."""
        if self.strategy != "map_reduce":
            return len(self.parts)
        total = level = len(self.parts)
        while level > 1:
            level = -(-level // self.fan_in)
            total += level
        return total

    @property
    def n_tokens_in(self):
        """Upper estimate of the tokens that are read."""
        sizes = self.room
        if self.strategy != "extract_then_abstract":
            sizes = sum(map(self.count_tokens, self.parts))
        n_later = self.n_requests - len(self.parts)
        n_summaries = len(self.parts) - 1 if self.strategy == "refine" else n_later * self.fan_in
        task = {"map_reduce": "combine", "refine": "refine"}.get(self.strategy, "summarize")
        overhead = _overhead(self.template, task, self.count_tokens, self.text_only)
        return sizes + self.n_requests * overhead + n_summaries * (self.partial + 1)


def make_plan(text, template, *, strategy, context, count_tokens, text_only=False):
    """Decide what will be asked for a text.

    Parameters
    ----------
    text : str
        Text to summarise.
    template : SummaryRequest
        Request with everything but the text; its `max_tokens` is set aside for answers.
    strategy : str
        One of `STRATEGIES`. "auto" asks once where the text fits and shortens it by its own
        sentences first where it does not.
    context : int or None
        Tokens that prompt and answer may have together; None is no limit.
    count_tokens : callable
        Function from a text to its number of tokens.
    text_only : bool, default=False
        Whether the backend gets texts without instructions.

    Returns
    -------
    plan : Plan
        What will be asked.

    Raises
    ------
    BackendError
        Of kind ``"context"``, if instructions and answer alone fill the context, or the text
        does not fit with ``strategy="stuff"``.

    Examples
    --------
    >>> from sklearn_ext.text import SummaryRequest
    >>> from sklearn_ext.text._strategies import make_plan
    >>> template = SummaryRequest("", max_tokens=50)
    >>> plan = make_plan("A b. " * 99, template, strategy="refine", context=1999, count_tokens=len)
    >>> plan.n_requests
    1
    """
    ask_once = Plan("stuff", (text,), template, count_tokens, text_only=text_only)
    if context is None:
        return ask_once
    answer = max(1, min(template.max_tokens, context // 4))
    ask_once = replace(ask_once, template=replace(template, max_tokens=answer))
    room = _room(ask_once, "summarize", context)
    if count_tokens(text) <= room:
        return replace(ask_once, room=room)
    if strategy == "stuff":
        raise BackendError(
            f"The text has {count_tokens(text)} tokens and context_tokens={context} leaves room "
            f"for {room}: nothing was sent. Choose another strategy than 'stuff'.",
            kind="context",
        )
    if strategy in ("auto", "extract_then_abstract"):
        return replace(ask_once, strategy="extract_then_abstract", room=room)
    return _divided(ask_once, strategy, room, context)


def _divided(plan, strategy, room, context):
    """Plan the parts of "map_reduce" and "refine"."""
    task = "combine" if strategy == "map_reduce" else "refine"
    later = min(room, _room(plan, task, context))
    partial = min(2 * plan.template.max_tokens, later // 2 - 1)
    room = later - partial - 1 if strategy == "refine" else room
    parts = split_text(plan.parts[0], room, plan.count_tokens, language=plan.template.language)
    return replace(
        plan,
        strategy=strategy,
        parts=tuple(parts),
        room=room,
        partial=partial,
        fan_in=max(2, later // (partial + 1)),
    )


def _overhead(template, task, count_tokens, text_only):
    """Tokens of a request without any text."""
    empty = replace(template, task=task, text="", previous="")
    return request_tokens(empty, count_tokens, text_only=text_only)


def _room(plan, task, context):
    """Tokens that a request leaves for texts."""
    answer = plan.template.max_tokens
    overhead = _overhead(plan.template, task, plan.count_tokens, plan.text_only)
    room = context - answer - overhead - MARGIN
    if room < LEAST_ROOM:
        raise BackendError(
            f"context_tokens={context} is too small: instructions take {overhead} tokens and the "
            f"answer max_tokens={answer}. At least {context - room + LEAST_ROOM} are needed.",
            kind="context",
        )
    return room


def carry_out(plan, ask, ranker=None):
    """Ask what was planned.

    Parameters
    ----------
    plan : Plan
        Result of `make_plan`.
    ask : callable
        Function from a request to the text of its answer.
    ranker : SentenceRanker or None, default=None
        Ranker for "extract_then_abstract".

    Returns
    -------
    summary : str
        Summary of the whole text.

    Examples
    --------
    >>> from sklearn_ext.text import SummaryRequest
    >>> from sklearn_ext.text._strategies import Plan, carry_out
    >>> plan = Plan("map_reduce", ("one", "two", "three"), SummaryRequest(""), len, 9, 3, 2)
    >>> carry_out(plan, lambda request: request.text[:2])
    'on'
    """
    if plan.strategy == "map_reduce":
        return _map_reduce(plan, ask)
    if plan.strategy == "refine":
        return _refine(plan, ask)
    (text,) = plan.parts
    if plan.strategy == "extract_then_abstract":
        text = _shortened(text, plan, ranker)
    return ask(replace(plan.template, text=text))


def _map_reduce(plan, ask):
    """Summarise each part, then groups of summaries, until one is left.

    Every group but the last has `fan_in` members, at least two, so each level is shorter than
    the one before.
    """
    level = [ask(replace(plan.template, text=part)) for part in plan.parts]
    while len(level) > 1:
        level = [cut_to(summary, plan.partial, plan.count_tokens) for summary in level]
        groups = [level[i : i + plan.fan_in] for i in range(0, len(level), plan.fan_in)]
        level = [ask(replace(plan.template, task="combine", text="\n".join(g))) for g in groups]
    return level[0]


def _refine(plan, ask):
    """Summarise the first part, then the summary so far with each further part."""
    summary = ask(replace(plan.template, text=plan.parts[0]))
    for part in plan.parts[1:]:
        previous = cut_to(summary, plan.partial, plan.count_tokens)
        summary = ask(replace(plan.template, task="refine", text=part, previous=previous))
    return summary


def _shortened(text, plan, ranker):
    """Keep as many of the best sentences as fit."""
    focus, language = plan.template.focus, plan.template.language
    n_chars = int(0.95 * len(text) * plan.room / plan.count_tokens(text))
    while n_chars > 0:
        limits = Limits(max_chars=n_chars)
        shorter = extract(text, limits, focus=focus, language=language, ranker=ranker)
        if plan.count_tokens(shorter) <= plan.room:
            break
        n_chars = int(0.8 * n_chars)
    # Text that has no sentence of this length is cut.
    return shorter if n_chars > 0 and shorter else cut_to(text, plan.room, plan.count_tokens)
