"""Parts of a text that each have at most so many tokens."""

from itertools import pairwise

from sklearn_ext.text._sentences import sentence_spans

__all__ = ["cut_to", "split_text"]


def split_text(text, capacity, count_tokens, *, language="auto"):
    """Divide a text into consecutive parts, between sentences wherever that is possible.

    Parameters
    ----------
    text : str
        Text to divide.
    capacity : int
        Largest number of tokens of a part, at least 1.
    count_tokens : callable
        Function from a text to its number of tokens.
    language : str, default="auto"
        Code of the language, for the ends of sentences.

    Returns
    -------
    parts : list of str
        Parts without white space around them; none is empty. Nothing but white space is lost.

    Examples
    --------
    >>> from sklearn_ext.text._chunking import split_text
    >>> split_text("One two. Three. Four five six.", 3, lambda text: len(text.split()))
    ['One two. Three.', 'Four five six.']
    """
    spans = sentence_spans(text, language)
    starts = [start for start, _ in spans] + [len(text)]
    sentences = [text[a:b] for a, b in pairwise(starts)]
    packed, size = [], capacity + 1
    for piece in _all_halved(sentences, capacity, count_tokens):
        n_tokens = count_tokens(piece)
        if size + n_tokens <= capacity:
            packed[-1] += piece
            size += n_tokens
        else:
            packed.append(piece)
            size = n_tokens
    # A whole can have more tokens than its parts: divide again where it does.
    parts = _all_halved(packed, capacity, count_tokens)
    return [part.strip() for part in parts if part.strip()]


def _all_halved(texts, capacity, count_tokens):
    return [half for text in texts for half in _halved(text, capacity, count_tokens)]


def _halved(text, capacity, count_tokens):
    """Divide in the middle, at white space near it, until each part is small enough."""
    pending, parts = [text], []
    while pending:
        part = pending.pop()
        if len(part) < 2 or count_tokens(part) <= capacity:
            parts.append(part)
            continue
        middle = _near_blank(part, len(part) // 2)
        pending += [part[middle:], part[:middle]]
    return parts


def _near_blank(text, middle):
    """Find the place behind the last white space of the quarter before the middle."""
    for place in range(middle, max(middle - len(text) // 4, 1), -1):
        if text[place - 1].isspace():
            return place
    return middle


def cut_to(text, capacity, count_tokens):
    """Cut a text to its longest beginning with at most so many tokens.

    Parameters
    ----------
    text : str
        Text to cut.
    capacity : int
        Largest number of tokens, at least 0.
    count_tokens : callable
        Function from a text to its number of tokens, which grows with the text.

    Returns
    -------
    beginning : str
        The text itself where it is short enough.

    Examples
    --------
    >>> from sklearn_ext.text._chunking import cut_to
    >>> cut_to("abcdef", 4, len)
    'abcd'
    """
    if count_tokens(text) <= capacity:
        return text
    low, high = 0, len(text)  # text[:low] fits, text[:high] does not
    while high - low > 1:
        middle = (low + high) // 2
        if count_tokens(text[:middle]) <= capacity:
            low = middle
        else:
            high = middle
    return text[:low]
