"""ROUGE on Unicode text (Lin 2004), equal to the rouge-score package on English."""

import re
from collections import Counter
from typing import NamedTuple

import numpy as np

from sklearn_ext.text._terms import HAN_KANA, SOUTH_EAST_ASIAN

__all__ = ["ROUGE_KINDS", "RougeScore", "rouge", "rouge_tokens"]

ROUGE_KINDS = ("rouge1", "rouge2", "rougeL", "rougeLsum")
ASCII_TOKEN = re.compile("[a-z0-9]+")
UNSPACED = HAN_KANA + SOUTH_EAST_ASIAN
MARKS = (
    "\u0300-\u036f\u0610-\u061a\u064b-\u065f\u0900-\u0903\u093a-\u094f\u0981-\u0983\u09bc-\u09cd"
)
UNICODE_TOKEN = re.compile(rf"[{UNSPACED}]|(?:[^\W_{UNSPACED}]|[{MARKS}])+")
FOREIGN_LETTER = re.compile(r"[^\W\d_a-zA-Z]")
# Share of letters outside of a-z up to which a text counts as English; few letters in a short one.
ENGLISH_SHARE = 0.02
FEW_LETTERS = 3
SHORT_SHARE = 0.1


class RougeScore(NamedTuple):
    """Overlap of a summary with a reference.

    Parameters
    ----------
    precision, recall, fmeasure : float
        From 0 to 1.
    """

    precision: float
    recall: float
    fmeasure: float


def rouge_tokens(text, english):
    """Cut a text into the tokens that ROUGE counts, in lower case.

    Parameters
    ----------
    text : str
        Text in any script.
    english : bool
        True keeps only runs of a-z and 0-9, as the original does. False keeps runs of letters,
        marks and digits of any script, and each character of scripts without spaces by itself.

    Returns
    -------
    list of str
        Tokens.
    """
    return (ASCII_TOKEN if english else UNICODE_TOKEN).findall(text.lower())


def is_english(*texts):
    """Tell whether the letters of texts are those of English, up to a few foreign names.

    Parameters
    ----------
    *texts : str
        Texts that are judged together.

    Returns
    -------
    bool
        True if at most 2 % of the letters are not a to z, or at most three letters that make up
        no more than 10 %.
    """
    foreign = sum(len(FOREIGN_LETTER.findall(text)) for text in texts)
    if foreign == 0:
        return True
    letters = sum(character.isalpha() for text in texts for character in text)
    return foreign <= max(ENGLISH_SHARE * letters, min(FEW_LETTERS, SHORT_SHARE * letters))


def rouge(reference, summary, kind="rougeLsum"):
    """Compare a summary with a reference.

    Parameters
    ----------
    reference, summary : str
        Texts in any script. For "rougeLsum" each line is a sentence.
    kind : {"rouge1", "rouge2", "rougeL", "rougeLsum"}, default="rougeLsum"
        Single tokens, pairs, longest common subsequence of the texts, or its union over sentences.

    Returns
    -------
    RougeScore
        Precision, recall and F1; zeros if one of the texts has no tokens.

    Raises
    ------
    ValueError
        If `kind` is unknown.

    References
    ----------
    .. [1] Lin (2004). ROUGE: a package for automatic evaluation of summaries. ACL workshop Text
       Summarization Branches Out, eq. (1), (2)-(4) and (5)-(7).

    Examples
    --------
    >>> from sklearn_ext.text._rouge import rouge
    >>> rouge("the cat sat", "the cat", "rouge1").recall
    0.6666666666666666
    >>> rouge("고양이가 잔다", "고양이가 잔다", "rouge2").fmeasure
    1.0
    """
    if kind not in ROUGE_KINDS:
        raise ValueError(f"kind must be one of {ROUGE_KINDS}, got {kind!r}.")
    english = is_english(reference, summary)
    if kind == "rougeLsum":
        lines = (
            [rouge_tokens(line, english) for line in text.split("\n") if line]
            for text in (reference, summary)
        )
        return _summary_level(*lines)
    tokens = rouge_tokens(reference, english), rouge_tokens(summary, english)
    if kind == "rougeL":
        return _score(_common_length(*tokens), *map(len, tokens))
    return _ngram_score(*tokens, int(kind[-1]))


def _score(hits, n_reference, n_summary):
    """Turn a number of hits into precision, recall and F1."""
    precision, recall = hits / max(n_summary, 1), hits / max(n_reference, 1)
    total = precision + recall
    return RougeScore(precision, recall, 2 * precision * recall / total if total > 0 else 0.0)


def _ngram_score(reference, summary, size):
    """Score the n-grams that two token lists share."""
    reference, summary = (
        Counter(zip(*(tokens[i:] for i in range(size)), strict=False))
        for tokens in (reference, summary)
    )
    return _score((reference & summary).total(), reference.total(), summary.total())


def _common_length(first, second):
    """Length of the longest common subsequence, by bits of one long integer (Hyyrö 2004)."""
    places = {}
    for i, token in enumerate(first):
        places[token] = places.get(token, 0) | (1 << i)
    full = (1 << len(first)) - 1
    row = full
    for token in second:
        found = row & places.get(token, 0)
        row = ((row + found) | (row - found)) & full
    return len(first) - row.bit_count()


def _summary_level(reference, summary):
    """Score the union of common subsequences; a token counts no more often than both have it."""
    in_reference = Counter(token for tokens in reference for token in tokens)
    in_summary = Counter(token for tokens in summary for token in tokens)
    room = in_reference & in_summary
    hits = 0
    for tokens in reference:
        covered = set().union(*(_common_places(tokens, other) for other in summary))
        for place in sorted(covered):
            if room[tokens[place]] > 0:
                room[tokens[place]] -= 1
                hits += 1
    return _score(hits, in_reference.total(), in_summary.total())


def _common_places(first, second):
    """Places in the first list of a longest common subsequence, ties broken as in rouge-score."""
    lengths = _length_table(first, second)
    i, j, places = len(first), len(second), []
    while i > 0 and j > 0:
        if first[i - 1] == second[j - 1]:
            i, j = i - 1, j - 1
            places.append(i)
        elif lengths[i, j - 1] > lengths[i - 1, j]:
            j -= 1
        else:
            i -= 1
    return places


def _length_table(first, second):
    """Lengths of the longest common subsequence of all beginnings."""
    numbers = {token: number for number, token in enumerate(dict.fromkeys([*first, *second]))}
    second = np.array([numbers[token] for token in second], dtype=np.int64)
    lengths = np.zeros((len(first) + 1, len(second) + 1), dtype=np.int32)
    for i, token in enumerate(first):
        same = lengths[i, :-1] + (second == numbers[token])
        lengths[i + 1, 1:] = np.maximum.accumulate(np.maximum(lengths[i, 1:], same))
    return lengths
