"""The wheel and the sdist that `make dist` built: what they hold, and that each works alone.

Each is installed into a fresh virtual environment, outside of the source tree and with nothing but
the core dependencies.
"""

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

import sklearn_ext
from sklearn_ext._versions import extras_of

ROOT = Path(__file__).parents[2]
DIST = Path(os.environ.get("SKLEARN_EXT_DIST", ROOT / "dist"))
VERSION = sklearn_ext.__version__
FILES = {
    "wheel": DIST / f"sklearn_ext-{VERSION}-py3-none-any.whl",
    "sdist": DIST / f"sklearn_ext-{VERSION}.tar.gz",
}
CORE = {"joblib", "numpy", "scikit-learn", "scipy"}
# What a test, an example or the documentation needs beside the package itself.
FOLDERS = {"benchmarks", "docs", "examples", "sklearn_ext", "tests"}
TOP_FILES = {
    *("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "PKG-INFO", "README.md"),
    *("constraints-min.txt", "constraints.txt", "pyproject.toml"),
    ".gitignore",  # hatchling always adds it
}


@pytest.fixture(scope="module", autouse=True)
def built():
    found = sorted(DIST.glob("*"))
    assert found == sorted(FILES.values()), f"run `make dist` first: {DIST} has other files"


def package_files():
    """Paths of the package's files, as a source tree holds them."""
    paths = (ROOT / "sklearn_ext").rglob("*")
    return {
        str(path.relative_to(ROOT))
        for path in paths
        if path.is_file() and "__pycache__" not in path.parts
    }


def wheel_names():
    with zipfile.ZipFile(FILES["wheel"]) as wheel:
        return set(wheel.namelist())


def sdist_names():
    with tarfile.open(FILES["sdist"]) as sdist:
        return {name.partition("/")[2] for name in sdist.getnames()}


def test_the_wheel_holds_the_package_and_nothing_else():
    told_by_metadata = {name for name in wheel_names() if ".dist-info/" in name}
    assert wheel_names() - told_by_metadata == package_files()
    folder = f"sklearn_ext-{VERSION}.dist-info"
    assert {name.partition("/")[0] for name in told_by_metadata} == {folder}
    assert f"{folder}/licenses/LICENSE" in told_by_metadata


def test_the_sdist_holds_what_tests_and_documentation_need():
    names = sdist_names()
    assert package_files() <= names
    assert {name for name in names if "/" not in name} == TOP_FILES
    assert {name.partition("/")[0] for name in names if "/" in name} == FOLDERS
    built = ("__pycache__", "_build", "auto_examples", "generated")
    assert [name for name in names if any(part in built for part in name.split("/"))] == []


def metadata():
    with zipfile.ZipFile(FILES["wheel"]) as wheel:
        text = wheel.read(f"sklearn_ext-{VERSION}.dist-info/METADATA").decode()
    return message_from_string(text)


def requirements():
    return metadata().get_all("Requires-Dist")


def test_metadata_ask_for_the_core_only():
    core = [line for line in requirements() if "extra ==" not in line]
    assert {line.partition(">=")[0] for line in core} == CORE
    assert metadata()["Version"] == VERSION
    assert metadata()["Requires-Python"] == ">=3.11"
    assert {"torch", "text", "dask", "plot"} <= set(metadata().get_all("Provides-Extra"))


@pytest.fixture(scope="module", params=FILES)
def python(request, tmp_path_factory):
    """Interpreter of a fresh environment that a distribution was installed into."""
    folder = tmp_path_factory.mktemp(request.param)
    venv.create(folder / "env", with_pip=False)
    interpreter = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = [sys.executable, "-m", "pip", "--python", interpreter, "install", "-q"]
    pinned = ["-c", ROOT / "constraints.txt"]
    subprocess.run([*pip, *pinned, FILES[request.param]], check=True, cwd=folder)
    return interpreter


def run(python, *options):
    """What a program prints that knows nothing of the source tree, warnings being errors."""
    done = subprocess.run(
        [python, "-I", "-W", "error", *options],
        cwd=python.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_no_optional_package_came_along(python):
    code = "import importlib.metadata as m; print(*(d.name for d in m.distributions()))"
    found = {name.lower().replace("_", "-") for name in run(python, "-c", code).split()}
    optional = {name for names in extras_of(requirements()).values() for name in names}
    assert {*CORE, "sklearn-ext"} <= found
    assert found & optional - {"sklearn-ext"} == set()


def test_a_polynomial_is_fitted(python):
    code = """
import numpy as np, sklearn_ext
X = np.random.default_rng(0).uniform(-1, 1, (200, 2))
model = sklearn_ext.PolynomialRegressor(degree=3).fit(X, X[:, 0] ** 3 - X[:, 1])
print(sklearn_ext.__version__, round(model.score(X, X[:, 0] ** 3 - X[:, 1]), 9))
"""
    assert run(python, "-c", code).split() == [VERSION, "1.0"]


def test_it_is_imported_from_the_environment_and_is_typed(python):
    code = """
import sys, sklearn_ext
from importlib.resources import files
assert sklearn_ext.__file__.startswith(sys.prefix), sklearn_ext.__file__
print(files("sklearn_ext").joinpath("py.typed").is_file())
"""
    assert run(python, "-c", code).split() == ["True"]


def test_data_sets_are_inside(python):
    code = """
from sklearn_ext.datasets import list_nist, load_concrete, load_nist
print(len(load_concrete().target), sum(len(load_nist(name).target) > 0 for name in list_nist()))
"""
    assert run(python, "-c", code).split() == ["1030", "11"]


def test_texts_are_summarized_offline(python):
    code = """
from sklearn_ext import TextSummarizer
print(TextSummarizer(max_sentences=1).fit_transform(["One is here. Two is there. Three."])[0])
"""
    assert run(python, "-c", code).strip() in {"One is here.", "Two is there.", "Three."}


def test_what_needs_torch_says_what_to_install(python):
    code = """
import sklearn_ext
try:
    sklearn_ext.FFNNRegressor().fit([[0.0], [1.0]] * 20, [0.0, 1.0] * 20)
except sklearn_ext.exceptions.MissingDependencyError as error:
    print(error)
"""
    assert "sklearn-ext[torch]" in run(python, "-c", code)


def test_versions_are_shown_without_torch(python):
    shown = run(python, "-m", "sklearn_ext")
    assert f"   sklearn-ext: {VERSION}\n" in shown
    line = next(line for line in shown.splitlines() if line.startswith("   torch: "))
    assert sorted(line.removeprefix("   torch: missing ").split(", ")) == ["skorch", "torch"]
