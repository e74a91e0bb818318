"""Every example runs as it stands, without a warning, and leaves a picture."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("plot_*.py"))
# What these need, and that they print, is all there is to see of them.
WITHOUT_PICTURE = {"summarize_through_an_api": "openai"}
# What tests/models runs.
WITH_MODELS = {"finetune_language_model", "lora_text_classification"}
PICTURES = {".png", ".svg", ".pdf"}


def test_there_is_an_example():
    assert EXAMPLES


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_and_draws(path, tmp_path):
    pytest.importorskip("matplotlib")
    # A file saved beside the script instead of in the working directory would be missed here,
    # so the script is asked from an empty directory, as a reader may do.
    command = [sys.executable, "-W", "error", str(path)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    pictures = [file for file in tmp_path.rglob("*") if file.suffix in PICTURES]
    assert pictures, f"{path.name} saved no picture into the working directory"
    assert all(file.stat().st_size > 1000 for file in pictures)


def test_other_examples_are_listed():
    others = {path.stem for path in EXAMPLES[0].parent.glob("*.py")} - {p.stem for p in EXAMPLES}
    assert others == set(WITHOUT_PICTURE) | WITH_MODELS


@pytest.mark.parametrize("name", WITHOUT_PICTURE)
def test_example_without_picture_runs(name, tmp_path):
    pytest.importorskip(WITHOUT_PICTURE[name])
    command = [sys.executable, "-W", "error", str(EXAMPLES[0].parent / f"{name}.py")]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip()
    assert list(tmp_path.iterdir()) == []
