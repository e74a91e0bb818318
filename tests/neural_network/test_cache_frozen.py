"""`cache_frozen`: what lies below all trained layers is computed once, and nothing else changes."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

pytest.importorskip("torch")
pytest.importorskip("skorch")

from sklearn_ext import (
    CausalLanguageModel,
    FFNNClassifier,
    FFNNRegressor,
    LoRAAdapter,
    RNNClassifier,
    RNNRegressor,
    TransformerClassifier,
)
from sklearn_ext._torch.lora import LoRAModule
from sklearn_ext.neural_network import _tabular

SHORT = {"max_iter": 3, "random_state": 0}
TEXTS = ["red apple", "green pear here", "a red cherry", "green apples are good"] * 20
COLOURS = ["red", "green"] * 40


def make_table(n_rows=150):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 4))
    return X, np.sin(X[:, 0]) + 0.5 * X[:, 1]


def make_sequences():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n_steps, 2)) for n_steps in rng.integers(4, 20, size=90)]
    return X, np.array([steps[:, 0].sum() for steps in X])


def make_case(name):
    """Unfitted base, data, and names of upper layers."""
    X, y = make_table()
    sequences, sums = make_sequences()
    nets = {"hidden_layer_sizes": (16, 16), **SHORT}
    cells = {"hidden_size": 6, "stem_channels": 6, "num_layers": 2, **SHORT}
    texts = {"num_layers": 3, "hidden_size": 16, "num_heads": 2, **SHORT}
    upper = ["hidden.1", "output"]
    return {
        "table": (FFNNRegressor(n_members=3, **nets), X, y, upper),
        "one net": (FFNNClassifier(n_members=1, **nets), X, y > 0, ["output"]),
        "second order": (FFNNRegressor(n_members=1, solver="lbfgs", **nets), X, y, upper),
        "sequences": (RNNRegressor(n_members=2, **cells), sequences, sums, ["ahead.1", "output"]),
        "lstm": (RNNClassifier(cell="lstm", **cells), sequences, sums > 0, ["output"]),
        "encoder": (TransformerClassifier(**texts), TEXTS, COLOURS, ["blocks.1", "blocks.2"]),
        "head": (TransformerClassifier(**texts), TEXTS, COLOURS, ["head"]),
        "gpt": (CausalLanguageModel(**texts), TEXTS, None, ["blocks.2"]),
    }[name]


CASES = ["table", "one net", "second order", "sequences", "lstm", "encoder", "head", "gpt"]
every_case = pytest.mark.parametrize("case", CASES)


def fitted(case, **changes):
    base, X, y, upper = make_case(case)
    return base.set_params(**changes).fit(X, y), X, y, upper


def outputs(model, X):
    for method in ("predict_proba", "score_samples", "predict"):
        if hasattr(model, method):
            return getattr(model, method)(X)
    raise AssertionError("nothing to compare")


def pair(base, upper, **params):
    """Adapters that are equal but for the cache."""
    settings = {"target_modules": upper, "r": 2, **SHORT, **params}
    return [LoRAAdapter.from_fitted(base, cache_frozen=c, **settings) for c in (False, True)]


def assert_equal_fits(first, second, X):
    assert_allclose(first.loss_curve_, second.loss_curve_, rtol=1e-5, atol=1e-6)
    assert_allclose(outputs(first, X), outputs(second, X), rtol=1e-4, atol=1e-5)


@pytest.fixture
def counted(monkeypatch):
    """Rows for which the lower part is computed."""
    rows, below = [], LoRAModule.below

    def counting(module, inputs):
        lengths = inputs["lengths"] if isinstance(inputs, dict) else inputs[..., 0]
        rows.append(lengths.numel())
        return below(module, inputs)

    monkeypatch.setattr(LoRAModule, "below", counting)
    return rows


@every_case
def test_the_result_is_the_same(case):
    base, X, y, upper = fitted(case)
    plain, cached = (adapter.fit(X, y) for adapter in pair(base, upper))
    assert_equal_fits(plain, cached, X)
    assert plain.loss_curve_[0] != plain.loss_curve_[-1]


@every_case
def test_the_result_is_that_of_the_whole_net(case, monkeypatch):
    """Without dropout, where a net that is not cut does the same."""
    base, X, y, upper = fitted(case, dropout=0.0)
    plain, cached = pair(base, upper)
    cached.fit(X, y)
    monkeypatch.setattr(LoRAModule, "cut", None)
    assert_equal_fits(plain.fit(X, y), cached, X)


@pytest.mark.parametrize("case", ["table", "sequences", "encoder", "gpt"])
@pytest.mark.parametrize("solver", [{}, {"dropout": 0.3, "gradient_accumulation_steps": 2}])
def test_weights_held_out_rows_and_accumulated_steps(case, solver):
    base, X, y, upper = fitted(case, **solver)
    weights = np.random.default_rng(1).integers(0, 4, size=len(X))
    params = {"early_stopping": True, "batch_size": 16, "lora_dropout": 0.2}
    plain, cached = (a.fit(X, y, sample_weight=weights) for a in pair(base, upper, **params))
    assert_equal_fits(plain, cached, X)
    curves = [a.estimator_.validation_loss_curve_ for a in (plain, cached)]
    assert_allclose(*curves, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", ["table", "sequences", "encoder", "gpt"])
def test_full_batches(case):
    base, X, y, upper = fitted(case)
    plain, cached = (a.fit(X, y) for a in pair(base, upper, batch_size=1000))
    assert_equal_fits(plain, cached, X)


@pytest.mark.parametrize("case", ["table", "lstm", "encoder"])
def test_rows_of_the_users_own_are_watched(case):
    base, X, y, upper = fitted(case)
    valid = X[:20], y[:20]
    plain, cached = (a.fit(X, y, validation_set=valid) for a in pair(base, upper))
    assert_equal_fits(plain, cached, X)
    curves = [a.estimator_.validation_loss_curve_ for a in (plain, cached)]
    assert_allclose(*curves, rtol=1e-5, atol=1e-6)


@every_case
def test_each_row_goes_through_the_lower_part_once(case, counted):
    base, X, y, upper = fitted(case)
    plain, cached = pair(base, upper, early_stopping=False)
    cached.fit(X, y)
    n_rows = len(X)
    assert sum(counted) == n_rows
    counted.clear()
    plain.fit(X, y)
    assert sum(counted) >= 3 * n_rows  # epochs, or more steps of a line search


@pytest.mark.parametrize("case", ["one net", "encoder"])
def test_fits_go_on(case):
    base, X, y, upper = fitted(case)
    plain, cached = (a.fit(X, y) for a in pair(base, upper, warm_start=True))
    half = len(X) // 2
    for adapter in (plain, cached):
        adapter.fit(X[half:], y[half:])
    assert_equal_fits(plain, cached, X)
    for adapter in (plain, cached):
        adapter.partial_fit(X, y).partial_fit(X[:half], y[:half])
    assert_equal_fits(plain, cached, X)


@pytest.mark.parametrize("settings", [{"use_dora": True}, {"quantization": "int8"}])
def test_other_adaptations(settings):
    base, X, y, upper = fitted("encoder")
    plain, cached = (a.fit(X, y) for a in pair(base, upper, modules_to_save=["head"], **settings))
    assert_equal_fits(plain, cached, X)


@pytest.mark.parametrize("quantization", ["int8", "nf4"])
def test_a_quantised_lower_part_in_double_precision(quantization):
    base, X, y, upper = fitted("encoder", precision="float64")
    plain, cached = (a.fit(X, y) for a in pair(base, upper, quantization=quantization))
    assert_equal_fits(plain, cached, X)


def test_long_and_sparse_tables(monkeypatch):
    monkeypatch.setattr(_tabular, "ENCODED_AT_ONCE", 100)
    X, y = make_table()
    X = sparse.csr_array(X * (X > 0))
    base = FFNNRegressor(n_members=2, hidden_layer_sizes=(16, 16), **SHORT).fit(X, y)
    assert_equal_fits(*(a.fit(X, y) for a in pair(base, ["output"])), X)


def test_nothing_of_the_cache_stays():
    base, X, y, upper = fitted("encoder")
    plain, cached = (a.fit(X, y) for a in pair(base, upper))
    assert abs(len(pickle.dumps(plain)) - len(pickle.dumps(cached))) < 100
    assert vars(plain.estimator_).keys() == vars(cached.estimator_).keys()
    returned = pickle.loads(pickle.dumps(cached))
    assert returned.cache_frozen
    assert_array_equal(returned.predict_proba(X), cached.predict_proba(X))


def test_a_search_is_the_same(counted):
    base, X, y, upper = fitted("encoder")
    assert clone(pair(base, upper)[1]).cache_frozen
    searches = [
        GridSearchCV(adapter, {"r": [1, 3]}, cv=2, refit=False).fit(X, y)
        for adapter in pair(base, upper)
    ]
    first, second = (search.cv_results_["mean_test_score"] for search in searches)
    assert_array_equal(first, second)
    assert sum(counted) == (3 + 1) * 2 * len(X)  # epochs without, once with a cache


@pytest.mark.parametrize(
    ("case", "params", "name"),
    [
        ("encoder", {"target_modules": "all-linear"}, "encoder.blocks.0.attention"),
        ("encoder", {"bias": "all"}, "encoder.blocks.0.attention_norm.bias"),
        ("encoder", {"modules_to_save": ["embedding"]}, "encoder.embedding.weight"),
        ("gpt", {"modules_to_save": ["embedding"]}, "body.embedding.weight"),
        ("sequences", {"target_modules": ["stem"]}, "nets.0.stem.layers.0.weight"),
    ],
)
def test_nothing_below_is_an_error(case, params, name):
    base, X, y, upper = fitted(case)
    _, cached = pair(base, upper)
    with pytest.raises(ValueError, match=rf"cache_frozen=True needs layers below.*{name}"):
        cached.set_params(**params).fit(X, y)


def test_skorch_nets_are_an_error():
    skorch, torch = pytest.importorskip("skorch"), pytest.importorskip("torch")
    X, y = make_table()
    X, y = X.astype(np.float32), y.astype(np.float32)[:, None]
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 1))
    net = skorch.NeuralNetRegressor(module, verbose=0, max_epochs=1).fit(X, y)
    adapter = LoRAAdapter.from_fitted(net, target_modules=["1"], cache_frozen=True)
    with pytest.raises(ValueError, match="cache_frozen=True is not for a skorch net"):
        adapter.fit(X, y)
