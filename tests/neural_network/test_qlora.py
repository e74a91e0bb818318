"""Adapters of quantised bases."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

pytest.importorskip("torch")
pytest.importorskip("skorch")

from sklearn_ext import (
    CausalLanguageModel,
    FFNNRegressor,
    LoRAAdapter,
    RNNRegressor,
    TransformerClassifier,
)
from sklearn_ext.exceptions import PrecisionWarning

SHORT = {"max_iter": 3, "random_state": 0}


def make_data(seed=0, n_rows=150):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 4))
    return X, np.sin(X[:, 0]) + X[:, 1] + seed


@pytest.fixture(scope="module")
def base():
    return FFNNRegressor((64, 64), n_members=2, max_iter=20, random_state=0).fit(*make_data())


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
@pytest.mark.parametrize("init", [True, "pissa", "loftq"])
def test_round_trips_and_refits_are_bitwise(base, quantization, init, tmp_path):
    X, y = make_data(1)
    fields = {"quantization": quantization, "init_lora_weights": init, "r": 2}
    adapter = LoRAAdapter.from_fitted(base, **fields, **SHORT)
    before = pickle.dumps(base)
    expected = adapter.fit(X, y).predict(X)
    assert pickle.dumps(base) == before
    for store_base in (True, False):
        restored = pickle.loads(pickle.dumps(adapter.set_params(store_base=store_base)))
        if not store_base:
            restored.attach_base(base)
        assert_array_equal(restored.predict(X), expected)
    assert_array_equal(copy.deepcopy(adapter).predict(X), expected)
    assert_array_equal(clone(adapter).fit(X, y).predict(X), expected)
    assert (
        adapter.n_trainable_params_
        == LoRAAdapter.from_fitted(base, r=2, **SHORT).fit(X, y).n_trainable_params_
    )


TEXTS, LABELS = ["one two", "four", "one", "two"] * 4, ["a", "b"] * 8
TINY = {"hidden_size": 8, "num_layers": 1, "num_heads": 2, "max_length": 16, "max_iter": 1}


@pytest.mark.parametrize("quantization", ["nf4", "int8", None])
@pytest.mark.parametrize("kind", [TransformerClassifier, CausalLanguageModel])
@pytest.mark.parametrize("precision", ["auto", "float64"])
def test_adapted_nets_of_texts_are_stored_and_go_on(quantization, kind, precision):
    base = kind(**TINY, precision=precision, random_state=0)
    adapter = LoRAAdapter(base, r=2, quantization=quantization, **SHORT)
    targets = LABELS if kind is TransformerClassifier else None
    adapter.fit(TEXTS, targets)
    for copied in (lambda model: pickle.loads(pickle.dumps(model)), copy.deepcopy):
        stored = copied(adapter)
        assert stored.score(TEXTS, targets) == adapter.score(TEXTS, targets)
        for model in (stored, adapter):
            model.partial_fit(TEXTS, targets)
        assert stored.score(TEXTS, targets) == adapter.score(TEXTS, targets)
    pickle.loads(pickle.dumps(adapter.estimator_))


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_files_of_a_new_quantised_base_know_it_again(quantization, tmp_path):
    fields = {"r": 2, "quantization": quantization}
    adapter = LoRAAdapter(CausalLanguageModel(**TINY, random_state=0), **fields, **SHORT).fit(TEXTS)
    pickle.loads(pickle.dumps(adapter)).save_adapter(tmp_path)
    same, other = (CausalLanguageModel(**TINY, random_state=i).fit(TEXTS) for i in range(2))
    loaded = LoRAAdapter.load_adapter(tmp_path, same, quantization=quantization)
    assert loaded.score(TEXTS) == adapter.score(TEXTS)
    with pytest.raises(ValueError, match=r"not the base.*fingerprint"):
        LoRAAdapter.load_adapter(tmp_path, other, quantization=quantization)


@pytest.mark.parametrize("dtypes", [("f4", "f8"), ("f8", "f4")])
def test_a_stored_adapter_goes_on_in_another_precision(dtypes):
    X, y = make_data(0)
    first, then = (X.astype(dtype) for dtype in dtypes)
    base = TransformerClassifier(**TINY, random_state=0)
    adapter = LoRAAdapter(base, r=2, **SHORT).fit(first, y > 0)
    stored = pickle.loads(pickle.dumps(adapter))
    for model in (adapter, stored):
        model.partial_fit(then, y > 0)
    assert_array_equal(stored.predict_proba(then), adapter.predict_proba(then))


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_an_unfitted_base_keeps_its_codes(quantization):
    X, y = make_data()
    small = FFNNRegressor((16,), n_members=1, **SHORT)
    adapter = LoRAAdapter(small, quantization=quantization, **SHORT).fit(X, y)
    restored = pickle.loads(pickle.dumps(adapter))
    assert_array_equal(restored.predict(X), adapter.predict(X))


@pytest.mark.parametrize(("quantization", "share"), [("nf4", 0.3), ("int8", 0.02)])
def test_learns_about_as_well_as_on_the_whole_base(base, quantization, share):
    X, y = make_data(1)
    plain = LoRAAdapter.from_fitted(base, max_iter=30, random_state=0).fit(X, y)
    quantised = clone(plain).set_params(quantization=quantization).fit(X, y)
    assert quantised.score(X, y) > plain.score(X, y) - share * (1 - base.score(X, y))


@pytest.mark.parametrize(("quantization", "percent"), [("nf4", (7, 11)), ("int8", (0.3, 1.0))])
def test_merging_tells_what_was_lost(base, quantization, percent):
    X, y = make_data(1)
    adapter = LoRAAdapter.from_fitted(base, quantization=quantization, **SHORT).fit(X, y)
    with pytest.warns(PrecisionWarning, match=rf"quantised \({quantization}\)") as record:
        merged = adapter.merge()
    told = float(str(record[0].message).partition(" are ")[2].partition("%")[0])
    assert percent[0] < told < percent[1]
    assert_allclose(merged.predict(X), adapter.predict(X), rtol=1e-6, atol=1e-6)
    assert merged.n_parameters_ == base.n_parameters_


def test_files(base, tmp_path):
    pytest.importorskip("safetensors")
    X, y = make_data(1)
    adapter = LoRAAdapter.from_fitted(base, quantization="int8", **SHORT).fit(X, y)
    adapter.save_adapter(tmp_path)
    loaded = LoRAAdapter.load_adapter(tmp_path, base, quantization="int8", **SHORT)
    assert_array_equal(loaded.predict(X), adapter.predict(X))


def test_errors():
    X, y = make_data()
    with pytest.raises(ValueError, match="'loftq' needs quantization"):
        LoRAAdapter(init_lora_weights="loftq", **SHORT).fit(X, y)
    with pytest.raises(ValueError, match="use_dora=True needs whole weights"):
        LoRAAdapter(quantization="nf4", use_dora=True, **SHORT).fit(X, y)


def test_recurrent_weights_stay_whole():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 6, 2))
    model = RNNRegressor(hidden_size=8, stem_channels=4, cell="gru", **SHORT).fit(X, X[:, -1, 0])
    adapter = LoRAAdapter.from_fitted(model, quantization="int8", **SHORT).fit(X, X[:, 0, 0])
    kinds = {
        type(kept).__name__: name
        for name, kept in adapter.estimator_.net_.module_.frozen_weights().items()
    }
    assert {"Parameter", "Int8Rows"} <= set(kinds)
    assert np.all(np.isfinite(adapter.predict(X)))


@pytest.mark.parametrize("kind", [CausalLanguageModel, TransformerClassifier])
def test_recomputed_blocks_change_nothing(kind):
    texts = ["one two three", "two three", "one", "three three two one"] * 5
    y = None if kind is CausalLanguageModel else [0, 1] * 10
    plain = kind(dropout=0.2, batch_size=8, hidden_size=16, **SHORT)
    recomputing = clone(plain).set_params(gradient_checkpointing=True)
    assert recomputing.fit(texts, y).loss_curve_ == plain.fit(texts, y).loss_curve_
    fields = {"quantization": "nf4", "lora_dropout": 0.1, "batch_size": 8, **SHORT}
    adapter = LoRAAdapter.from_fitted(plain, **fields).fit(texts, y)
    for base, asked in ((plain, True), (recomputing, False)):
        other = LoRAAdapter.from_fitted(base, gradient_checkpointing=asked, **fields).fit(texts, y)
        assert other.loss_curve_ == adapter.loss_curve_
