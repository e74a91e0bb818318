"""The HTML representation of an estimator links to its page in the API reference."""

import re
from pathlib import Path

import pytest
from all_estimators import all_estimators, public_objects
from sklearn.base import BaseEstimator
from sklearn.pipeline import make_pipeline

from sklearn_ext import PolynomialRegressor
from sklearn_ext._documentation import site_address
from sklearn_ext.preprocessing import SequencePadder

ROOT = Path(__file__).parents[1]
SITE = "https://docs.example.org/sklearn_ext"
every_estimator = pytest.mark.parametrize(
    "estimator", all_estimators(), ids=lambda estimator: type(estimator).__name__
)


@pytest.fixture
def named_site(monkeypatch):
    monkeypatch.setenv("SKLEARN_EXT_DOCS", f"{SITE}/")


def links(estimator):
    """Addresses that the HTML representation of an estimator links to."""
    return re.findall(r'href="([^"]+)"', estimator._repr_html_())


def page_name(estimator):
    """Name of the page that autosummary writes for the class."""
    name = next(name for name, value in public_objects().items() if value is type(estimator))
    return f"generated/{name}.html"


@every_estimator
@pytest.mark.usefixtures("named_site")
def test_repr_links_to_the_page_of_the_estimator(estimator):
    assert f"{SITE}/{page_name(estimator)}" in links(estimator)


@every_estimator
def test_the_page_is_listed_in_the_api_reference(estimator):
    name = type(estimator).__name__
    assert re.search(rf"^   {name}$", (ROOT / "docs/api.rst").read_text("utf-8"), re.MULTILINE)


@pytest.mark.usefixtures("named_site")
def test_every_step_of_a_pipeline_has_its_own_link():
    pipeline = make_pipeline(SequencePadder(), PolynomialRegressor())
    assert {f"{SITE}/{page_name(step)}" for _, step in pipeline.steps} <= set(links(pipeline))


@pytest.mark.usefixtures("named_site")
def test_others_classes_have_no_page_here():
    class Mine(PolynomialRegressor):
        """A class of another module."""

    assert not any(SITE in link for link in links(Mine()))
    assert "scikit-learn.org" in BaseEstimator()._get_doc_link()


def test_without_the_variable_the_site_of_the_checkout_is_meant(monkeypatch):
    monkeypatch.delenv("SKLEARN_EXT_DOCS", raising=False)
    assert site_address() == (ROOT / "docs/_build/html").as_uri()


def test_outside_a_checkout_nothing_is_linked(monkeypatch, tmp_path):
    monkeypatch.delenv("SKLEARN_EXT_DOCS", raising=False)
    assert site_address(tmp_path) == ""
    monkeypatch.setattr("sklearn_ext._documentation.site_address", lambda: "")
    assert PolynomialRegressor()._get_doc_link() == ""


def test_braces_in_an_address_are_kept(monkeypatch):
    monkeypatch.setenv("SKLEARN_EXT_DOCS", "https://docs.example.org/{latest}")
    link = PolynomialRegressor()._get_doc_link()
    assert link.startswith("https://docs.example.org/{latest}/generated/sklearn_ext.linear_model.")
