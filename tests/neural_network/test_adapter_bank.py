"""Several adapters around one base."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

torch = pytest.importorskip("torch")
skorch = pytest.importorskip("skorch")

from sklearn_ext import FFNNClassifier, FFNNRegressor, LoRAAdapter  # noqa: E402
from sklearn_ext.neural_network import AdapterBank  # noqa: E402

SHORT = {"max_iter": 3, "random_state": 0}
SMALL = {"hidden_layer_sizes": (8,), "n_members": 2, **SHORT}
rng = np.random.default_rng(0)
X = rng.normal(size=(60, 4))
y = np.sin(X[:, 0]) + X[:, 1]


def make_adapters(kind=FFNNRegressor, targets=y, **settings):
    base = kind(**SMALL).fit(X, targets)
    adapter = LoRAAdapter.from_fitted(base, r=2, **settings, **SHORT)
    return base, {
        name: clone(adapter).fit(X, np.roll(targets, shift))
        for shift, name in enumerate(("first", "second", "third"), start=1)
    }


def test_rows_are_predicted_by_their_own_adapter():
    base, adapters = make_adapters()
    bank = AdapterBank(adapters)
    names = np.array(["second", None, "first", "second"] * 15, dtype=object)
    found = bank.predict(X, names)
    for name in (None, "first", "second"):
        rows = np.flatnonzero([other == name for other in names])
        expected = (base if name is None else adapters[name]).predict(X)
        assert_allclose(found[rows], expected[rows], rtol=1e-12)
    assert_array_equal(bank.predict(X, "third"), adapters["third"].predict(X))
    assert bank["first"] is adapters["first"]
    assert bank.names == ["first", "second", "third"]
    restored = pickle.loads(pickle.dumps(bank))
    assert_array_equal(restored.predict(X, names), found)


def test_probabilities_and_frames():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcd"))
    base = FFNNClassifier(**SMALL).fit(frame, y > 0)
    adapter = LoRAAdapter.from_fitted(base, **SHORT).fit(frame, y > 1)
    bank = AdapterBank({"strict": adapter})
    names = pandas.Series(["strict", None] * 30)  # has NaN for None
    found = bank.predict_proba(frame, names)
    assert_array_equal(bank.predict_proba(frame, names.astype("string")), found)
    assert_allclose(found[::2], adapter.predict_proba(frame)[::2])
    assert_allclose(found[1::2], base.predict_proba(frame)[1::2])


def test_one_base_is_in_memory():
    base, adapters = make_adapters()
    expected = [p.data_ptr() for p in base.net_.module_.parameters()]
    for adapter in adapters.values():
        frozen = adapter.estimator_.net_.module_.base.parameters()
        assert [p.data_ptr() for p in frozen] == expected


@pytest.mark.parametrize("settings", [{}, {"use_dora": True}])
def test_weighted_merge(settings):
    base, adapters = make_adapters(**settings)
    bank = AdapterBank(adapters)
    single = bank.merge({"first": 1.0})
    assert_allclose(single.predict(X), adapters["first"].merge().predict(X), rtol=1e-6, atol=1e-7)
    nothing = bank.merge({"first": 0.0, "second": 0.0})
    assert_allclose(nothing.predict(X), base.predict(X), rtol=1e-6, atol=1e-7)
    mixed = bank.merge({"first": 0.7, "second": -0.2})
    start = dict(base.net_.module_.named_parameters())
    of = {n: dict(adapters[n].merge().net_.module_.named_parameters()) for n in adapters}
    for name, parameter in mixed.net_.module_.named_parameters():
        changes = [w * (of[n][name] - start[name]) for n, w in (("first", 0.7), ("second", -0.2))]
        expected = (start[name] + sum(changes)).detach().numpy()
        assert_allclose(parameter.detach().numpy(), expected, rtol=1e-6, atol=1e-8)
    assert type(mixed) is FFNNRegressor


def test_merging_one_adapter_gives_it_with_its_buffers():
    X, y = rng.normal(size=(300, 4)), rng.normal(size=300)
    base = FFNNRegressor((16,), max_iter=5, random_state=0, early_stopping=True).fit(X, y + X[:, 0])
    adapter = LoRAAdapter.from_fitted(base, max_iter=5, random_state=0).fit(X, y - 3 * X[:, 0])
    merged = AdapterBank({"one": adapter}).merge({"one": 1.0})
    assert_allclose(merged.predict(X), adapter.predict(X), rtol=1e-5, atol=1e-5)


def test_running_means_are_combined_and_variances_stay_positive():
    class Normed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            nn = torch.nn
            self.layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))

        def forward(self, X):
            return self.layers(X)

    torch.manual_seed(0)
    single, targets = X.astype(np.float32), y.astype(np.float32)[:, None]
    base = skorch.NeuralNetRegressor(Normed(), max_epochs=2, verbose=0, train_split=None)
    base.fit(single, targets)
    adapter = LoRAAdapter.from_fitted(base, target_modules=["0", "2"], **SHORT)
    adapter.fit(100 * single, targets)
    bank = AdapterBank({"one": adapter})
    merged = bank.merge({"one": 1.0})
    assert_allclose(merged.predict(single), adapter.predict(single), rtol=1e-4, atol=1e-4)
    away = bank.merge({"one": -3.0})
    assert away.module_.layers[1].running_var.min() > 0


def test_errors():
    base, adapters = make_adapters()
    bank = AdapterBank(adapters)
    with pytest.raises(ValueError, match=r"no adapter 'fourth'. There are: first, second"):
        bank.predict(X, "fourth")
    with pytest.raises(ValueError, match="one name a sample, 60, got 2"):
        bank.predict(X, ["first", "second"])
    for weights in ({}, ["first"], {None: 1.0}):
        with pytest.raises(ValueError, match="weights must be a dict of names of adapters"):
            bank.merge(weights)
    for weight in ("x", np.nan):
        with pytest.raises(ValueError, match="weight of 'first' must be a finite number"):
            bank.merge({"first": weight})
    with pytest.raises(ValueError, match="not empty"):
        AdapterBank({}).predict(X, "first")
    with pytest.raises(TypeError, match="'plain' is no LoRAAdapter but a FFNNRegressor"):
        AdapterBank({"plain": base}).predict(X, "plain")
    own = LoRAAdapter(FFNNRegressor(**SMALL), **SHORT).fit(X, y)
    with pytest.raises(ValueError, match="base of 'own' is its own"):
        AdapterBank({**adapters, "own": own}).predict(X, "own")
    other = FFNNRegressor(**{**SMALL, "random_state": 1}).fit(X, y)
    stranger = LoRAAdapter.from_fitted(other, **SHORT).fit(X, y)
    with pytest.raises(ValueError, match="'stranger' has another base than 'first'"):
        AdapterBank({**adapters, "stranger": stranger}).predict(X, "stranger")


def test_no_rows_and_a_base_that_is_not_there():
    _, adapters = make_adapters(store_base=False)
    with pytest.raises(ValueError, match="Found array with 0 sample"):
        AdapterBank(adapters).predict(X[:0], [])
    stored = pickle.loads(pickle.dumps(adapters["first"]))
    with pytest.raises(NotFittedError, match="Give it back with attach_base"):
        AdapterBank({"first": stored}).predict(X, "first")
