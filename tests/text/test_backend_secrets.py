"""A planted key is looked for wherever it could leak."""

import io
import logging
import pickle
import sys
import traceback
import warnings

import joblib
import pytest
from loopback import KEY, VENDORS, Fault, serving, vendor_settings
from sklearn.utils import estimator_html_repr
from test_summarizer_texts import PACKAGES, TEXTS

from sklearn_ext import TextSummarizer
from sklearn_ext.exceptions import BackendError, MissingDependencyError, SummaryWarning

VARIABLE = "SKLEARN_EXT_TEST_KEY"


def chain(error):
    """Text of an error, of all that it is chained to, and of what they hold."""
    text = "".join(traceback.format_exception(error))
    while error is not None:
        text += repr(vars(error)) + repr(error.args)
        error = error.__cause__ or error.__context__
    return text


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_planted_key_stays_where_it_is(vendor, monkeypatch, tmp_path, caplog, capfd):
    pytest.importorskip(PACKAGES[vendor])
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(VARIABLE, KEY)
    # A server that repeats the key in its error, as real ones do in part.
    refusal = Fault(400, body={"error": {"message": f"the key {KEY} may not do this"}})
    leaks = {}
    with serving(fault=lambda number, text: refusal if "Bad" in text else None) as server:
        settings = vendor_settings(
            vendor, server, api_key_env=VARIABLE, cache=str(tmp_path / "cache"), on_error="warn"
        )
        summarizer = TextSummarizer(**settings).fit(TEXTS)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", SummaryWarning)
            result = summarizer.summarize([*TEXTS, "Bad text. More."])
        assert len(result.failures) == 1 and len(server.asked) == len(TEXTS) + 1
        sent = str(server.headers) + str(server.bodies)
        assert KEY in sent, "the key has to arrive, or this test looks for nothing"
        strict = TextSummarizer(**settings | {"on_error": "raise"}).fit(TEXTS)
        with pytest.raises(BackendError) as raised:
            strict.transform(["Bad text. More."])
    leaks["traceback"] = chain(raised.value)
    leaks["warnings"] = " ".join(str(warning.message) for warning in caught)
    leaks["repr"] = repr(summarizer) + repr(result) + repr(vars(summarizer))
    leaks["get_params"] = repr(summarizer.get_params())
    leaks["html"] = estimator_html_repr(summarizer)
    leaks["pickle"] = pickle.dumps(summarizer) + pickle.dumps(result)
    file = io.BytesIO()
    joblib.dump(summarizer, file)
    leaks["joblib"] = file.getvalue()
    files = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert len(files) == len(TEXTS)
    leaks["cache"] = b"".join(str(path).encode() + path.read_bytes() for path in files)
    leaks["logs"] = caplog.text
    leaks["output"] = "".join(capfd.readouterr())
    for place, content in leaks.items():
        content = content if isinstance(content, bytes) else content.encode()
        assert KEY.encode() not in content, place


def test_vendor_s_key_is_not_sent_to_another_server(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving() as server:
        settings = vendor_settings("openai", server, api_key_env=None)
        TextSummarizer(**settings).fit(TEXTS).transform(TEXTS)
        assert KEY not in str(server.headers)


def test_missing_key_names_the_variable(monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    summarizer = TextSummarizer("anthropic", model="m").fit(TEXTS)
    with pytest.raises(ValueError, match="got 'ANTHROPIC_API_KEY'"):
        summarizer.transform(TEXTS)


def test_a_key_in_place_of_a_name_is_not_repeated():
    summarizer = TextSummarizer("openai", model="m", api_key_env="sk-proj-abc123").fit(TEXTS)
    with pytest.raises(ValueError, match="not shown") as caught:
        summarizer.transform(TEXTS)
    assert "abc123" not in str(caught.value)


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_package_that_is_missing_is_named_with_its_extra(vendor, monkeypatch):
    monkeypatch.setitem(sys.modules, PACKAGES[vendor], None)
    extra = vendor if vendor in ("openai", "anthropic", "cohere", "azure") else "text"
    settings = {"model": "m" if vendor != "azure" else None, "base_url": "http://127.0.0.1:9"}
    summarizer = TextSummarizer(vendor, api_key_env=lambda: "k", **settings).fit(TEXTS)
    with pytest.raises(MissingDependencyError, match=rf"sklearn-ext\[{extra}\]"):
        summarizer.transform(TEXTS)


def test_a_key_in_an_address_is_not_part_of_a_name_in_the_cache():
    from sklearn_ext.text.backends._openai import OpenAIBackend
    from sklearn_ext.text.backends._vendor import VendorSettings

    url = f"https://user:{KEY}@example.org:8080/v1?key={KEY}"
    found = OpenAIBackend(VendorSettings(model="m", base_url=url)).cache_id
    assert KEY not in found and "example.org:8080" in found and "/v1" in found
