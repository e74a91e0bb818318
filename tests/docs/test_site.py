"""The site that `make docs` built: links, pictures, search index, and no need of a network."""

import json
import re

import pytest
from site_pages import ROOT, SITE, all_pages, broken_links

# Every page of the user guide has a picture that an example draws.
TOPICS = sorted(
    path.stem for path in (ROOT / "docs").glob("*.rst") if "When not to use it" in path.read_text()
)


@pytest.fixture(scope="module")
def pages():
    assert (SITE / "index.html").is_file(), f"there is no site in {SITE}: run `make docs` first"
    return all_pages()


def test_links_within_the_site_resolve(pages):
    assert broken_links(pages) == []


def test_nothing_is_loaded_from_elsewhere(pages):
    loaded = [
        f"{name}: {address}"
        for name, page in pages.items()
        for tag, address in page.addresses
        if tag != "a" and address.startswith(("http:", "https:", "//"))
    ]
    assert loaded == []


def test_there_is_a_page_for_each_topic():
    assert {"polynomial", "gelu", "feed_forward", "recurrent", "tensors", "scaling"} <= set(TOPICS)


@pytest.mark.parametrize("topic", TOPICS)
def test_topic_has_formula_picture_and_references(pages, topic):
    page = pages[f"{topic}.html"]
    linked = [address for _, address in page.addresses]
    assert page.n_formulas
    assert any(tag == "img" and "sphx_glr_plot" in address for tag, address in page.addresses)
    assert any(address.startswith("generated/sklearn_ext.") for address in linked)


def test_pictures_hold_something(pages):
    sources = {
        (page.path.parent / address).resolve()
        for page in pages.values()
        for tag, address in page.addresses
        if tag == "img" and "_images/" in address
    }
    assert len(sources) > 10
    assert [path.name for path in sources if path.stat().st_size < 1000] == []


def test_estimators_in_the_gallery_link_to_their_page(pages):
    name = "auto_examples/plot_polynomial_regression.html"
    text = pages[name].path.read_text("utf-8")
    linked = re.findall(r'<a class="sk-estimator-doc-link[^>]*href="([^"]+)"', text)
    assert "../generated/sklearn_ext.linear_model.PolynomialRegressor.html" in linked


def test_search_index_knows_lora():
    text = (SITE / "searchindex.js").read_text("utf-8")
    index = json.loads(text[text.index("{") : text.rindex("}") + 1])
    found = set()
    for words in ("terms", "titleterms"):
        pages = index[words].get("lora", [])
        found |= {index["docnames"][i] for i in (pages if isinstance(pages, list) else [pages])}
    assert {"lora", "migration"} <= found
