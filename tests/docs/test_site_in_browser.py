"""The built site in headless Chromium: pages load without a console error, pictures show, formulas
are drawn, and the search finds a word."""

import html
import json
import re
import shutil
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
from site_pages import SITE, all_pages

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--hide-scrollbars --enable-logging=stderr --virtual-time-budget=900000 --dump-dom"
).split()
LOOKER = Path(__file__).with_name("in_browser.html")
# What others' scripts say without being wrong: the theme tells what it is doing, scikit-learn's
# diagram warns where a long list of feature names is cut.
NO_ERROR = re.compile(r'"(\[PST\]: |Expected copy-paste icon is missing)')
# All pages that are written by hand, all of the gallery, and two of the many of the reference.
SAMPLES = ("generated/sklearn_ext.linear_model.PolynomialRegressor.html",)
SAMPLES += ("generated/sklearn_ext.activations.gelu.html",)


class SiteHandler(SimpleHTTPRequestHandler):
    """Serves the site, and the page that looks at its pages under an address of its own."""

    def translate_path(self, path):
        """Map an address to a file."""
        is_looker = path.partition("#")[0].partition("?")[0] == "/in_browser"
        return str(LOOKER) if is_looker else super().translate_path(path)

    def log_message(self, format, *args):
        """Say nothing of requests."""


@pytest.fixture(scope="module")
def server():
    assert (SITE / "index.html").is_file(), f"there is no site in {SITE}: run `make docs` first"
    handler = partial(SiteHandler, directory=str(SITE))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def pages_to_look_at():
    names = [name for name in all_pages() if "/" not in name or name.startswith("auto_examples/")]
    return [name for name in names if name not in ("genindex.html", "search.html")] + [*SAMPLES]


@pytest.fixture(scope="module")
def seen(server, tmp_path_factory):
    """What the browser saw: a report of each page, and what was said on its console."""
    assert CHROMIUM, "Chromium is missing: install the package chromium"
    asked = quote(json.dumps({"pages": pages_to_look_at(), "words": "LoRA"}))
    profile = tmp_path_factory.mktemp("profile")
    command = [CHROMIUM, *OPTIONS, f"--user-data-dir={profile}", f"{server}/in_browser#{asked}"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600)
    report = re.search(r'<pre id="report">(.*?)</pre>', run.stdout, re.DOTALL)
    assert report, run.stderr[-2000:]
    said = [line for line in run.stderr.splitlines() if ":CONSOLE" in line]
    return json.loads(html.unescape(report[1])), [
        line for line in said if not NO_ERROR.search(line)
    ]


def test_every_page_loads_with_its_title(seen):
    pages = seen[0]["pages"]
    assert sorted(pages) == sorted(pages_to_look_at())
    assert [name for name, page in pages.items() if "sklearn_ext" not in page["title"]] == []


def test_no_error_is_said_on_the_console(seen):
    assert seen[1] == []


def test_pictures_show(seen):
    pages = seen[0]["pages"]
    assert [address for page in pages.values() for address in page["missing"]] == []
    assert sum(page["pictures"] for page in pages.values()) > 20


def test_formulas_are_drawn(seen):
    pages = seen[0]["pages"]
    assert sum(page["formulas"] for page in pages.values()) > 20
    for name, page in pages.items():
        assert page["rendered"] == page["formulas"], name
        assert page["mathErrors"] == 0, name


def test_pages_are_not_wider_than_the_window(seen):
    wide = {name: page["tooWide"] for name, page in seen[0]["pages"].items() if page["tooWide"] > 0}
    assert wide == {}


def test_search_finds_lora(seen):
    found = seen[0]["found"]
    assert any("LoRA" in result or "lora" in result for result in found), found
