"""The public names are these and no others, and importing them costs little."""

import importlib
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from all_estimators import public_modules, public_objects

import sklearn_ext

ROOT = Path(__file__).parents[1]

PUBLIC = {
    "sklearn_ext": [
        "CausalLanguageModel",
        "FFNNClassifier",
        "FFNNRegressor",
        "LoRAAdapter",
        "PolynomialRegressor",
        "RNNClassifier",
        "RNNRegressor",
        "TextSummarizer",
        "TransformerClassifier",
        "__version__",
        "activations",
        "datasets",
        "exceptions",
        "inspection",
        "linear_model",
        "neural_network",
        "preprocessing",
        "show_versions",
        "text",
    ],
    "sklearn_ext.activations": [
        "gelu",
        "gelu_derivative",
        "gelu_max_difference",
    ],
    "sklearn_ext.datasets": [
        "list_nist",
        "load_concrete",
        "load_nist",
        "make_adding_problem",
        "make_copy_memory",
        "make_first_token_recall",
    ],
    "sklearn_ext.exceptions": [
        "BackendError",
        "ExtrapolationWarning",
        "MissingDependencyError",
        "PrecisionWarning",
        "RankWarning",
        "SklearnExtError",
        "SklearnExtWarning",
        "SummaryWarning",
    ],
    "sklearn_ext.inspection": [
        "FitDiagnosis",
        "FitDiagnosisDisplay",
        "GradientFlow",
        "GradientFlowDisplay",
        "LossCurveDisplay",
        "PolynomialFitDisplay",
        "diagnose_fit",
        "gradient_flow",
    ],
    "sklearn_ext.linear_model": ["PolynomialRegressor"],
    "sklearn_ext.neural_network": [
        "AdapterBank",
        "CausalLanguageModel",
        "FFNNClassifier",
        "FFNNRegressor",
        "LoRAAdapter",
        "RNNClassifier",
        "RNNRegressor",
        "SequenceStream",
        "TransformerClassifier",
    ],
    "sklearn_ext.preprocessing": [
        "MultilinearPCA",
        "SequencePadder",
        "SequenceScaler",
        "SlidingWindow",
        "TensorDescription",
        "WindowSamples",
        "describe_tensor",
        "multilinear_rank",
        "tensor_rank",
    ],
    "sklearn_ext.text": [
        "Estimate",
        "Failure",
        "FakeBackend",
        "Summaries",
        "SummaryReply",
        "SummaryRequest",
        "TextSummarizer",
        "UngroundedSummary",
        "Usage",
    ],
}

# Nothing that is optional may be paid for by somebody who does not use it. (Where pandas is
# installed scikit-learn imports it, so only the bare `import sklearn_ext` can do without.)
OPTIONAL = {
    "anthropic",
    "azure",
    "cohere",
    "dask",
    "distributed",
    "httpx",
    "httpx2",
    "matplotlib",
    "onnx",
    "openai",
    "polars",
    "skorch",
    "sympy",
    "tokenizers",
    "torch",
    "tqdm",
    "transformers",
}

HEAVY = {"joblib", "numpy", "pandas", "scipy", "sklearn"}
# What a user may import, and what it must not bring along.
IMPORTS = [
    ("import sklearn_ext", OPTIONAL | HEAVY),
    ("from sklearn_ext import exceptions", OPTIONAL | HEAVY),
    ("from sklearn_ext import datasets", OPTIONAL),
    ("from sklearn_ext import preprocessing", OPTIONAL),
    ("from sklearn_ext import inspection", OPTIONAL),
    ("from sklearn_ext import PolynomialRegressor; PolynomialRegressor()", OPTIONAL),
    ("from sklearn_ext import FFNNRegressor; FFNNRegressor()", OPTIONAL),
    ("from sklearn_ext import TextSummarizer; TextSummarizer()", OPTIONAL),
]


def run_python(code, *options):
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)


def test_public_names_are_exactly_these():
    assert {name: sorted(module.__all__) for name, module in public_modules().items()} == PUBLIC


def test_every_public_name_resolves_and_is_listed_by_dir():
    for module in public_modules().values():
        for name in module.__all__:
            assert getattr(module, name) is not None
            assert name in dir(module)


def test_top_level_name_is_the_same_object_as_in_its_module():
    for name, value in public_objects().items():
        short = name.rpartition(".")[2]
        if short in sklearn_ext.__all__:
            assert getattr(sklearn_ext, short) is value


def test_public_objects_report_a_module_of_the_package():
    for name, value in public_objects().items():
        assert value.__module__.startswith(name.rpartition(".")[0]), name


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'NoSuchRegressor'"):
        _ = sklearn_ext.NoSuchRegressor


def test_version_is_that_of_the_installed_metadata():
    installed = version("sklearn-ext")
    assert sklearn_ext.__version__ == installed, "stale metadata: run `pip install -e .` again"


def test_version_is_written_in_one_place():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "version" not in settings["project"]
    source = (ROOT / settings["tool"]["hatch"]["version"]["path"]).read_text("utf-8")
    assert source.count(sklearn_ext.__version__) == 1


@pytest.mark.parametrize(("statement", "unwanted"), IMPORTS)
def test_import_is_lazy(statement, unwanted):
    report = run_python(statement, "-X", "importtime").stderr
    modules = {line.rpartition("|")[2].strip().partition(".")[0] for line in report.splitlines()}
    assert "sklearn_ext" in modules
    assert sorted(modules & unwanted) == []


def test_import_adds_little_to_that_of_sklearn():
    code = (
        "import sklearn, time; start = time.perf_counter(); import sklearn_ext;"
        "print(time.perf_counter() - start)"
    )
    # The least of three: another process may have held the CPU in one of them.
    assert min(float(run_python(code).stdout) for _ in range(3)) < 0.15


def test_reloading_keeps_the_names():
    importlib.reload(sklearn_ext)
    assert sklearn_ext.PolynomialRegressor is sklearn_ext.linear_model.PolynomialRegressor
