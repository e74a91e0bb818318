"""A scikit-learn extension library.

Public names are resolved at first use (PEP 562): ``import sklearn_ext`` itself imports
neither scikit-learn nor any optional package, so it costs next to nothing, and a name
costs only what that name needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what type checkers and editors see in place of the lazy names
    from sklearn_ext import (
        activations,
        datasets,
        exceptions,
        inspection,
        linear_model,
        neural_network,
        preprocessing,
        text,
    )
    from sklearn_ext._versions import show_versions
    from sklearn_ext.linear_model import PolynomialRegressor
    from sklearn_ext.neural_network import (
        CausalLanguageModel,
        FFNNClassifier,
        FFNNRegressor,
        LoRAAdapter,
        RNNClassifier,
        RNNRegressor,
        TransformerClassifier,
    )
    from sklearn_ext.text import TextSummarizer

__version__ = "0.1.0"

__all__ = [
    "CausalLanguageModel",
    "FFNNClassifier",
    "FFNNRegressor",
    "LoRAAdapter",
    "PolynomialRegressor",
    "RNNClassifier",
    "RNNRegressor",
    "TextSummarizer",
    "TransformerClassifier",
    "__version__",
    "activations",
    "datasets",
    "exceptions",
    "inspection",
    "linear_model",
    "neural_network",
    "preprocessing",
    "show_versions",
    "text",
]

_SUBMODULES = frozenset(
    {
        "activations",
        "datasets",
        "exceptions",
        "inspection",
        "linear_model",
        "neural_network",
        "preprocessing",
        "text",
    }
)
_HOME_OF = {
    "CausalLanguageModel": "neural_network",
    "FFNNClassifier": "neural_network",
    "FFNNRegressor": "neural_network",
    "LoRAAdapter": "neural_network",
    "PolynomialRegressor": "linear_model",
    "RNNClassifier": "neural_network",
    "RNNRegressor": "neural_network",
    "TextSummarizer": "text",
    "show_versions": "_versions",
    "TransformerClassifier": "neural_network",
}


def __getattr__(name: str) -> Any:
    """Import the public name at first use; later uses find it as a plain global."""
    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, also those not imported yet."""
    return sorted({*globals(), *__all__})
