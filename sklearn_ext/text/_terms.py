"""Terms of sentences as sparse tf-idf rows: words, and character n-grams.

Words are runs of letters and digits. Writing whose words are not what stands between spaces
(Han, kana, Thai and its kin), or whose words carry particles (Hangul), gives overlapping pairs of
characters instead, the unit that serves retrieval in these languages without a dictionary.
"""

import re
from array import array
from itertools import pairwise

import numpy as np
from scipy import sparse

__all__ = ["HANGUL", "HAN_KANA", "SOUTH_EAST_ASIAN", "character_terms", "term_matrix", "word_terms"]

# Ranges for use inside a character class of a regular expression.
HANGUL = "\uac00-\ud7a3\u1100-\u11ff\u3130-\u318f"
HAN_KANA = "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
SOUTH_EAST_ASIAN = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
PAIRED = HANGUL + HAN_KANA + SOUTH_EAST_ASIAN
TOKEN = re.compile(rf"[{PAIRED}]+|[^\W_{PAIRED}]+")
FIRST_PAIRED = re.compile(rf"[{PAIRED}]")
SPACE = re.compile(r"\s+")


def word_terms(sentence):
    """List the words of a sentence, in lower case.

    Parameters
    ----------
    sentence : str
        Text in any script.

    Returns
    -------
    list of str
        Words; pairs of characters of scripts without spaces between words, and of Hangul.

    Examples
    --------
    >>> from sklearn_ext.text._terms import word_terms
    >>> word_terms("Two cats, 한국어")
    ['two', 'cats', '한국', '국어']
    """
    terms = []
    for token in TOKEN.findall(sentence.lower()):
        if len(token) > 1 and FIRST_PAIRED.match(token):
            terms += [first + second for first, second in pairwise(token)]
        else:
            terms.append(token)
    return terms


def character_terms(sentence, size=3):
    """List the character n-grams of a sentence, in lower case, spaces counted as one.

    Parameters
    ----------
    sentence : str
        Text in any script.
    size : int, default=3
        Number of characters in a term; a shorter sentence is one term.

    Returns
    -------
    list of str
        Overlapping n-grams.
    """
    text = SPACE.sub(" ", sentence.strip().lower())
    return [text[i : i + size] for i in range(max(len(text) - size + 1, 1))]


def term_matrix(term_lists):
    """Weight terms by tf-idf, the sentences being the collection; rows have length 1.

    Parameters
    ----------
    term_lists : iterable of iterable of str
        Terms of each sentence.

    Returns
    -------
    csr_array of shape (n_sentences, n_terms)
        Rows of length 1; a sentence without terms has an empty row.
    """
    index, columns, pointers = {}, array("i"), array("i", [0])
    for terms in term_lists:
        columns.extend(index.setdefault(term, len(index)) for term in terms)
        pointers.append(len(columns))
    shape = (len(pointers) - 1, max(len(index), 1))
    parts = (np.ones(len(columns)), np.asarray(columns), np.asarray(pointers))
    counts = sparse.csr_array(parts, shape=shape)
    counts.sum_duplicates()
    return _tf_idf(counts)


def _tf_idf(counts):
    """Multiply counts by their inverse sentence frequency, in place, and scale the rows."""
    frequency = np.bincount(counts.indices, minlength=counts.shape[1])
    counts.data *= np.log((1 + counts.shape[0]) / (1 + frequency))[counts.indices] + 1
    lengths = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    squares = np.bincount(lengths, counts.data**2, minlength=counts.shape[0])
    counts.data /= np.sqrt(squares)[lengths]
    return counts
