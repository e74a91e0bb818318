"""Benchmarks start, are listed once, and what they measured is on the pages."""

import re
import runpy
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("openai")

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "benchmarks").glob("[a-z]*.py"))
MEASURED = sorted(path.name for path in (ROOT / "docs/measured").glob("*.md"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_every_benchmark_tells_its_options(script, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(script), "--help"])
    monkeypatch.syspath_prepend(script.parent)
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(script), run_name="__main__")
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert all(option in shown for option in ("--threads", "--repeats", "--quick"))


def test_every_benchmark_is_listed_once():
    listed = re.findall(
        r"^\| `(\w+\.py)`", (ROOT / "benchmarks/README.md").read_text("utf-8"), re.MULTILINE
    )
    assert sorted(listed) == [script.name for script in SCRIPTS]


def test_what_was_measured_comes_from_a_benchmark():
    assert {Path(name).stem for name in MEASURED} <= {script.stem for script in SCRIPTS}


def test_what_was_measured_is_included_in_one_page():
    pages = [page.read_text("utf-8") for page in (ROOT / "docs").glob("*.[mr][ds]*")]
    included = re.findall(r"include(?:}|::) measured/(\w+\.md)", "\n".join(pages))
    assert sorted(included) == MEASURED
