"""From texts to tokens and back.

Both tokenizers are plain values: they are pickled with an estimator, and compared by what they do.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile

import numpy as np

from sklearn_ext._optional import import_optional

__all__ = ["ByteTokenizer", "Ending", "StoredTokenizer", "trained_tokenizer"]

BEFORE = "\n.a"  # characters that stand for the text before another
CONTEXT = 4  # tokens of a prompt that are looked at for the text of what follows


@dataclass(frozen=True)
class ByteTokenizer:
    """The bytes of UTF-8, 0 to 255, and one token for both ends of a text.

    Attributes
    ----------
    n_tokens : int
        Size of the vocabulary.
    start, end : int
        What every text begins and ends with.
    is_framed : bool
        Whether `encode` puts tokens around texts: it does not.

    Examples
    --------
    >>> from sklearn_ext.neural_network._tokenizer import ByteTokenizer
    >>> ByteTokenizer().encode(["Aé"])
    [array([ 65, 195, 169])]
    """

    n_tokens: int = 257
    start: int = 256
    end: int = 256
    is_framed: bool = False

    def encode(self, texts):
        """List the tokens of each text, int64, without its ends."""
        # Half of a surrogate pair is no Unicode text, but a Python string may hold one.
        encoded = (text.encode("utf-8", "surrogatepass") for text in texts)
        return [np.frombuffer(data, np.uint8).astype(np.int64) for data in encoded]

    def encode_behind(self, texts):
        """List the tokens of texts that follow others: the same."""
        return self.encode(texts)

    def special_token(self, string):
        """Number of a special token: there is none that has a string."""

    def decode(self, tokens):
        """Make a text of tokens; bytes that are not UTF-8 become U+FFFD."""
        return bytes(token for token in tokens if token < 256).decode("utf-8", "replace")


@dataclass(frozen=True)
class StoredTokenizer:
    """A tokenizer of the package `tokenizers`, kept as its JSON text.

    Attributes
    ----------
    definition : str
        JSON.
    n_tokens : int
        Tokens that the model knows, those of both ends included.
    start, end : int or None
        What every text begins and ends with; of no use if texts are framed.
    longest : int or None
        Length at which texts are cut, frame included; None for never.
    is_framed : bool
        Whether `encode` puts the special tokens of the tokenizer around texts.
    """

    definition: str
    n_tokens: int
    start: int
    end: int
    longest: int | None = None
    is_framed: bool = False

    def encode(self, texts):
        """List the tokens of each text, int64."""
        texts = list(texts)
        _check_unicode(texts)
        model = _loaded(self.definition, self.longest)
        found = model.encode_batch(texts, add_special_tokens=self.is_framed)
        return [self._known(encoding.ids) for encoding in found]

    def _known(self, tokens):
        """Make an array of tokens; an error, if there is one that the model does not know."""
        tokens = np.array(tokens, dtype=np.int64)
        if tokens.max(initial=0) >= self.n_tokens:
            name = _loaded(self.definition, self.longest).id_to_token(int(tokens.max()))
            raise ValueError(
                f"A text holds {name!r}, a token that was added to the tokenizer and not to the "
                f"model, which knows {self.n_tokens}. Resize the embeddings of the model and save "
                "it again, or take the token out of the tokenizer or the texts."
            )
        return tokens

    def encode_behind(self, texts):
        """List the tokens of texts that follow others, int64.

        Some tokenizers put a space in front of what they take for the beginning of a text.
        """
        (one,) = self.encode(["a"])
        if continuation(self, one, one) == "a":
            return self.encode(texts)
        texts = list(texts)
        _check_unicode(texts)
        model = _loaded(self.definition, self.longest)
        found = [_behind(model, text) for text in texts]
        return [self._known(tokens) for tokens in found]

    def special_token(self, string):
        """Number of the special token, which `decode` leaves out, that is written so; or None."""
        added = _loaded(self.definition, self.longest).get_added_tokens_decoder()
        special = {token.content: number for number, token in added.items() if token.special}
        return special.get(string)

    def decode(self, tokens):
        """Make a text of tokens, without special ones."""
        inner = [int(token) for token in tokens if token not in (self.start, self.end)]
        return _loaded(self.definition, self.longest).decode(inner, skip_special_tokens=True)


def _check_unicode(texts):
    """Raise an error for half of a surrogate pair, which Python's strings may hold."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            near = text[max(0, error.start - 20) : error.start + 20]
            raise ValueError(
                f"A text holds half of a surrogate pair, near {near!r}, and is no Unicode text. "
                "Replace it, as by text.encode('utf-8', 'replace').decode(), or leave the text "
                "out; tokenizer='byte', where there is no model, takes it."
            ) from error


@lru_cache(maxsize=8)
def _loaded(definition, longest):
    """Read a tokenizer; large ones take a good part of a second."""
    tokenizers = import_optional("tokenizers", extra="transformers", purpose="This tokenizer")
    model = tokenizers.Tokenizer.from_str(definition)
    model.no_padding()
    if longest is None:
        model.no_truncation()
    else:
        model.enable_truncation(longest)
    return model


def _behind(model, text):
    """Tokens of a text behind another character that no token joins with it."""
    for character in BEFORE:
        encoding = model.encode(character + text, add_special_tokens=False)
        before = [end <= 1 for _, end in encoding.offsets]
        first = before.index(False) if False in before else len(before)
        if all(start >= 1 for start, _ in encoding.offsets[first:]):
            return encoding.ids[first:]
    return model.encode(text, add_special_tokens=False).ids


def trained_tokenizer(texts, vocab_size):
    """Learn a byte-level byte-pair encoding [1]_.

    Parameters
    ----------
    texts : iterable of str
        What it is learned from.
    vocab_size : int
        Tokens, the 256 bytes and the one token of both ends included; fewer if the texts do not
        give so many.

    Returns
    -------
    tokenizer : StoredTokenizer
        With it, every text can be written, and any sequence of tokens read.

    References
    ----------
    .. [1] R. Sennrich, B. Haddow and A. Birch, "Neural machine translation of rare words with
       subword units", ACL 2016, arXiv:1508.07909; algorithm 1.
    """
    tokenizers = import_optional("tokenizers", extra="transformers", purpose="tokenizer='bpe'")
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocab_size - 1,
        initial_alphabet=sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    texts = list(texts)
    _check_unicode(texts)
    model.train_from_iterator(texts, trainer)
    # The token of both ends is none of the model's, so that no text can hold it.
    end = model.get_vocab_size()
    return StoredTokenizer(model.to_str(), end + 1, end, end)


def continuation(tokenizer, prompt, tokens):
    """Make a text of tokens that follow those of a prompt.

    Many tokenizers leave out the space in front of a first token, which one behind others keeps.
    """
    before = [int(token) for token in prompt[-CONTEXT:]]
    front, whole = tokenizer.decode(before), tokenizer.decode([*before, *tokens])
    return whole[len(front) :] if whole.startswith(front) else tokenizer.decode(tokens)


@dataclass(frozen=True)
class Ending:
    """Where a text that is drawn token by token ends.

    Attributes
    ----------
    tokenizer : ByteTokenizer or StoredTokenizer
        Of the tokens.
    stop : tuple of str
        Strings in front of which it ends, not empty ones. That of a special token stands for the
        token, which no text shows.

    Examples
    --------
    >>> from sklearn_ext.neural_network._tokenizer import ByteTokenizer, Ending
    >>> ending = Ending(ByteTokenizer(), ("b",))
    >>> ending.is_over([97, 98]), ending.text([97, 98])
    (True, 'a')
    """

    tokenizer: object
    stop: tuple = ()

    def __post_init__(self):
        if not all(isinstance(string, str) and string for string in self.stop):
            raise ValueError(f"stop must hold strings that are not empty, got {list(self.stop)}.")
        for string in self.stop:
            # It also stands for the bytes of a character that is not complete yet.
            if "\ufffd" in string or string != string.encode("utf-8", "replace").decode():
                raise ValueError(
                    f"stop={string!r} holds U+FFFD or half of a surrogate pair, which no text that "
                    "is drawn holds for certain. Take other characters."
                )

        found = {self.tokenizer.special_token(string) for string in self.stop} - {None}
        object.__setattr__(self, "_ends", found | {self.tokenizer.end})

    def is_over(self, tokens):
        """Tell whether the text is complete with the last of its tokens."""
        if int(tokens[-1]) in self._ends:
            return True
        if not self.stop:
            return False
        # A string of n bytes has at most n tokens; some more, as one may be cut inside a character.
        longest = max(len(string.encode()) for string in self.stop)
        end = self.tokenizer.decode(tokens[-longest - 4 :])
        return any(string in end for string in self.stop)

    def text(self, tokens, prompt=()):
        """Make the text of all its tokens, which follow those of a prompt."""
        before = list(takewhile(lambda token: int(token) not in self._ends, tokens))
        text = continuation(self.tokenizer, prompt, before)
        ends = [text.find(string) for string in self.stop if string in text]
        return text[: min(ends, default=len(text))]
