"""Weights of rows, given to every part of an estimator that takes them."""

from contextlib import nullcontext
from copy import deepcopy
from inspect import signature

import numpy as np
from sklearn import config_context, get_config
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import get_scorer
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import has_fit_parameter

from sklearn_ext._validation import _check_sample_weight

__all__ = ["asking_for_weights", "checked_weights", "routing", "takes_weights", "weighted_scorer"]


def checked_weights(sample_weight, X):
    """Weights as an array, or None where they say nothing.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,) or None
        Weights, at least 0.
    X : array-like of shape (n_samples, ...)
        Rows.

    Returns
    -------
    weight : ndarray of shape (n_samples,) or None
        None also for weights that are all 1.
    """
    if sample_weight is None:
        return None
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    return None if np.all(weight == 1.0) else weight


def routing(weight):
    """Let scikit-learn route the weights, if there are any, inside of a ``with`` block."""
    return nullcontext() if weight is None else config_context(enable_metadata_routing=True)


def takes_weights(estimator):
    """Whether what learns in an estimator takes weights: the last step of a pipeline."""
    if has_fit_parameter(estimator, "sample_weight"):
        return True
    steps = getattr(estimator, "steps", None)
    inner = steps[-1][1] if steps else getattr(estimator, "estimator", None)
    if inner is not None:
        return takes_weights(inner)
    return get_routing_for_object(estimator).consumes("fit", {"sample_weight"}) != set()


def asking_for_weights(estimator, *, anew=False):
    """Clone an estimator whose parts ask for weights wherever their fit or score takes them.

    Parameters
    ----------
    estimator : estimator
        Plain, a pipeline, a search, or any other that routes metadata.
    anew : bool, default=False
        Ask also where routing is enabled already, and the requests are those of the user.

    Returns
    -------
    estimator : estimator
        A clone; the same estimator where its requests are the user's.
    """
    if get_config()["enable_metadata_routing"] and not anew:
        return estimator
    estimator = clone(estimator)
    parts = [estimator, *estimator.get_params(deep=True).values()]
    # A frozen estimator is shared by its clones and learns nothing: it stays as it is.
    shells = [part for part in parts if isinstance(part, FrozenEstimator)]
    frozen = [*shells, *(shell.estimator for shell in shells)]
    with config_context(enable_metadata_routing=True):
        for part in parts:
            if not isinstance(part, type) and not any(part is inner for inner in frozen):
                _ask(part)
    return estimator


def _ask(part):
    """Request weights for one estimator, and for the score that a search goes by."""
    if isinstance(getattr(part, "scoring", None), str):
        part.set_params(scoring=weighted_scorer(get_scorer(part.scoring)))
    for name in ("set_fit_request", "set_score_request"):
        request = getattr(part, name, None)
        if request is not None and "sample_weight" in signature(request).parameters:
            request(sample_weight=True)


def weighted_scorer(scorer):
    """Copy a scorer that asks for weights.

    Parameters
    ----------
    scorer : callable
        Of ``sklearn.metrics.make_scorer``.

    Returns
    -------
    scorer : callable
        Asks for weights.

    Raises
    ------
    TypeError
        If it cannot: plain functions do not say what they take.
    """
    if not hasattr(scorer, "set_score_request"):
        raise TypeError(
            f"scoring={scorer!r} is a function that takes no sample_weight. Pass a name, or a "
            "scorer of sklearn.metrics.make_scorer."
        )
    with config_context(enable_metadata_routing=True):
        return deepcopy(scorer).set_score_request(sample_weight=True)
