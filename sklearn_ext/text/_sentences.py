"""Sentences of a text as offsets into it, for spaced, CJK and unpunctuated Korean writing."""

import re

__all__ = ["sentence_spans", "split_sentences"]

# What may stand before a full stop that does not end the sentence.
NEVER_LAST = frozenset(
    """mr mrs ms dr prof rev hon gen col maj capt lt sgt sen rep gov pres st mt messrs mme mlle
    fig figs eq eqs sec secs ch chap tab ref refs thm lem prop cor def ex vs cf viz e.g i.e eg ie
    resp approx ca pp p vol vols nos ed eds trans art para dept est max min avg""".split()
)
# What may end a sentence or not: the next word decides.
SOMETIMES_LAST = frozenset(
    """al etc inc ltd co corp bros jr sr no u.s u.k u.n e.u u.s.a d.c a.m p.m ph.d m.d b.a m.a
    jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun ave blvd rd
    a.k.a w.r.t s.t i.i.d""".split()
)
OPENERS = "\"'“‘«‹([{<「『（《〈【*_`"
CLOSERS = "\"'”’»›)]}>」』）》〉】*_`"
STOPS = ".!?…‥。！？｡．؟۔।॥።"
WIDE_STOPS = "。！？｡．؟۔।॥።"
TERMINATOR = re.compile(rf"[{STOPS}]+(?:\s*[.…])*[{re.escape(CLOSERS)}]*")
WORD_BEFORE = re.compile(r"[^\s()\[\]{}\"“”‘’,;:/]+$")
BLOCK = re.compile(r"\n\s*\n|[\r\n]+")
HANGUL = re.compile("[가-힣]")
KOREAN_END = re.compile(
    r"(?:습니다|입니다|합니다|됩니다|니다|습니까|입니까|니까\?|[았었였했됐갔왔봤줬졌썼났렸켰셨겠있없같렇]다|"
    r"[한된인간온난진준본쓴든른린킨긴친]다|이다|아니다|[아어여해와워돼봐줘져쳐켜려겨][요]|"
    r"예요|에요|네요|군요|데요|지요|죠|나요|까요|세요|거든요)(?=\s)"
)


def sentence_spans(text, language="auto"):
    """Find the sentences of a text."""
    spans = []
    for start, stop in blocks(text):
        for first, last in punctuated(text, start, stop):
            if language in ("auto", "ko"):
                spans += korean_endings(text, first, last)
            else:
                spans.append((first, last))
    return spans


def split_sentences(text, language="auto"):
    """List the sentences of a text."""
    return [text[start:stop] for start, stop in sentence_spans(text, language)]


def blocks(text):
    """Yield the stripped spans between line breaks."""
    start = 0
    for match in BLOCK.finditer(text):
        yield from stripped(text, start, match.start())
        start = match.end()
    yield from stripped(text, start, len(text))


def stripped(text, start, stop):
    """Yield the span without the white space around it, if anything is left."""
    part = text[start:stop]
    left = len(part) - len(part.lstrip())
    if left < len(part):
        yield start + left, start + len(part.rstrip())


def punctuated(text, start, stop):
    """Yield the spans between full stops that end a sentence."""
    for match in TERMINATOR.finditer(text, start, stop):
        if match.end() < stop and ends_sentence(text, match, start, stop):
            yield from stripped(text, start, match.end())
            start = match.end()
    yield from stripped(text, start, stop)


def ends_sentence(text, match, start, stop):
    """Tell whether a run of stops ends a sentence."""
    if match[0][0] in WIDE_STOPS:
        return True
    if not text[match.end()].isspace():
        return False
    following = text[match.end() : match.end() + 40].lstrip().lstrip(OPENERS)
    spaced = match.start() > start and text[match.start() - 1].isspace()
    if following[:1].islower() and not spaced:
        return False
    if match[0][0] != "." or spaced:
        return True
    word = WORD_BEFORE.search(text, start, match.start())
    word = word[0].lower() if word else ""
    if word in NEVER_LAST or (word in SOMETIMES_LAST and not following[:1].isupper()):
        return False
    if len(word) == 1 and word.isalpha() and word != "i":
        return False
    return not (word.isdigit() and text[start : match.start()].strip() == word)


def korean_endings(text, start, stop):
    """Yield the spans that verb endings divide a piece of text without full stops into."""
    if HANGUL.search(text, start, stop):
        for match in KOREAN_END.finditer(text, start, stop):
            yield from stripped(text, start, match.end())
            start = match.end()
    yield from stripped(text, start, stop)
