"""Adapters of estimators as files; `tests/_torch/test_adapter_files.py` has PEFT's side."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

torch = pytest.importorskip("torch")
skorch = pytest.importorskip("skorch")
pytest.importorskip("safetensors")

from sklearn_ext import FFNNClassifier, FFNNRegressor, LoRAAdapter, RNNRegressor  # noqa: E402

SHORT = {"max_iter": 3, "random_state": 0}


def make_case(name, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(80, 5, 2) if name == "sequences" else (80, 4))
    y = (X[:, -1, 0] if name == "sequences" else X[:, 0]) + seed
    small = {"hidden_layer_sizes": (8,), "n_members": 2, **SHORT}
    if name == "labels":
        return FFNNClassifier(**small), X, np.where(y > seed, "high", "low")
    if name == "sequences":
        return RNNRegressor(hidden_size=4, stem_channels=4, cell="gru", **SHORT), X, y
    return FFNNRegressor(**small), X, y


@pytest.mark.parametrize("case", ["numbers", "labels", "sequences"])
@pytest.mark.parametrize("settings", [{}, {"use_dora": True}, {"init_lora_weights": "pissa"}])
def test_what_is_saved_predicts_the_same(case, settings, tmp_path):
    base, X, y = make_case(case)
    base.fit(X, y)
    names = ["recurrence"] if case == "sequences" else ["hidden"]
    fields = {"r": 2, "target_modules": names, **settings}
    adapter = LoRAAdapter.from_fitted(base, **fields, **SHORT).fit(*make_case(case, seed=1)[1:])
    adapter.save_adapter(tmp_path)
    loaded = LoRAAdapter.load_adapter(tmp_path, base, **SHORT)
    name = "predict_proba" if case == "labels" else "predict"
    assert_allclose(getattr(loaded, name)(X), getattr(adapter, name)(X), rtol=1e-6, atol=1e-7)
    assert loaded.loss_curve_ == adapter.loss_curve_
    assert not hasattr(loaded, "validation_loss_curve_")  # that of the base is none of its own
    if not settings:
        assert_array_equal(getattr(loaded, name)(X), getattr(adapter, name)(X))
        again = clone(loaded).fit(*make_case(case, seed=1)[1:])
        assert_array_equal(getattr(again, name)(X), getattr(adapter, name)(X))


def test_precision_is_that_of_the_file(tmp_path):
    base, X, y = make_case("numbers")
    base.fit(X.astype(np.float32), y)
    adapter = LoRAAdapter.from_fitted(base, r=2, **SHORT).fit(X, y)
    adapter.save_adapter(tmp_path)
    loaded = LoRAAdapter.load_adapter(tmp_path, base, **SHORT)
    assert_array_equal(loaded.predict(X), adapter.predict(X))


def test_another_base_is_refused(tmp_path):
    base, X, y = make_case("numbers")
    adapter = LoRAAdapter.from_fitted(base.fit(X, y), **SHORT).fit(X, y)
    adapter.save_adapter(tmp_path)
    other = clone(base).set_params(random_state=1).fit(X, y)
    with pytest.raises(ValueError, match="not the base that the adapter was fitted on"):
        LoRAAdapter.load_adapter(tmp_path, other)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]


def test_numbers_of_numpy_are_written_as_plain_ones(tmp_path):
    base, X, y = make_case("numbers")
    fields = {"r": np.int64(2), "lora_alpha": np.float32(4), "use_rslora": np.bool_(True)}
    adapter = LoRAAdapter.from_fitted(base.fit(X, y), **fields, **SHORT).fit(X, y)
    adapter.save_adapter(tmp_path)
    found = LoRAAdapter.load_adapter(tmp_path, base)
    assert_allclose(found.predict(X), adapter.predict(X), rtol=1e-5)
    assert (type(found.r), type(found.use_rslora)) == (int, bool)


def test_what_the_files_tell_cannot_be_chosen(tmp_path):
    base, X, y = make_case("numbers")
    fields = {"quantization": "nf4", "init_lora_weights": "loftq", "target_modules": ["hidden.0"]}
    adapter = LoRAAdapter.from_fitted(base.fit(X, y), r=2, **fields, **SHORT).fit(X, y)
    adapter.save_adapter(tmp_path)
    with pytest.raises(ValueError, match=r"r=4, use_dora=True cannot be chosen here"):
        LoRAAdapter.load_adapter(tmp_path, base, r=4, use_dora=True)
    with pytest.raises(ValueError, match="belongs to a base of quantization='nf4', got None"):
        LoRAAdapter.load_adapter(tmp_path, base)
    found = LoRAAdapter.load_adapter(tmp_path, base, quantization="nf4")
    assert found.init_lora_weights == "loftq"
    assert_array_equal(found.predict(X), adapter.predict(X))


@pytest.mark.filterwarnings("ignore")  # PEFT's own
def test_peft_and_a_skorch_net(tmp_path):
    peft = pytest.importorskip("peft")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4)).astype(np.float32)
    y = (X[:, 0] > 0).astype(np.int64)
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(4, 9), torch.nn.Tanh(), torch.nn.Linear(9, 2))
    base = skorch.NeuralNetClassifier(
        module, criterion=torch.nn.CrossEntropyLoss, verbose=0, max_epochs=2
    ).fit(X, y)
    adapter = LoRAAdapter.from_fitted(base, r=2, learning_rate_init=0.1, **SHORT).fit(X, 1 - y)
    adapter.save_adapter(tmp_path / "ours")
    theirs = peft.PeftModel.from_pretrained(module, tmp_path / "ours").eval()
    with torch.no_grad():
        logits = theirs(torch.from_numpy(X)).softmax(1).numpy()
    assert_allclose(adapter.predict_proba(X), logits, rtol=1e-4, atol=1e-6)
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if "lora_B" in name:
                parameter += 0.3
        logits = theirs(torch.from_numpy(X)).softmax(1).numpy()
    theirs.save_pretrained(tmp_path / "theirs")
    fresh = skorch.NeuralNetClassifier(
        theirs.unload(), criterion=torch.nn.CrossEntropyLoss, verbose=0
    ).initialize()
    fresh.classes = [0, 1]
    loaded = LoRAAdapter.load_adapter(tmp_path / "theirs", fresh)
    assert_allclose(loaded.predict_proba(X), logits, rtol=1e-4, atol=1e-6)
    assert loaded.loss_curve_ == []
