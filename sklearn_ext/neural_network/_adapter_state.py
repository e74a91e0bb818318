"""The state of a fitted adapter without its base, and the place of a base that was not stored."""

from dataclasses import asdict

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils import (
    ClassifierTags,
    InputTags,
    RegressorTags,
    Tags,
    TargetTags,
    TransformerTags,
    get_tags,
)

__all__ = [
    "MissingBase",
    "adapted_from",
    "adapter_state",
    "are_same_classes",
    "check_same_base",
    "check_same_classes",
    "fingerprint_of",
    "missing_base",
]

_PARTS = {
    "target_tags": TargetTags,
    "transformer_tags": TransformerTags,
    "classifier_tags": ClassifierTags,
    "regressor_tags": RegressorTags,
    "input_tags": InputTags,
}


class MissingBase(BaseEstimator):
    """Stands for the base of an adapter that was stored without it.

    Parameters
    ----------
    class_name : str
        Class of the base.
    fingerprint : str
        SHA-256 of its weights.
    tags : dict
        Tags of the base, as plain values that can be stored.
    """

    def __init__(self, class_name, fingerprint, tags):
        self.class_name, self.fingerprint, self.tags = class_name, fingerprint, tags

    def not_here(self):
        """Make the error of everything that needs the base."""
        return NotFittedError(
            f"This adapter was stored without its base (store_base=False), a {self.class_name} "
            f"with fingerprint {self.fingerprint[:12]}. Give it back with attach_base(base)."
        )

    def fit(self, X, y=None):
        """Raise the error."""
        raise self.not_here()

    def __sklearn_clone__(self):
        return self

    def __sklearn_tags__(self):
        parts = {
            name: _PARTS[name](**value) if name in _PARTS and value is not None else value
            for name, value in self.tags.items()
        }
        return Tags(**parts)


def adapter_state(adaptation, adapted, base):
    """Collect what an adapted estimator has that its base has not, as plain values.

    Parameters
    ----------
    adaptation : NetAdaptation
        How this kind of estimator is adapted.
    adapted : estimator
        Adapted estimator.
    base : estimator
        What it was made of.

    Returns
    -------
    state : dict or None
        None if `adapted` cannot be made of `base`, whose weights are others by now.
    """
    from sklearn_ext._torch.adapter_state import adapter_arrays, base_is

    module, of_base = adaptation.module(adapted), adaptation.module(adaptation.merged(base))
    if not base_is(module, of_base):
        return None
    return {
        "arrays": adapter_arrays(module, of_base),
        "attributes": adaptation.attributes(adapted, base),
    }


def adapted_from(adaptation, base, settings, state):
    """Make the adapted estimator of its base and what :func:`adapter_state` collected."""
    from sklearn_ext._torch.adapter_state import load_adapter_arrays
    from sklearn_ext._torch.random import make_generator

    adapted = adaptation.adapted(base, settings, make_generator(0))
    load_adapter_arrays(adaptation.module(adapted), state["arrays"])
    adaptation.restore(adapted, state["attributes"])
    return adapted


def missing_base(adaptation, base):
    """Make what stands for a base that is not stored."""
    module = adaptation.module(adaptation.merged(base))
    return MissingBase(type(base).__name__, fingerprint_of(module), asdict(get_tags(base)))


def fingerprint_of(module, without=()):
    """Compute the fingerprint of a module, see :mod:`sklearn_ext._torch.adapter_state`."""
    from sklearn_ext._torch.adapter_state import fingerprint

    return fingerprint(module, without)


def check_same_base(expected, base, adaptation, without=()):
    """Raise an error if `base` is not the one whose fingerprint is `expected`."""
    found = fingerprint_of(adaptation.module(adaptation.merged(base)), without)
    if found != expected:
        raise ValueError(
            "This is not the base that the adapter was fitted on: its fingerprint is "
            f"{found[:12]}, not {expected[:12]}. Give an estimator with the same weights."
        )


def check_same_classes(adapter, base):
    """Raise an error if a base gives other classes than an adapter was fitted to."""
    expected, found = getattr(adapter, "classes_", None), getattr(base, "classes_", None)
    if not are_same_classes(expected, found):
        raise ValueError(
            f"This is not the base that the adapter was fitted on: its classes are {found!r}, not "
            f"{expected!r}."
        )


def are_same_classes(first, second):
    """Compare classes of one label a row, or lists of those of several."""
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(are_same_classes, first, second))
    if first is None or second is None:
        return first is second
    return np.asarray(first).dtype.kind == np.asarray(second).dtype.kind and np.array_equal(
        first, second
    )
