"""Numbers and names of a summary that its document does not hold."""

import re

from sklearn_ext.text._run_log import UngroundedSummary

__all__ = ["ungrounded", "ungrounded_words"]

NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
WORD = re.compile(r"[^\W\d_][\w'’-]*")
SENTENCE_START = re.compile(r"(?:^|[.!?:;\n])[\s\"'“”‘’(\[*-]*$")
THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")


def ungrounded_words(summary, source):
    """List numbers and capitalised names that stand in a summary only.

    A capital at the start of a sentence is no sign of a name, unless further capitals or digits
    follow in the word. Possessive endings and thousands separators are looked through.

    Parameters
    ----------
    summary : str
        Text to check.
    source : str
        Text it was made from.

    Returns
    -------
    words : list of str
        Each once, in the order of the summary.

    Examples
    --------
    >>> from sklearn_ext.text._grounding import ungrounded_words
    >>> ungrounded_words("Sales of Acme rose by 12% in Paris.", "Acme's sales rose by 7 %.")
    ['12', 'Paris']
    """
    known_numbers = set(map(_plain_number, NUMBER.findall(source)))
    known_words = {_stem(word) for word in WORD.findall(source)}
    found = [
        (match.start(), match[0])
        for match in NUMBER.finditer(summary)
        if _plain_number(match[0]) not in known_numbers
    ]
    found += [
        (match.start(), match[0])
        for match in WORD.finditer(summary)
        if _is_name(match, summary) and _stem(match[0]) not in known_words
    ]
    return list(dict.fromkeys(word for _, word in sorted(found)))


def ungrounded(rows, texts, summaries):
    """List the summaries that say what their texts do not.

    Parameters
    ----------
    rows : ndarray of shape (n_texts,)
        Row of each text.
    texts, summaries : list of str
        What was summarised, and the summaries.

    Returns
    -------
    found : list of UngroundedSummary
        In the order of the texts.
    """
    found = [
        UngroundedSummary(int(row), tuple(ungrounded_words(summary, text)))
        for row, text, summary in zip(rows, texts, summaries, strict=True)
    ]
    return [summary for summary in found if summary.words]


def _plain_number(text):
    return THOUSANDS.sub("", text)


def _stem(word):
    return re.sub(r"['’]s?$", "", word).casefold()


def _is_name(match, text):
    word = match[0]
    if any(character.isupper() for character in word[1:]):
        return True
    before = text[max(0, match.start() - 20) : match.start()]
    return word[0].isupper() and not SENTENCE_START.search(before)
