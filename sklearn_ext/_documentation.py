"""Where the documentation of an estimator lies: the link in its HTML representation."""

import os
from pathlib import Path

__all__ = ["DocumentationLinkMixin", "site_address"]

_VARIABLE = "SKLEARN_EXT_DOCS"
_CHECKOUT = Path(__file__).resolve().parents[1]


def site_address(checkout=_CHECKOUT):
    """Address of the built documentation, without a slash at its end.

    Parameters
    ----------
    checkout : Path, default=folder that holds the package
        Where ``make docs`` would put the site into ``docs/_build/html``.

    Returns
    -------
    address : str
        What the environment variable ``SKLEARN_EXT_DOCS`` says, such as the address of a server of
        your own; without it the site that is built in the checkout, as a ``file:`` address; empty
        where the package does not lie in a checkout.

    Examples
    --------
    >>> import os
    >>> from sklearn_ext._documentation import site_address
    >>> os.environ["SKLEARN_EXT_DOCS"] = "https://docs.example.org/sklearn_ext/"
    >>> site_address()
    'https://docs.example.org/sklearn_ext'
    >>> del os.environ["SKLEARN_EXT_DOCS"]
    """
    built = checkout / "docs/_build/html"
    default = built.as_uri() if (checkout / "docs/conf.py").is_file() else ""
    return os.environ.get(_VARIABLE, default).rstrip("/")


class DocumentationLinkMixin:
    """Let the HTML representation of an estimator link to its page in our API reference.

    scikit-learn's ``BaseEstimator`` draws the link from two attributes. Of classes that are not
    of this package, such as a subclass of yours, there is no page and so no link.
    """

    _doc_link_module = "sklearn_ext"

    @property
    def _doc_link_template(self):
        address = site_address().replace("{", "{{").replace("}", "}}")
        # The names of pages are autosummary's; scikit-learn fills in module and class.
        return address and f"{address}/generated/{{estimator_module}}.{{estimator_name}}.html"
