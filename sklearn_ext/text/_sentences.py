"""Sentences of a text as offsets into it: spaced writing, CJK, and unpunctuated Korean.

A text is first divided where its layout does (blank lines, list items, lines that do not run on),
then behind full stops that end a sentence, then behind Korean closing verbs. Every rule looks only
at the neighbourhood, so that a sentence taken out of its text stays one sentence.
"""

import re

from sklearn_ext.text._korean import KOREAN, korean_ends

__all__ = ["sentence_spans", "split_sentences"]

# Abbreviations behind which a sentence goes on, whatever follows.
NEVER_LAST = frozenset(
    """mr mrs ms dr prof rev hon gen col maj capt lt sgt sen rep gov st mt messrs mme mlle
    fig figs eq eqs sec secs ch chap ref refs thm def ex vs cf viz e.g i.e eg ie resp approx ca pp
    vol vols nos eds trans dept est al.e""".split()
)
# Abbreviations that may also be the last word: they are if a capital or nothing follows.
SOMETIMES_LAST = frozenset(
    """al etc inc ltd co corp bros jr sr u.s u.k u.n e.u u.s.a d.c a.m p.m ph.d m.d b.a m.a jan feb
    mar apr jun jul aug sep sept oct nov dec ave blvd rd a.k.a w.r.t s.t i.i.d ed max min avg
    art para tab""".split()
)
# Behind these a number goes on the sentence.
BEFORE_NUMBER = frozenset("no nos p pp art par tab ver v vol chap ch sec fig eq nr".split())
# A capital behind a single letter ("J. Smith") goes on, but not one of these ("vitamin C. It").
OPENING_WORDS = frozenset(
    "a an the this that these those it its he she we they you i in on at for if when while".split()
    + "there here however but and as our my his her their what who how why where".split()
)
OPENERS = "\"'“‘«‹([{<「『（《〈【*_`¿¡"
CLOSERS = re.escape("\"'”’»›)]}>」』）》〉】*_`")
WIDE_STOPS = "。！？｡．؟۔।॥።"
STOPS = f".!?…‥{WIDE_STOPS}"
TERMINATOR = re.compile(rf"[{STOPS}]+(?:\s+[.…](?=\s|$))*(?:[{CLOSERS}]+|\s[”’»)\"](?=\s|$))*")
BRACKETS = {"「": "」", "『": "』", "（": "）", "《": "》", "〈": "〉", "【": "】", "“": "”"}
LONGEST_QUOTE = 300  # characters; a bracket that is open for longer has been forgotten
# What follows a Japanese quotation that stands inside a sentence.
QUOTE_PARTICLES = "とっのがをはにもでへやなよ"
LAST_WORD = re.compile(r"[^\s()\[\]{}\"“”‘’,;:/]+$")
BREAK = re.compile(r"[\r\n\v\f\x85\u2028\u2029]+[^\S\r\n]*(?:[\r\n]+[^\S\r\n]*)*")
ITEM = re.compile(r"(?:[-*•‣▪●○◦·–—]|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,4})[.)]|[①-⑳]|[가-하][.)])\s")
# The number of a list item stands at the start or behind the end of another sentence.
ITEM_NUMBER = re.compile(rf"(?:^|(\S*)[{STOPS}:;])\s*\(?\d{{1,2}}$")
# A round bracket behind "et al." opens the year of a citation.
CITATION_FREE = OPENERS.replace("(", "")
LOOK_BACK = 60  # characters that decide about a full stop
FULL_LINE = 40  # characters; a shorter line has not been wrapped by a margin


def sentence_spans(text, language="auto"):
    """Find the sentences of a text.

    Parameters
    ----------
    text : str
        Text in any script.
    language : str, default="auto"
        Code of the language. Korean closing verbs are looked for if it is "auto" or "ko".

    Returns
    -------
    list of (int, int)
        Start and stop of each sentence, ascending. They do not overlap, and everything outside
        of them is white space.

    Examples
    --------
    >>> from sklearn_ext.text._sentences import sentence_spans
    >>> text = "Dr. Kim paid 3.5 million. Why?"
    >>> [text[start:stop] for start, stop in sentence_spans(text)]
    ['Dr. Kim paid 3.5 million.', 'Why?']
    """
    spans = []
    korean = language in ("auto", "ko") and KOREAN.search(text)
    for start, stop in _pieces(text, 0, len(text), _layout_ends):
        for first, last in _pieces(text, start, stop, _stop_ends):
            if korean:
                spans += _pieces(text, first, last, _korean_ends)
            else:
                spans.append((first, last))
    return spans


def split_sentences(text, language="auto"):
    """List the sentences of a text.

    Parameters
    ----------
    text : str
        Text in any script.
    language : str, default="auto"
        As in :func:`sentence_spans`.

    Returns
    -------
    list of str
        Sentences without the white space between them.
    """
    return [text[start:stop] for start, stop in sentence_spans(text, language)]


def _pieces(text, start, stop, find_ends):
    """List the spans between the ends that a rule finds, without white space around them."""
    spans = []
    for end in [*find_ends(text, start, stop), stop]:
        part = text[start:end]
        if kept := part.strip():
            first = start + len(part) - len(part.lstrip())
            spans.append((first, first + len(kept)))
        start = end
    return spans


def _layout_ends(text, start, stop):
    """Yield the offsets of line breaks at which a new sentence begins."""
    line_start = start
    for match in BREAK.finditer(text, start, stop):
        line = text[line_start : match.start()].strip()
        following = text[match.end() : match.end() + 80]
        if _is_blank_line(match[0]) or ITEM.match(following) or not _runs_on(line, following):
            yield match.start()
        line_start = match.end()


def _is_blank_line(line_break):
    """Tell whether a run of line breaks leaves a line empty."""
    return line_break.replace("\r\n", "\n").replace("\r", "\n").count("\n") > 1


def _runs_on(line, following):
    """Tell whether a line was broken in the middle of a sentence."""
    following = following.lstrip(OPENERS)
    if line.rstrip("\"'”’»)」』）")[-1:] in STOPS or not following:
        return False
    if line.endswith((",", "、", "，", "-", "–")) or following[0].islower():
        return True
    return len(line) >= FULL_LINE and not line.endswith((":", "："))


def _stop_ends(text, start, stop):
    """Yield the offsets behind full stops that end a sentence."""
    closing = 0  # offset of the bracket that closes the quotation
    position = start
    for match in TERMINATOR.finditer(text, start, stop):
        closing = max(closing, _open_until(text, position, match.start(), stop))
        position = match.start()
        if match.end() <= closing or match.end() >= stop:
            continue
        if match[0][0] in WIDE_STOPS:
            if not _wide_goes_on(match[0], text[match.end()]):
                yield match.end()
        elif _ends_sentence(text, match, start):
            yield match.end()


def _wide_goes_on(stops, following):
    """Tell whether wide stops belong to a quotation inside a sentence, or to a number."""
    quoted = stops[-1] in "」』）”" and following in QUOTE_PARTICLES
    return quoted or (stops == "．" and following.isdigit())


def _open_until(text, start, end, stop):
    """Find where the last wide bracket that opens in a span closes; 0 if none does behind it."""
    opening = max(text.rfind(bracket, start, end) for bracket in BRACKETS)
    if opening < 0:
        return 0
    closing = text.find(BRACKETS[text[opening]], opening, min(stop, opening + LONGEST_QUOTE))
    return closing if closing >= end else 0


def _ends_sentence(text, match, start):
    """Tell whether stops of spaced writing end a sentence."""
    if not text[match.end()].isspace():
        return False
    following = text[match.end() : match.end() + 40].split(maxsplit=1)
    following = following[0] if following else ""
    before = text[max(start, match.start() - LOOK_BACK) : match.start()]
    spaced = before[-1:].isspace()  # as in text that was cut into tokens
    before = before.rstrip()
    if following[:1] in tuple(",;:)]}”"):  # "Smith et al . , 2010"
        return False
    if following.lstrip(OPENERS)[:1].islower() and not spaced:
        return False
    return match[0][0] != "." or match[0].startswith("..") or _ends_word(before, following)


def _ends_word(before, following):
    """Tell whether a single full stop behind a word ends the sentence, not only the word."""
    found = LAST_WORD.search(before)
    word = found[0].lower() if found else ""
    if word in NEVER_LAST or (word in BEFORE_NUMBER and following[:1].isdigit()):
        return False
    if word in SOMETIMES_LAST:
        return following.lstrip(CITATION_FREE)[:1].isupper()
    if len(word) == 1 and word.isalpha():
        return _ends_letter(before, following.lstrip(OPENERS))
    item = ITEM_NUMBER.search(before)
    return item is None or (item[1] or "").lower() in BEFORE_NUMBER


def _ends_letter(before, following):
    """Tell whether a full stop behind a single letter ends the sentence; initials go on."""
    opening = following.lower().strip(",.;:") in OPENING_WORDS
    return before[-1:] == "I" or (opening and len(before.split()) > 1) or not before[-1:].isupper()


def _korean_ends(text, start, stop):
    """List the offsets behind Korean closing verbs, but not within quotations."""
    ends = []
    position = start
    closing = 0
    for end in korean_ends(text, start, stop):
        closing = max(closing, _open_until(text, position, end, stop))
        position = end
        if end > closing and text.count('"', start, end) % 2 == 0:
            ends.append(end)
    return ends
