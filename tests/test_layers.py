"""The house has floors: a module imports only from floors below its own."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "sklearn_ext"

# The one table, ground floor first. A new module is written into the lowest floor that lies
# above everything it imports. A strict order of floors leaves no room for an import cycle.
LAYERS = (
    (
        "_documentation",
        "_gelu_formulas",
        "_missing",
        "_onnx",
        "_onnx.activations",
        "_onnx.cells",
        "_onnx.polynomial",
        "_onnx.responses",
        "_onnx.sequences",
        "_onnx.stem",
        "_sequence_values",
        "_torch",
        "_torch.activations",
        "_torch.batches",
        "_torch.best_weights",
        "_torch.convolution",
        "_torch.decoding",
        "_torch.device",
        "_torch.divided_model",
        "_torch.dropout",
        "_torch.folds",
        "_torch.initialization",
        "_torch.losses",
        "_torch.optimizers",
        "_torch.packing",
        "_torch.parameters",
        "_torch.frozen_weights",
        "_torch.products",
        "_torch.random",
        "_torch.schedules",
        "_torch.shared_change",
        "_torch.shared_copies",
        "_torch.step_blocks",
        "_torch.threads",
        "_torch.weight_files",
        "_validation",
        "_versions",
        "datasets._nist",
        "exceptions",
        "inspection._fit_statistics",
        "inspection._fit_targets",
        "inspection._fixed_predictions",
        "linear_model._double_double",
        "linear_model._index_sets",
        "linear_model._least_squares",
        "linear_model._model_choice",
        "linear_model._polynomial_kernel",
        "linear_model._recurrences",
        "linear_model._smoothers",
        "linear_model._term_orders",
        "neural_network._docstrings",
        "neural_network._history_text",
        "neural_network._padded_parts",
        "neural_network._sparse_rows",
        "neural_network._tables",
        "preprocessing._multilinear",
        "preprocessing._table_output",
        "text._cues",
        "text._korean",
        "text._prompts",
        "text._ranking",
        "text._terms",
        "text._tokens",
        "text.backends",
        "text.backends._keys",
    ),
    (
        "__main__",
        "_onnx.feed_forward",
        "_optional",
        "_sequences",
        "_torch.encoding",
        "_torch.epoch_order",
        "_torch.evaluation",
        "_torch.frozen_states",
        "_torch.gru_walk",
        "_torch.likelihood",
        "_torch.optimizer_arrays",
        "_torch.packed_linear",
        "_torch.pooling",
        "_torch.quantization",
        "_torch.quasi_newton",
        "_torch.recomputation",
        "_torch.scan",
        "_torch.stem",
        "_torch.training",
        "activations",
        "datasets._memory_tasks",
        "inspection._fit_verdict",
        "inspection._fit_weights",
        "inspection._gradient_flow",
        "linear_model._extended_basis",
        "linear_model._polynomial_basis",
        "linear_model._term_selection",
        "neural_network._forwarding",
        "neural_network._net_docstrings",
        "neural_network._pooled_states",
        "neural_network._token_rows",
        "preprocessing._multilinear_pca",
        "text._batch",
        "text._rouge",
        "text._run_log",
        "text._salience",
        "text._sentences",
        "text._text_table",
        "text.backends._deadline",
        "text.backends._errors",
        "text.backends._protocol",
        "text.backends._retry",
    ),
    (
        "_dask",
        "_onnx.graph",
        "_torch.adaptable",
        "_torch.cells",
        "_torch.low_rank_linear",
        "_torch.pretrained_files",
        "_torch.tower",
        "_torch.transformer_block",
        "datasets._concrete",
        "inspection._fit_report",
        "inspection._gradient_flow_display",
        "inspection._loss_curve",
        "inspection._polynomial_fit",
        "linear_model._basis_change",
        "linear_model._degree_reduction",
        "linear_model._monomials",
        "linear_model._refinement",
        "linear_model._terms",
        "neural_network._ffnn_docstrings",
        "neural_network._net",
        "neural_network._rnn_docstrings",
        "neural_network._stream",
        "neural_network._text_docstrings",
        "neural_network._tokenizer",
        "preprocessing._sequence_input",
        "preprocessing._tensors",
        "text._chunking",
        "text._containers",
        "text._failures",
        "text._grounding",
        "text._last_call",
        "text._ledger",
        "text._limits",
        "text._references",
        "text._sentence_features",
        "text.backends._cache",
        "text.backends._callable",
        "text.backends._fake",
        "text.backends._vendor",
    ),
    (
        "_onnx.export",
        "_onnx.recurrent",
        "_torch.low_rank",
        "_torch.modules",
        "_torch.pretrained",
        "_torch.quantized_layers",
        "_torch.recurrence",
        "_torch.transformer",
        "datasets",
        "linear_model._moment_gram",
        "linear_model._streaming",
        "neural_network._classification_targets",
        "neural_network._partitions",
        "neural_network._plan",
        "neural_network._regression_targets",
        "neural_network._text_drawing",
        "neural_network._texts",
        "preprocessing._padder",
        "preprocessing._scaler",
        "preprocessing._windows",
        "text._selection",
        "text.backends._anthropic",
        "text.backends._azure",
        "text.backends._channel",
        "text.backends._cohere",
        "text.backends._json",
        "text.backends._openai",
    ),
    (
        "_torch.added_changes",
        "_torch.adapter_config",
        "_torch.gpt",
        "_torch.quantized_base",
        "_torch.sequence_net",
        "_torch.targets",
        "_torch.text_encoder",
        "linear_model._dask",
        "linear_model._device_rows",
        "linear_model._fitted",
        "linear_model._rows",
        "preprocessing",
        "text._trained_ranker",
        "text.backends._registry",
    ),
    (
        "_torch.lora",
        "_torch.sequence_ensemble",
        "_torch.state_gradients",
        "linear_model._dual",
        "linear_model._primal",
        "linear_model._reading",
        "linear_model._training_data",
        "text._extractive",
    ),
    (
        "_torch.adapter_files",
        "_torch.adapter_state",
        "linear_model._export",
        "linear_model._prediction",
        "linear_model._sparse_chaos",
        "linear_model._streamed_fit",
        "neural_network._net_state",
        "neural_network._skorch_adaptation",
        "text._strategies",
    ),
    (
        "linear_model._fit_rows",
        "linear_model._polynomial_predictions",
        "neural_network._adapter_state",
        "neural_network._base",
        "text._engine",
    ),
    (
        "linear_model._device_fit",
        "neural_network._adaptation",
        "neural_network._delegation",
        "neural_network._sequential",
        "neural_network._tabular",
        "neural_network._textual",
        "text._summarizer",
    ),
    (
        "linear_model._polynomial",
        "neural_network._ffnn",
        "neural_network._language_model",
        "neural_network._rnn",
        "neural_network._transformer",
        "text",
    ),
    (
        "linear_model",
        "neural_network._adapter_fit",
    ),
    (
        "inspection._reference_models",
        "neural_network._adapter_exchange",
    ),
    (
        "inspection._fit_measurements",
        "neural_network._lora",
    ),
    (
        "inspection._fit_diagnosis",
        "neural_network._adapter_bank",
    ),
    (
        "inspection._fit_diagnosis_display",
        "neural_network",
    ),
    ("inspection",),
    ("",),  # sklearn_ext/__init__.py
)
LAYER_OF = {name: layer for layer, names in enumerate(LAYERS) for name in names}

# Names that say nothing about what lies inside, and so collect everything.
EMPTY_NAMES = {
    "common",
    "core",
    "helper",
    "helpers",
    "manager",
    "managers",
    "misc",
    "util",
    "utils",
}


def module_name(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
every_module = pytest.mark.parametrize("name", MODULES, ids=lambda name: name or "sklearn_ext")


def imported_names(name):
    """List each import of a module as (module, imported name or None, line)."""
    found = []
    for node in ast.walk(ast.parse(MODULES[name].read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, None, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            source = absolute_source(node, name)
            found += [(source, alias.name, node.lineno) for alias in node.names]
    return found


def absolute_source(node, name):
    """Spell out the module that an ``import from`` names, also where it is relative."""
    if node.level == 0:
        return node.module
    parts = ["sklearn_ext", *name.split(".")] if name else ["sklearn_ext"]
    is_package = MODULES[name].name == "__init__.py"
    base = parts[: len(parts) - node.level + is_package]
    return ".".join([*base, node.module] if node.module else base)


def internal_target(source, imported):
    """Return the module of this package that an import reaches, or None for another's."""
    if source != "sklearn_ext" and not source.startswith("sklearn_ext."):
        return None
    target = source.removeprefix("sklearn_ext").lstrip(".")
    inner = f"{target}.{imported}".lstrip(".")
    # `from sklearn_ext.linear_model import _rows` reaches the module, not the package's names.
    return inner if imported and inner in MODULES else target


@every_module
def test_module_has_a_layer(name):
    assert name in LAYER_OF, (
        f"sklearn_ext.{name} is not in a layer: write it into LAYERS in {Path(__file__).name}, "
        "in the lowest row above everything that it imports."
    )


def test_layers_name_each_existing_module_once():
    listed = [name for names in LAYERS for name in names]
    assert sorted(set(listed) - set(MODULES)) == []
    assert len(listed) == len(set(listed))


@every_module
def test_imports_go_down(name):
    upward = []
    for source, imported, line in imported_names(name):
        target = internal_target(source, imported)
        if target is not None and LAYER_OF.get(target, -1) >= LAYER_OF.get(name, len(LAYERS)):
            upward.append(f"line {line}: sklearn_ext.{target}")
    assert not upward, f"sklearn_ext.{name} imports from its own layer or above: {upward}"


@pytest.mark.parametrize("name", [name for name in MODULES if name != "_validation"])
def test_private_sklearn_names_come_through_validation(name):
    private = [
        f"line {line}: {source}.{imported or ''}"
        for source, imported, line in imported_names(name)
        if source.split(".")[0] == "sklearn"
        and any(part.startswith("_") for part in [*source.split("."), imported or ""])
    ]
    assert not private, f"take these from sklearn_ext._validation instead: {private}"


@every_module
def test_name_says_what_the_module_holds(name):
    assert not EMPTY_NAMES & {part.strip("_") for part in name.split(".")}
