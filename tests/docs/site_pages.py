"""The built site as data: its pages, what each links to and which names it has."""

import os
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[2]
SITE = Path(os.environ.get("SKLEARN_EXT_SITE", ROOT / "docs/_build/html"))
ADDRESSES = {"a": "href", "link": "href", "img": "src", "script": "src", "iframe": "src"}


class Page(HTMLParser):
    """Addresses, names and formulas of one page.

    Parameters
    ----------
    path : Path
        File of the page.

    Attributes
    ----------
    addresses : list of (str, str)
        Tag and address of all that is linked or loaded.
    names : set of str
        What a fragment can point to.
    n_formulas : int
        Number of formulas.
    """

    def __init__(self, path):
        super().__init__()
        self.path, self.addresses, self.names, self.n_formulas = path, [], set(), 0
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        """Keep what one element says."""
        values = dict(attrs)
        self.names |= {values[key] for key in ("id", "name") if values.get(key)}
        self.n_formulas += "math" in (values.get("class") or "").split()
        address = values.get(ADDRESSES.get(tag))
        if address:
            self.addresses.append((tag, address))


def all_pages():
    """Map the path of each page inside the site to the page."""
    files = [f for f in sorted(SITE.rglob("*.html")) if "_static" not in f.relative_to(SITE).parts]
    return {str(path.relative_to(SITE)): Page(path) for path in files}


def broken_links(pages):
    """List the links within the site that lead nowhere, as "page: address"."""
    return [
        f"{name}: {address}"
        for name, page in pages.items()
        for _, address in page.addresses
        if not _resolves(address, page, pages)
    ]


def _resolves(address, page, pages):
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return parts.scheme in ("http", "https", "data")  # a link to a disk is a mistake
    target = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
    if not target.is_file():
        return False
    known = pages.get(str(target.relative_to(SITE.resolve())))
    fragment = unquote(parts.fragment.partition(":~:")[0])  # behind it: words to highlight
    return not fragment or known is None or fragment in known.names
