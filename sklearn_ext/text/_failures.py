"""Documents that failed: listed, raised, or warned about."""

import warnings

from sklearn_ext.exceptions import SummaryWarning
from sklearn_ext.text._run_log import Failure

__all__ = ["answer_for_failures", "failures_of", "warn_of_cache"]


def failures_of(rows, outcomes):
    """List the outcomes that are errors.

    Parameters
    ----------
    rows : ndarray of shape (n_texts,)
        Row of each text.
    outcomes : list of Outcome
        One for each text.

    Returns
    -------
    failures : list of Failure
        In the order of the texts.
    """
    return [
        Failure(int(row), outcome.stage, outcome.error, outcome.attempts)
        for row, outcome in zip(rows, outcomes, strict=True)
        if outcome.error is not None
    ]


def warn_of_cache(unstored):
    """Warn of a cache that could not be written to; called two frames below a public method.

    Parameters
    ----------
    unstored : OSError or None
        What went wrong.
    """
    if unstored is not None:
        warnings.warn(
            f"Answers could not be stored in the cache: {unstored}. They are used, and will be "
            "asked for again.",
            SummaryWarning,
            stacklevel=6,
        )


def answer_for_failures(result, on_error):
    """Raise the first error, or warn of all; called two frames below a public method.

    Parameters
    ----------
    result : Summaries
        What was done.
    on_error : {"raise", "warn", "extractive"}
        What the user wants.
    """
    if not result.failures:
        return
    first = next((f for f in result.failures if f.attempts), result.failures[0])
    if on_error == "raise":
        first.error.summaries = result
        raise first.error
    instead = "an empty string" if on_error == "warn" else "the extractive summary"
    warnings.warn(
        f"{len(result.failures)} of the texts got {instead} instead of a summary; see "
        f"failures_. Row {first.row}: {first.error}",
        SummaryWarning,
        stacklevel=6,  # past the wrappers of transform
    )
