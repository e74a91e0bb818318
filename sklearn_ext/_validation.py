"""The only door to scikit-learn's private names.

scikit-learn keeps parameter constraints, ``_check_sample_weight`` and a few more under
names with a leading underscore, and may move them in any release. Every module of
sklearn_ext takes them from here, so a release that moves one is answered in one file;
``tests/test_layers.py`` proves that no other file reaches for them. Public helpers that
belong to the same step of an estimator (``validate_data``, ``check_is_fitted``) pass
through here too, so that an estimator has one import line for checking its input.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sklearn.base import BaseEstimator, _fit_context
from sklearn.callback import AutoPropagatedCallback, with_callbacks
from sklearn.utils import _safe_indexing
from sklearn.utils._array_api import (
    _max_precision_float_dtype,
    check_same_namespace,
    get_namespace_and_device,
    move_to,
)
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    RealNotInt,
    StrOptions,
    validate_parameter_constraints,
    validate_params,
)
from sklearn.utils.validation import (
    _check_categorical_features,
    _check_feature_names,
    _check_feature_names_in,
    _check_sample_weight,
    _num_samples,
    check_is_fitted,
    check_X_y,
    validate_data,
)

__all__ = [
    "AutoPropagatedCallback",
    "HasMethods",
    "Interval",
    "RealNotInt",
    "StrOptions",
    "_check_categorical_features",
    "_check_feature_names",
    "_check_feature_names_in",
    "_check_sample_weight",
    "_fit_context",
    "_max_precision_float_dtype",
    "_num_samples",
    "_safe_indexing",
    "all_or_nothing",
    "assign_parameters",
    "check_X_y",
    "check_has_rows",
    "check_is_fitted",
    "check_same_namespace",
    "get_namespace_and_device",
    "is_arrow_table",
    "move_to",
    "validate_data",
    "validate_parameter_constraints",
    "validate_params",
    "with_callbacks",
]


def check_has_rows(X: object) -> None:
    """Raise an error for a lazy frame, such as those of polars.

    Parameters
    ----------
    X : object
        What is given as rows.

    Raises
    ------
    TypeError
        If X is a query whose rows are not there yet.
    """
    # Frames that have their rows can be made lazy, but have nothing to collect.
    if hasattr(type(X), "lazy") and hasattr(type(X), "collect"):  # columns are attributes too
        raise TypeError(f"X is a {type(X).__name__}, which has no rows yet. Give X.collect().")


def is_arrow_table(X: object) -> bool:
    """Tell tables of pyarrow, which is not imported for it.

    Parameters
    ----------
    X : object
        What is given as rows.

    Returns
    -------
    found : bool
        Whether X has the names of columns, and can be made a frame of pandas.
    """
    return hasattr(X, "column_names") and hasattr(X, "to_pandas")


def assign_parameters(estimator: BaseEstimator, values: Mapping[str, object]) -> None:
    """Do what ``__init__`` does: set each parameter to its value, and nothing else.

    Parameters
    ----------
    estimator : BaseEstimator
        Estimator inside its ``__init__``.
    values : mapping of str to object
        ``locals()`` of ``__init__``.

    Examples
    --------
    >>> from sklearn.base import BaseEstimator
    >>> from sklearn_ext._validation import assign_parameters
    >>> class Shrinking(BaseEstimator):
    ...     def __init__(self, alpha=1.0, *, power=2):
    ...         assign_parameters(self, locals())
    >>> Shrinking(power=3).get_params()
    {'alpha': 1.0, 'power': 3}
    """
    for name in estimator._get_param_names():
        setattr(estimator, name, values[name])


@contextmanager
def all_or_nothing(estimator: object) -> Iterator[None]:
    """Give an estimator its attributes back when fitting it fails.

    Parameters
    ----------
    estimator : object
        Estimator inside one of its fitting methods.

    Examples
    --------
    >>> from sklearn_ext._validation import all_or_nothing
    >>> class Counter:
    ...     count_ = 1
    >>> counter = Counter()
    >>> try:
    ...     with all_or_nothing(counter):
    ...         counter.half_ = 2
    ...         raise ValueError
    ... except ValueError:
    ...     vars(counter)
    {}
    """
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
