"""New texts from a language model."""

from numbers import Integral, Real

import numpy as np

from sklearn_ext._validation import (
    Interval,
    check_is_fitted,
    validate_parameter_constraints,
)
from sklearn_ext.neural_network._tokenizer import Ending

__all__ = ["TextDrawing"]

ROWS_AT_ONCE = 64  # texts that are drawn side by side

# How texts are drawn, for `sample` and `generate`.
_DRAWING = {
    "random_state": ["random_state"],
    "max_new_tokens": [Interval(Integral, 1, None, closed="left"), None],
    "temperature": [Interval(Real, 0, None, closed="left")],
    "top_k": [Interval(Integral, 1, None, closed="left"), None],
    "top_p": [Interval(Real, 0, 1, closed="right"), None],
    "stop": [str, "array-like", None],
    "n_samples": [Interval(Integral, 1, None, closed="left")],
}
_HOW = "random_state", "max_new_tokens", "temperature", "top_k", "top_p", "stop"


class TextDrawing:
    """Drawing of texts, for a fitted estimator whose module has a method `continued`."""

    def sample(
        self,
        n_samples=1,
        *,
        random_state=None,
        max_new_tokens=None,
        temperature=1.0,
        top_k=None,
        top_p=None,
        stop=None,
    ):
        """Draw new texts; with the defaults from the very distribution of `score_samples`.

        Parameters
        ----------
        n_samples : int, default=1
            Number of texts, >= 1.
        random_state : int, RandomState instance or None, default=None
            Decides on what is drawn; None takes entropy from the operating system.
        max_new_tokens : int or None, default=None
            Tokens at which a text that has not ended is cut, >= 1. None is `max_length`.
        temperature : float, default=1.0
            Divides the log-probabilities, >= 0; 0 takes the most probable token each time.
        top_k : int or None, default=None
            Draws among so many of the most probable tokens only, >= 1.
        top_p : float or None, default=None
            Draws only among the most probable tokens that together have this probability, in
            (0, 1].
        stop : str, array-like of str or None, default=None
            A text ends in front of the first of these strings.

        Returns
        -------
        texts : ndarray of str objects, of shape (n_samples,)
            Texts.
        """
        check_is_fitted(self)
        drawing = random_state, max_new_tokens, temperature, top_k, top_p, stop
        self._check_drawing("sample", drawing, n_samples=n_samples)
        return self._drawn(np.full(n_samples, "", dtype=object), *drawing)

    def generate(
        self,
        prompts,
        *,
        random_state=None,
        max_new_tokens=None,
        temperature=1.0,
        top_k=None,
        top_p=None,
        stop=None,
    ):
        """Draw what follows each prompt.

        Parameters
        ----------
        prompts : array-like of str of shape (n_samples,), or of shape (n_samples, n_features)
            Beginnings of texts, in a form that `fit` takes.
        random_state : int, RandomState instance or None, default=None
            Decides on what is drawn; None takes entropy from the operating system.
        max_new_tokens : int or None, default=None
            Tokens at which a text that has not ended is cut, >= 1. None is `max_length`.
        temperature : float, default=1.0
            Divides the log-probabilities, >= 0; 0 takes the most probable token each time.
        top_k : int or None, default=None
            Draws among so many of the most probable tokens only, >= 1.
        top_p : float or None, default=None
            Draws only among the most probable tokens that together have this probability, in
            (0, 1].
        stop : str, array-like of str or None, default=None
            A text ends in front of the first of these strings.

        Returns
        -------
        completions : ndarray of str objects, of shape (n_samples,)
            What follows, without the prompt.
        """
        check_is_fitted(self)
        drawing = random_state, max_new_tokens, temperature, top_k, top_p, stop
        self._check_drawing("generate", drawing)
        return self._drawn(self._read_rows(prompts, reset=False).strings, *drawing)

    def _check_drawing(self, method, drawing, **others):
        """Check how texts are to be drawn, under the name that the user has called."""
        caller_name = f"{type(self).__name__}.{method}"
        given = others | dict(zip(_HOW, drawing, strict=True))
        validate_parameter_constraints(_DRAWING, given, caller_name)
        if isinstance(given["top_k"], bool):
            raise ValueError(f"top_k={given['top_k']} is no number. Give an integer, such as 5.")

    def _drawn(self, prompts, random_state, max_new_tokens, temperature, top_k, top_p, stop):
        """Draw what follows prompts; those of equally many tokens go side by side."""
        import torch

        from sklearn_ext._torch.decoding import Decoding
        from sklearn_ext._torch.random import make_generator
        from sklearn_ext._torch.threads import one_thread

        tokenizer, module = self.tokenizer_, self._live_net().module_
        device = next(module.parameters()).device
        stops = (stop,) if isinstance(stop, str) else () if stop is None else tuple(stop)
        ending, decoding = Ending(tokenizer, stops), Decoding(temperature, top_k, top_p)
        rules = {
            "generator": make_generator(random_state),
            "most": max_new_tokens or self._longest,
            "longest": self._longest,
            "is_over": ending.is_over,
        }
        tokens = [np.append(tokenizer.start, found) for found in tokenizer.encode(prompts)]
        texts = np.empty(len(prompts), dtype=object)
        with one_thread():
            for rows in _equally_long(tokens):
                first = torch.from_numpy(np.stack([tokens[row] for row in rows])).to(device)
                new = module.continued(first, decoding, **rules)
                pairs = zip(rows, new, strict=True)
                texts[rows] = [ending.text(drawn, tokens[row][1:]) for row, drawn in pairs]
        return texts


def _equally_long(sequences):
    """Row numbers of sequences of one length, in parts of bounded size."""
    found = {}
    for row, sequence in enumerate(sequences):
        found.setdefault(len(sequence), []).append(row)
    for rows in found.values():
        for start in range(0, len(rows), ROWS_AT_ONCE):
            yield rows[start : start + ROWS_AT_ONCE]
