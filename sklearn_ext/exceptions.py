"""Errors and warnings of sklearn_ext.

Bad input raises scikit-learn's own kinds of error (``ValueError``, ``TypeError``,
:class:`sklearn.utils._param_validation.InvalidParameterError`,
:class:`sklearn.exceptions.NotFittedError`), because callers already catch those. The
classes below are for what scikit-learn has no word for::

    Exception
     └── SklearnExtError
          ├── MissingDependencyError         (also an ImportError)
          └── BackendError                   a text backend gave no usable answer

    UserWarning
     └── SklearnExtWarning
          ├── RankWarning                    some terms cannot be told apart
          ├── PrecisionWarning               digits were lost on the way
          ├── ExtrapolationWarning           asked outside the training data
          └── SummaryWarning                 some documents have no summary

One ``except SklearnExtError`` or one ``filterwarnings("ignore", category=SklearnExtWarning)``
therefore covers the whole library.
"""

__all__ = [
    "BackendError",
    "ExtrapolationWarning",
    "MissingDependencyError",
    "PrecisionWarning",
    "RankWarning",
    "SklearnExtError",
    "SklearnExtWarning",
    "SummaryWarning",
]


class SklearnExtError(Exception):
    """Base class of every error that only sklearn_ext raises.

    Never raised itself. Catch it to handle all of the library's own errors in one
    place; errors about input data and parameters stay scikit-learn's.
    """


class MissingDependencyError(SklearnExtError, ImportError):
    """An optional package that this feature needs is not installed.

    Raised when a feature is first used, never by ``import sklearn_ext``. The message
    holds the ``pip install`` command that cures it. As this is an ``ImportError``, code
    that already guards an optional import keeps working.

    Examples
    --------
    >>> from sklearn_ext.exceptions import MissingDependencyError
    >>> issubclass(MissingDependencyError, ImportError)
    True
    """


class BackendError(SklearnExtError):
    """A text backend gave no usable answer.

    Raised by :class:`sklearn_ext.text.TextSummarizer` with ``on_error="raise"``, and found in
    its ``failures_`` otherwise. Write one in a backend of your own to say what went wrong: its
    `kind` decides whether the request is sent again.

    Attributes
    ----------
    kind : str
        ``"rate_limit"``, ``"server"``, ``"timeout"``, ``"connection"``, ``"malformed"`` or
        ``"empty"``: sent again, up to `max_retries` times. Sent once only: ``"request"``,
        ``"authentication"``, ``"permission"``, ``"not_found"``, ``"quota"``,
        ``"content_filter"``, ``"length"``, ``"context"`` (the text is too long), ``"budget"``
        (the request would exceed it) and ``"other"``.
    status : int or None
        HTTP status of the answer, where there was one.
    retry_after : float or None
        Seconds to wait that the server asked for.
    summaries : Summaries or None
        What was done before :class:`sklearn_ext.text.TextSummarizer` raised it: nothing that is
        paid for is lost.

    Examples
    --------
    >>> from sklearn_ext.exceptions import BackendError
    >>> BackendError("Slow down", kind="rate_limit", retry_after=2.0).is_transient
    True
    """

    _TRANSIENT = frozenset({"rate_limit", "server", "timeout", "connection", "malformed", "empty"})

    def __init__(
        self,
        message: str,
        *,
        kind: str = "other",
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.retry_after = retry_after
        self.summaries: object = None

    @property
    def is_transient(self) -> bool:
        """Whether the same request may succeed later."""
        return self.kind in self._TRANSIENT


class SklearnExtWarning(UserWarning):
    """Base class of every warning that only sklearn_ext gives.

    Never given itself. Use it as the category of a warning filter to silence, or to turn
    into errors, all of the library's own warnings at once.

    Examples
    --------
    >>> import warnings
    >>> from sklearn_ext.exceptions import RankWarning, SklearnExtWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", SklearnExtWarning)
    ...     warnings.warn("silent here", RankWarning)
    """


class RankWarning(SklearnExtWarning):
    """The data cannot tell some terms of the model apart.

    Given by ``fit`` when the design matrix has a lower rank than it has terms: a constant
    or duplicated column, fewer distinct values in a column than its degree needs, or fewer
    samples than terms. The message names the terms; ``rank_`` holds the rank.

    Predictions near the training data are still sound, but single coefficients are one
    choice among many. Remove the columns named, lower ``degree``, set
    ``interaction_only=True``, or set ``alpha`` above zero.
    """


class PrecisionWarning(SklearnExtWarning):
    """A result holds fewer correct digits than its dtype could.

    Given when writing the model in raw monomials of the caller's columns cancels most
    digits of ``coef_`` (columns far from zero, high degree), when iterative refinement
    stopped improving before the coefficients settled, and when a quantised base is merged.

    Predictions do not go through the raw coefficients and keep their accuracy. For
    coefficients that can be read, centre or rescale the columns, lower ``degree``, or use
    ``solver="refined"``.
    """


class ExtrapolationWarning(SklearnExtWarning):
    """Predictions were asked for outside the range of the training data.

    Given once by a ``predict`` call that holds rows beyond the training bounds by more
    than the documented margin. A polynomial grows there like its highest power, so its
    values may be far off, whatever the score on held-out rows was.

    Check the units and the order of the columns; fit on data that covers the range; or
    lower ``degree``.
    """


class SummaryWarning(SklearnExtWarning):
    """Some documents got no summary from the backend, or the cache could not be written to.

    Given once by a call of :class:`sklearn_ext.text.TextSummarizer` with ``on_error="warn"`` or
    ``"extractive"``. The message counts them and quotes the first; ``failures_`` holds all. Given
    once, too, by a call whose answers did not all go into the cache.

    Call again later with ``cache`` set: only what is missing is asked for.
    """
