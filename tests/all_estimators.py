"""One list of what the package offers; every general test takes its cases from here."""

import inspect
from importlib.util import find_spec

from sklearn.base import BaseEstimator

import sklearn_ext


def public_objects():
    """Map the dotted public name of each class and function to the object itself.

    An object that is public in two places (``sklearn_ext.X``, ``sklearn_ext.module.X``) is
    listed once, under the longer name, where it is documented.
    """
    names = {}
    for prefix, module in public_modules().items():
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                names[value] = f"{prefix}.{name}"
    return {name: value for value, name in sorted(names.items(), key=lambda item: item[1])}


def public_modules():
    """Map the names of the package and of its public sub-packages to the modules."""
    modules = {"sklearn_ext": sklearn_ext}
    for name in sklearn_ext.__all__:
        if inspect.ismodule(getattr(sklearn_ext, name)):
            modules[f"sklearn_ext.{name}"] = getattr(sklearn_ext, name)
    return modules


def all_estimators():
    """Make one instance, with default parameters, of each public estimator that can run here."""
    has_torch = find_spec("torch") is not None
    return [
        value()
        for name, value in public_objects().items()
        if inspect.isclass(value)
        and issubclass(value, BaseEstimator)
        and (has_torch or not name.startswith("sklearn_ext.neural_network."))
    ]
