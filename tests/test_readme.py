"""What README shows runs: its Python blocks in order, and the commands it names exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
TARGET = re.compile(r"^([a-z][\w-]*):", re.MULTILINE)


def blocks(language):
    """Yield (line number of the first line, source) of each fenced block of a language."""
    text = (ROOT / "README.md").read_text("utf-8")
    for match in BLOCK.finditer(text):
        if match[1] == language:
            yield text.count("\n", 0, match.start(2)) + 1, match[2]


def make_targets(source):
    """List the targets that the commands of a block call, with or without a prompt."""
    commands = [line.strip().removeprefix("$").strip() for line in source.splitlines()]
    calls = [command.split("#")[0].split()[1:] for command in commands if command[:5] == "make "]
    return [word for words in calls for word in words if "=" not in word and word[0] != "-"]


def test_python_blocks_run_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sources = list(blocks("python"))
    assert sources, "README.md shows no Python"
    namespace = {"__name__": "readme"}
    for line, source in sources:
        # The empty lines in front make a traceback point at the line of README.md.
        code = compile("\n" * (line - 1) + source, str(ROOT / "README.md"), "exec")
        exec(code, namespace)
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.close("all")


def test_console_blocks_name_existing_make_targets():
    existing = set(TARGET.findall((ROOT / "Makefile").read_text("utf-8")))
    called = [target for _, source in blocks("console") for target in make_targets(source)]
    assert called, "README.md shows no make command"
    assert set(called) <= existing
