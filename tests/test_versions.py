"""`python -m sklearn_ext` and `show_versions` tell what is installed."""

import subprocess
import sys
from importlib.metadata import version

import sklearn_ext
from sklearn_ext._versions import extras_of, installed_version


def test_module_prints_what_the_function_prints(capsys):
    sklearn_ext.show_versions()
    shown = capsys.readouterr().out
    run = subprocess.run(
        [sys.executable, "-m", "sklearn_ext"], check=True, capture_output=True, text=True
    )
    assert run.stdout == shown
    for name in ("scikit-learn", "numpy", "scipy"):
        assert f"   {name}: {version(name)}\n" in shown


def test_extras_are_listed_with_versions_or_what_is_missing(monkeypatch, capsys):
    lines = ["numpy>=1", "numpy>=1; extra == 'here'", 'no-such-package[x]>=2; extra == "gone"']
    monkeypatch.setattr("sklearn_ext._versions.requirements", lambda: lines)
    sklearn_ext.show_versions()
    extras = capsys.readouterr().out.partition("Extras:\n")[2]
    assert extras == f"   gone: missing no-such-package\n   here: numpy {version('numpy')}\n"


def test_extras_of_requirements():
    assert extras_of(
        ["a>=1", "b.c-d>=2; extra == 'x'", "e; python_version > '3' and extra == 'x'"]
    ) == {"x": ["b.c-d", "e"]}


def test_what_is_not_installed_has_no_version():
    assert installed_version("no-such-package") is None


def test_source_tree_that_was_never_installed(monkeypatch, capsys):
    monkeypatch.setattr("sklearn_ext._versions._DISTRIBUTION", "no-such-package")
    sklearn_ext.show_versions()
    shown = capsys.readouterr().out
    assert "   no-such-package: not installed\n" in shown
    assert shown.endswith("Extras:\n")
