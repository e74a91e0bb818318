"""Examples around real models run as they stand, without a warning, and leave a picture."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("name", ["finetune_language_model", "lora_text_classification"])
def test_example_runs_and_draws(name, tmp_path):
    command = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py")]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert (tmp_path / f"{name}.png").stat().st_size > 1000
