"""Ends of Korean sentences that have no full stop, told by the verb endings.

A Korean sentence closes with its verb, and closing forms differ from connecting ones. The patterns
name the closing forms; a form that also connects is not counted, and what follows can veto (a
"보니" behind "-다" continues the clause).
"""

import re

__all__ = ["KOREAN", "korean_ends"]

KOREAN = re.compile("[가-힣]")


def _with_final(consonant):
    """Spell the character class of all syllables with a final consonant (0 to 27)."""
    return "[" + "".join(chr(code) for code in range(0xAC00 + consonant, 0xD7A4, 28)) + "]"


PAST = _with_final(20)  # ㅆ: 했, 었, 있, 겠
PRESENT = _with_final(4)  # ㄴ: 한, 된, 는
FUTURE = _with_final(8)  # ㄹ: 할, 을, 일
ADJECTIVE = _with_final(17)  # ㅂ: 어렵, 쉽, 롭
# Stems of adjectives, whose bare form with -다 closes a sentence (a verb's does not).
QUALITIES = """없 같 않 싶 높 낮 많 적 좋 싫 크 작 길 짧 넓 좁 아니 다르 빠르 이르 푸르 쁘 프
    젊 밝 맑 맞 낫 렇 멀 달 검 붉 희 옳 굵 얇 깊 옅 짙 괜찮 마찬가지 드물 느리 어리 흐리 모자라
    하"""
CLOSING = "|".join(
    (
        rf"(?:{PAST}|{PRESENT}|{ADJECTIVE}|니|이|(?:{'|'.join(QUALITIES.split())}))다",
        rf"{ADJECTIVE}니까|{FUTURE}까|[는은]가|것인가|{FUTURE}걸",
        r"[아어여해와워돼봐줘져쳐켜려겨예에네군데지나까세셔거든걸게고구래대재이니서라드]요",
        # Without 있어 and 없어, which connect as often as they close.
        rf"죠|(?![있없]){PAST}(?:네|군|지|어)|{PAST}(?:냐|니|구나|거든|음|잖아)|거야|거지|잖아",
        r"더라|더라고|더라구",
        r"구나|거든|것임|예정임|입장임|사실임|[같많]음|됨|(?:해야|필요|가능|중요|못|불가)함",
        r"십시오|십시요|(?:하|되|오|가|보|주|쓰|내)세",
    )
)
TAIL = r"[ㅋㅎㅅㅠㅜ~^;!♡♥♪]*"
END = re.compile(rf"(?:{CLOSING}){TAIL}(?=\s)")
# Words that end alike but close nothing.
NO_END = re.compile(
    r"(?:.*(?:보다|마다|에다|데다|려다|대다|어다|아다)"
    r"|필요|중요|주요|개요|수요|소요|동요|강요|가요|민요|불필요|판다|혼다|간다|우간다|르완다|바다|소다"
    r"|모두다|다|온다|니다|이다|아이다|하다|무엇인가|누군가|언젠가|어딘가|은가|는가)$"
)
CONTINUED = re.compile(
    r"\s+(?:보니|보면|보니까|해도|하더라도|하면|하니|하여|한들|할지라도|치면|쳐도|치더라도|싶|못해|말고|말다"
    r"|고\s|고는|며\s|면\s|면서|는\s|라는|라고|라며|라면|봐\s|봐야|걱정|우려|말까|하는|했더니|그랬다"
    r"|갔다\s하|왔다\s하|숨지|숨진|숨졌|다치|다친|다쳤|적발|붙잡|들켜|들킨|쓰러)"
)


def korean_ends(text, start, stop):
    """Find where sentences without a full stop end inside a piece of text.

    Parameters
    ----------
    text : str
        The whole text.
    start, stop : int
        The piece.

    Returns
    -------
    list of int
        Offsets behind the last character of each sentence but the last, ascending.
    """
    ends = []
    for match in END.finditer(text, start, stop):
        word_start = match.start()
        while word_start > start and not text[word_start - 1].isspace():
            word_start -= 1
        word = re.sub(rf"{TAIL}$", "", text[word_start : match.end()])
        if not NO_END.match(word) and not CONTINUED.match(text, match.end(), stop):
            ends.append(match.end())
    return ends
