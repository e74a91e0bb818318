"""Made sequences whose answer hangs on what happened long before their end."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state

from sklearn_ext._validation import Interval, validate_params

__all__ = ["make_adding_problem", "make_copy_memory", "make_first_token_recall"]


def _at_least(low):
    return [Interval(Integral, low, None, closed="left")]


def _one_hot(symbols, n_symbols):
    """Turn symbols (n, T) into channels (n, T, n_symbols) of 0 and 1."""
    return np.eye(n_symbols)[symbols]


@validate_params(
    {"n_samples": _at_least(1), "n_timesteps": _at_least(2), "random_state": ["random_state"]},
    prefer_skip_nested_validation=True,
)
def make_adding_problem(n_samples=100, n_timesteps=100, *, random_state=None):
    """Generate the adding problem: sum the two marked numbers of a sequence.

    The first channel holds numbers drawn from [0, 1), the second is 1 at two steps, one in each
    half, and 0 elsewhere. The target is the sum of the two numbers so marked. Always answering 1
    has a mean squared error of 1/6 (0.167); a model that remembers goes far below.

    Parameters
    ----------
    n_samples : int, default=100
        Number of sequences.
    n_timesteps : int, default=100
        Length of each, at least 2.
    random_state : int, RandomState instance or None, default=None
        Source of randomness; an int gives the same sequences at each call.

    Returns
    -------
    X : ndarray of shape (n_samples, n_timesteps, 2)
        Numbers and marks.
    y : ndarray of shape (n_samples,)
        Sums, between 0 and 2.

    See Also
    --------
    make_first_token_recall : A classification of the same kind.

    Notes
    -----
    The problem is that of [1]_ (experiment 4) in the form that later papers compare on ([2]_,
    section 4.2): there the numbers lay in [-1, 1], the lengths varied by a tenth, and the target
    was scaled to [0, 1].

    References
    ----------
    .. [1] S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 9(8),
       1735-1780, 1997.
    .. [2] M. Arjovsky, A. Shah, Y. Bengio, "Unitary evolution recurrent neural networks", ICML
       2016, PMLR 48, 1120-1128.

    Examples
    --------
    >>> from sklearn_ext.datasets import make_adding_problem
    >>> X, y = make_adding_problem(n_samples=3, n_timesteps=50, random_state=0)
    >>> X.shape, y.shape
    ((3, 50, 2), (3,))
    >>> bool(X[0, X[0, :, 1] == 1, 0].sum() == y[0])
    True
    """
    rng = check_random_state(random_state)
    numbers = rng.uniform(size=(n_samples, n_timesteps))
    middle = n_timesteps // 2
    marked = np.stack(
        [rng.randint(0, middle, n_samples), rng.randint(middle, n_timesteps, n_samples)], axis=1
    )  # (n_samples, 2)
    marks = np.zeros_like(numbers)
    np.put_along_axis(marks, marked, 1.0, axis=1)
    y = np.take_along_axis(numbers, marked, axis=1).sum(axis=1)
    return np.stack([numbers, marks], axis=2), y


@validate_params(
    {
        "n_samples": _at_least(1),
        "n_timesteps": _at_least(1),
        "n_classes": _at_least(2),
        "n_distractors": _at_least(1),
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_first_token_recall(
    n_samples=100, n_timesteps=100, *, n_classes=8, n_distractors=8, random_state=None
):
    """Generate sequences whose class is their first token; all later tokens are distractors.

    Tokens are channels of 0 and 1. The distractors have tokens of their own, so that what the
    class is can be read off any step, were it not forgotten until the end. Guessing is right in
    one of `n_classes` cases.

    Parameters
    ----------
    n_samples : int, default=100
        Number of sequences.
    n_timesteps : int, default=100
        Length of each: the class lies `n_timesteps` - 1 steps before the end.
    n_classes : int, default=8
        Number of classes, and of tokens for the first step; at least 2.
    n_distractors : int, default=8
        Number of tokens for the other steps. 1 makes them all the same.
    random_state : int, RandomState instance or None, default=None
        Source of randomness; an int gives the same sequences at each call.

    Returns
    -------
    X : ndarray of shape (n_samples, n_timesteps, n_classes + n_distractors)
        Exactly one channel is 1 at each step.
    y : ndarray of shape (n_samples,)
        Classes 0 to `n_classes` - 1.

    See Also
    --------
    make_copy_memory : Several tokens to recall, in order.

    Notes
    -----
    It is like task 2c of [1]_, where random distractors lie between a token and the end at which
    it must be known.

    References
    ----------
    .. [1] S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 9(8),
       1735-1780, 1997.

    Examples
    --------
    >>> from sklearn_ext.datasets import make_first_token_recall
    >>> X, y = make_first_token_recall(n_samples=4, n_timesteps=20, random_state=0)
    >>> X.shape
    (4, 20, 16)
    >>> (X[:, 0].argmax(axis=1) == y).tolist()
    [True, True, True, True]
    """
    rng = check_random_state(random_state)
    n_tokens = n_classes + n_distractors
    y = rng.randint(n_classes, size=n_samples)
    tokens = rng.randint(n_classes, n_tokens, size=(n_samples, n_timesteps))
    tokens[:, 0] = y
    return _one_hot(tokens, n_tokens), y


@validate_params(
    {
        "n_samples": _at_least(1),
        "n_timesteps": _at_least(3),
        "n_symbols": _at_least(2),
        "n_copied": _at_least(1),
        "per_step": ["boolean"],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_copy_memory(
    n_samples=100,
    n_timesteps=120,
    *,
    n_symbols=8,
    n_copied=10,
    per_step=False,
    random_state=None,
):
    """Generate the copying memory problem: give back the first symbols after a long blank.

    A sequence begins with `n_copied` symbols, goes on with blanks, has one delimiter
    `n_copied` + 1 steps before the end, and ends in blanks, during which the symbols are to be
    given back in order. Tokens are channels of 0 and 1: the symbols, the blank, the delimiter.

    Parameters
    ----------
    n_samples : int, default=100
        Number of sequences.
    n_timesteps : int, default=120
        Length of each, more than twice `n_copied`. The delay T of [1]_ is what is more.
    n_symbols : int, default=8
        Number of symbols, at least 2.
    n_copied : int, default=10
        How many are to be given back.
    per_step : bool, default=False
        Whether `y` has an answer for each step (the blank until the end) as in [1]_, or only the
        symbols.
    random_state : int, RandomState instance or None, default=None
        Source of randomness; an int gives the same sequences at each call.

    Returns
    -------
    X : ndarray of shape (n_samples, n_timesteps, n_symbols + 2)
        Exactly one channel is 1 at each step; the last two are the blank and the delimiter.
    y : ndarray of shape (n_samples, n_copied), (n_samples,) or (n_samples, n_timesteps)
        Symbols 0 to `n_symbols` - 1 in their order; (n_samples,) where one is copied. With
        `per_step` the answers of all steps, where `n_symbols` is the blank.

    See Also
    --------
    make_first_token_recall : One token to recall.

    Notes
    -----
    Without memory, blanks until the end and a guess for each symbol have a mean cross-entropy of
    ``n_copied * log(n_symbols) / n_timesteps`` a step ([1]_, section 4.1).

    Several symbols to recall are several targets of several classes, which one classifier does not
    take. ``MultiOutputClassifier(RNNClassifier())`` of :mod:`sklearn.multioutput` fits a net for
    each symbol; ``RNNClassifier().fit(X, y[:, 0])`` recalls the first one only.

    References
    ----------
    .. [1] M. Arjovsky, A. Shah, Y. Bengio, "Unitary evolution recurrent neural networks", ICML
       2016, PMLR 48, 1120-1128; after S. Hochreiter, J. Schmidhuber, "Long short-term memory",
       Neural Computation 9(8), 1735-1780, 1997.

    Examples
    --------
    >>> from sklearn_ext.datasets import make_copy_memory
    >>> X, y = make_copy_memory(n_samples=2, n_timesteps=9, n_copied=3, random_state=0)
    >>> X[0].argmax(axis=1)  # 8 is the blank, 9 the delimiter
    array([4, 7, 5, 8, 8, 9, 8, 8, 8])
    >>> y[0]
    array([4, 7, 5])
    """
    if n_timesteps <= 2 * n_copied:
        raise ValueError(
            f"n_timesteps must be more than twice n_copied={n_copied}, got {n_timesteps}."
        )
    rng = check_random_state(random_state)
    blank, delimiter = n_symbols, n_symbols + 1
    symbols = rng.randint(n_symbols, size=(n_samples, n_copied))
    tokens = np.full((n_samples, n_timesteps), blank)
    tokens[:, :n_copied] = symbols
    tokens[:, -n_copied - 1] = delimiter
    y = symbols[:, 0] if n_copied == 1 else symbols
    if per_step:
        y = np.full_like(tokens, blank)
        y[:, -n_copied:] = symbols
    return _one_hot(tokens, n_symbols + 2), y
