"""What README and the pages of docs/ show runs, and the make targets they name exist."""

import doctest
import re
import textwrap
from itertools import takewhile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.rst")), *sorted((ROOT / "docs").glob("*.md"))]
FENCED = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
DIRECTIVE = re.compile(r"(.*)\.\. code-block:: (\w+)")
TARGET = re.compile(r"^([a-z][\w-]*):", re.MULTILINE)
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(page, language):
    """List (number of the first line, source) of each code block of a language on a page."""
    found = fenced if page.suffix == ".md" else directed
    text = page.read_text("utf-8")
    return [(line, source) for shown, line, source in found(text) if shown == language]


def fenced(text):
    """Yield language, line and source of each block of a Markdown text."""
    for match in FENCED.finditer(text):
        yield match[1], text.count("\n", 0, match.start(2)) + 1, match[2]


def directed(text):
    """Yield language, line and source of each code-block directive, also inside of tables."""
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        if match := DIRECTIVE.fullmatch(line):
            column = len(match[1])
            inside = takewhile(lambda x: not x[: column + 1].strip(), lines[number:])  # noqa: B023
            yield match[2], number + 1, "\n".join(inside)


def compiled(page, line, source):
    """Compile a block so that a traceback points at its line of the page."""
    return compile("\n" * (line - 1) + textwrap.dedent(source), str(page), "exec")


def make_targets(source):
    """List the targets that the commands of a block call, with or without a prompt."""
    commands = [line.strip().removeprefix("$").strip() for line in source.splitlines()]
    calls = [command.split("#")[0].split()[1:] for command in commands if command[:5] == "make "]
    return [word for words in calls for word in words if "=" not in word and word[0] != "-"]


def imports_nets(page):
    return re.search(r"import .*(FFNN|RNN)|torch", page.read_text("utf-8")) is not None


@every_page
def test_python_blocks_and_sessions_run_in_order(page, tmp_path, monkeypatch):
    if imports_nets(page):
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": page.stem}
    for line, source in blocks(page, "python"):
        exec(compiled(page, line, source), namespace)
    failed, _ = doctest.testfile(str(page), module_relative=False, optionflags=FLAGS)
    assert failed == 0
    pytest.importorskip("matplotlib.pyplot").close("all")


@every_page
def test_blocks_that_are_not_run_are_python_all_the_same(page):
    """Blocks of the language "py" show other libraries, or a cluster: they are only compiled."""
    for line, source in blocks(page, "py"):
        compiled(page, line, source)


def test_blocks_are_found():
    assert blocks(README, "python")
    assert blocks(README, "console")
    assert blocks(ROOT / "docs/index.rst", "python")
    assert len(blocks(ROOT / "docs/migration.rst", "py")) >= 6


def test_console_blocks_name_existing_make_targets():
    existing = set(TARGET.findall((ROOT / "Makefile").read_text("utf-8")))
    shown = [source for page in PAGES for _, source in blocks(page, "console")]
    called = [target for source in shown for target in make_targets(source)]
    assert called, "README.md shows no make command"
    assert set(called) <= existing
