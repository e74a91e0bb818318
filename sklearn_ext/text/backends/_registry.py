"""Backends by their names."""

from typing import Any
from urllib.parse import urlsplit

from sklearn_ext.text.backends._anthropic import AnthropicBackend
from sklearn_ext.text.backends._azure import AzureBackend
from sklearn_ext.text.backends._callable import CallableBackend
from sklearn_ext.text.backends._cohere import CohereBackend
from sklearn_ext.text.backends._json import ClovaBackend, MeaningCloudBackend, NLPCloudBackend
from sklearn_ext.text.backends._openai import OpenAIBackend
from sklearn_ext.text.backends._protocol import Backend
from sklearn_ext.text.backends._vendor import VendorBackend, VendorSettings

__all__ = ["VENDORS", "make_backend"]

VENDORS: dict[str, type[VendorBackend]] = {
    vendor.name: vendor
    for vendor in (
        OpenAIBackend,
        AnthropicBackend,
        CohereBackend,
        AzureBackend,
        NLPCloudBackend,
        ClovaBackend,
        MeaningCloudBackend,
    )
}


def make_backend(backend: Any, settings: VendorSettings) -> Backend:
    """Make the backend that a caller named, or take the one that was passed.

    Parameters
    ----------
    backend : str, object or callable
        Name of a vendor, object with the method of :class:`Backend`, or function from a text to
        its summary.
    settings : VendorSettings
        Settings of a vendor.

    Returns
    -------
    backend : Backend
        New for a vendor's name; no client is built and no key is read yet.

    Raises
    ------
    ValueError
        If a vendor needs a model or an address that is not given, or the address holds a
        password.
    TypeError
        If the object is no backend.

    Examples
    --------
    >>> from sklearn_ext.text.backends._registry import make_backend
    >>> from sklearn_ext.text.backends._vendor import VendorSettings
    >>> make_backend("openai", VendorSettings(model="small")).name
    'openai'
    """
    if isinstance(backend, str):
        vendor = VENDORS[backend]
        _check_settings(vendor, settings)
        return vendor(settings)
    if isinstance(backend, Backend) and not isinstance(backend, type):
        return backend
    if callable(backend) and not isinstance(backend, type):
        return CallableBackend(backend)
    raise TypeError(
        f"backend must be one of {['extractive', *VENDORS]}, a function from a text to its "
        "summary, or an object with a method complete(request), got "
        f"{type(backend).__name__}."
    )


def _check_settings(vendor: type[VendorBackend], settings: VendorSettings) -> None:
    """Raise an error where a vendor misses something, or where a secret would show."""
    if vendor.needs_model and not settings.model:
        raise ValueError(f"backend={vendor.name!r} needs model, the name of the vendor's model.")
    if vendor.needs_base_url and not settings.base_url:
        raise ValueError(f"backend={vendor.name!r} needs base_url, the address of your resource.")
    if settings.base_url and urlsplit(settings.base_url).username is not None:
        raise ValueError(
            "base_url must not hold a user or password, which repr and pickles would show: "
            "pass them by api_key_env."
        )
