"""What the wording of a sentence tells about its place in a summary (Edmundson 1969).

Three small word lists for English, Korean, Japanese and Chinese. A statement of purpose says what
the whole text does. A dependent opening ("However, they") cannot be understood alone. An apparatus
sentence points at figures, sources and rights instead of saying anything.
"""

import re

import numpy as np

__all__ = ["CUES", "cue_table"]

PURPOSE = re.compile(
    r"\b(?:we|paper|work|study|article|report|thesis|essay|authors?)\s"
    r"(?:(?:then|first|therefore|thus|here|also)\s)?"
    r"(?:propos|present|introduc|develop|descri|stud(?:y|ie)|investigat|address|devis)\w*"
    r"|(?:본|이)\s?(?:논문|연구|보고서|글)(?:은|는|에서|에서는|의\s목적은)\s"
    r"|(?:本|この)(?:論文|研究|稿|報告)(?:では|は|の目的は)"
    r"|(?:本文|本研究|本论文|本報告|本报告)(?:提出|介绍|介紹|研究|探讨|探討|旨在)",
    re.IGNORECASE,
)
DEPENDENT = re.compile(
    r"\W*(?:(?:however|but|also|moreover|furthermore|additionally|besides|they|it|its|these|those|"
    r"such|their|he|she|for\s(?:example|instance)|in\s(?:addition|particular|fact)|similarly|then|"
    r"thus|therefore|finally|meanwhile|nevertheless|and|or|so|because|indeed|here|there|this\sis|"
    r"another|other|some|many|most|while|although|though|that|specifically)\b"
    r"|(?:그러나|하지만|그런데|또한|또|그리고|그래서|따라서|그는|그녀는|이는|이에|이어|한편|특히|"
    r"예를\s들어|다만|반면|게다가|이와\s함께|이러한|이런)[\s,]"
    r"|しかし|また|さらに|一方|そして|例えば|たとえば|これ|それ|そこで|ただし|なお|このため"
    r"|但是|然而|此外|另外|例如|因此|而且|同时|同時|他们|他們|这些|這些|其中|不过|不過)",
    re.IGNORECASE,
)
APPARATUS = re.compile(
    r"\b(?:fig|figure|table|section|sec|appendix|equation|eq)\s?\.?\s?\d"
    r"|https?:|www\.|\w@\w|©|\bcopyright\b|all rights reserved|\bet al\b"
    r"|\b(?:rest|remainder) of (?:the|this)\b|\borgani[sz]ed as\b|\bfuture work\b|\backnowledg"
    r"|\bavailable (?:at|on|from)\b|\bfor (?:example|instance)\b|\be\.g\b"
    r"|무단\s?전재|재배포|저작권|기자\s?=|그림\s?\d|표\s?\d"
    r"|無断転載|著作権|図\s?\d|表\s?\d|图\s?\d|版权所有",
    re.IGNORECASE,
)
QUESTION = re.compile(r"[?？]\W*$")
CUES = ("purpose", "dependent", "apparatus", "question")


def cue_table(sentences):
    """Mark the sentences that have each cue.

    Parameters
    ----------
    sentences : list of str
        Sentences of one text.

    Returns
    -------
    dict of str to ndarray of shape (n_sentences,)
        1.0 where the sentence has the cue and 0.0 elsewhere, for each name of `CUES`.

    References
    ----------
    .. [1] Edmundson (1969). New methods in automatic extracting. Journal of the ACM 16(2).
    """
    tests = (PURPOSE.search, DEPENDENT.match, APPARATUS.search, QUESTION.search)
    return {
        cue: np.array([float(bool(test(sentence))) for sentence in sentences])
        for cue, test in zip(CUES, tests, strict=True)
    }
