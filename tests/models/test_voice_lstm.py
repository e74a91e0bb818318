"""A real pre-trained nn.LSTM: the voice encoder of the package Resemblyzer, adapted by LoRA.

Only its weights are read; the package itself need not be importable.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import skorch
import torch
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_ext import LoRAAdapter

N_CHANNELS, N_STATES = 40, 256
SETTINGS = {
    "target_modules": ["lstm", "linear"],
    "modules_to_save": ["head"],
    "r": 4,
    "max_iter": 15,
    "learning_rate_init": 0.005,
    "random_state": 0,
}


class Voices(torch.nn.Module):
    """The encoder as Resemblyzer has it, and a linear head for two kinds of voices."""

    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(N_CHANNELS, N_STATES, num_layers=3, batch_first=True)
        self.linear = torch.nn.Linear(N_STATES, N_STATES)
        self.head = torch.nn.Linear(N_STATES, 2)

    def embedded(self, mels):
        raw = torch.relu(self.linear(self.lstm(mels)[1][0][-1]))
        return raw / raw.norm(dim=1, keepdim=True).clamp_min(1e-6)

    def forward(self, mels):
        return self.head(self.embedded(mels))


def mels(seed):
    """Frames like those of speech, whose level rises or falls from the first to the last."""
    rng = np.random.default_rng(seed)
    y = np.arange(40) % 2
    course = np.where(y[:, None] == 1, 1.0, -1.0) * np.linspace(-1.0, 1.0, 30)
    envelope = np.exp(-np.linspace(0.0, 3.0, N_CHANNELS))
    noise = rng.gamma(1.0, 1.0, size=(40, 30, N_CHANNELS))
    return (np.exp(course)[..., None] * envelope * noise).astype(np.float32), y.astype(np.int64)


@pytest.fixture(scope="module")
def weights():
    path = Path(find_spec("resemblyzer").origin).parent / "pretrained.pt"
    return torch.load(path, map_location="cpu", weights_only=True)["model_state"]


@pytest.fixture(scope="module")
def base(weights):
    """The pre-trained encoder with a head that knows nothing."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = skorch.NeuralNetClassifier(
            Voices,
            criterion=torch.nn.CrossEntropyLoss,
            optimizer=torch.optim.Adam,
            classes=[0, 1],
            train_split=None,
            verbose=0,
        ).initialize()
    missing, unused = net.module_.load_state_dict(weights, strict=False)
    assert missing == ["head.weight", "head.bias"]
    assert set(unused) <= {"similarity_weight", "similarity_bias"}
    return net


@pytest.fixture(scope="module")
def adapter(base):
    return LoRAAdapter.from_fitted(base, **SETTINGS).fit(*mels(0))


def test_it_learns_and_leaves_the_pretrained_weights_alone(base, adapter, weights):
    assert adapter.loss_curve_[-1] < 0.5 * adapter.loss_curve_[0]
    assert adapter.score(*mels(1)) > 0.9 > base.score(*mels(1))
    assert adapter.trainable_fraction_ < 0.05
    for name, value in base.module_.state_dict().items():
        if name in weights:
            assert torch.equal(value, weights[name]), name


def test_training_evaluating_and_merged_nets_agree(adapter):
    X, _ = mels(1)
    module = adapter.estimator_.module_
    assert not module.training
    with torch.no_grad():
        evaluated = module(torch.from_numpy(X)).numpy()
        trained = module.train()(torch.from_numpy(X)).numpy()
        module.train(False)
    assert_allclose(trained, evaluated, rtol=1e-4, atol=1e-5)
    merged = adapter.merge()
    assert type(merged.module_) is Voices
    with torch.no_grad():
        plain = merged.module_(torch.from_numpy(X)).numpy()
    assert_allclose(plain, evaluated, rtol=1e-4, atol=1e-5)


def test_files_hold_the_factors_of_the_changes(adapter, base, weights, tmp_path):
    adapter.save_adapter(tmp_path)
    X, _ = mels(1)
    loaded = LoRAAdapter.load_adapter(tmp_path, base)
    assert_array_equal(loaded.predict_proba(X), adapter.predict_proba(X))
    stored = safetensors.numpy.load_file(tmp_path / "adapter_model.safetensors")
    merged = adapter.merge().module_.state_dict()
    changed = [name for name in merged if name in weights and not name.endswith("bias")]
    matrices = [name for name in changed if merged[name].ndim == 2]
    assert len(matrices) == 7  # two of each layer of the LSTM, and the linear layer
    for name in matrices:
        part = name.removesuffix(".weight")
        (down,) = (value for key, value in stored.items() if part in key and "lora_A" in key)
        (up,) = (value for key, value in stored.items() if part in key and "lora_B" in key)
        assert np.abs(up).max() > 0
        by_hand = weights[name].numpy() + 16 / SETTINGS["r"] * up @ down
        assert_allclose(merged[name].numpy(), by_hand, rtol=1e-4, atol=1e-5, err_msg=name)
