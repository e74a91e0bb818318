"""What is stored between two calls goes on, to the last bit, as what was not stored."""

import copy
import pickle

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone, is_classifier

from sklearn_ext import (
    CausalLanguageModel,
    FFNNClassifier,
    FFNNRegressor,
    LoRAAdapter,
    RNNClassifier,
    RNNRegressor,
    TransformerClassifier,
)

torch = pytest.importorskip("torch")
skorch_callbacks = pytest.importorskip("skorch.callbacks")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 3))
y = 2 * X[:, 0] + 0.1 * RNG.normal(size=80)
LABELS = np.where(X[:, 0] > 0, "up", "down")
TEXTS = np.array([f"{kind} {i % 7}" for i, kind in enumerate(LABELS)])
SHORT = {"max_iter": 2, "random_state": 0}
TABLE = {"hidden_layer_sizes": (8,), "n_members": 2, **SHORT}
SEQUENCE = {"hidden_size": 4, "stem_channels": 4, "n_members": 2, **SHORT}
TEXT = {"hidden_size": 8, "num_heads": 2, **SHORT}


def by_pickle(estimator, directory):
    return pickle.loads(pickle.dumps(estimator))


def by_deepcopy(estimator, directory):
    return copy.deepcopy(estimator)


def by_memory_map(estimator, directory):
    path = directory / f"{len(list(directory.iterdir()))}.joblib"  # the last one is still mapped
    joblib.dump(estimator, path)
    return joblib.load(path, mmap_mode="r")


def by_skops(estimator, directory):
    skops = pytest.importorskip("skops.io")
    data = skops.dumps(estimator)
    unknown = skops.get_untrusted_types(data=data)
    assert all(name.startswith("sklearn_ext.") for name in unknown), unknown
    return skops.loads(data, trusted=unknown)


def as_it_is(estimator, directory):
    return estimator


WAYS = [by_pickle, by_deepcopy, by_memory_map, by_skops]


def trained(estimator, way, directory, calls=("partial_fit",) * 3, data=(X, y)):
    """An estimator that is stored and loaded before each of its further calls."""
    model = clone(estimator)
    for i, call in enumerate(calls):
        knows = is_classifier(model) and call == "partial_fit"
        told = {"classes": np.unique(data[1])} if knows else {}
        part = [values[20 * i : 20 * i + 30] for values in data]
        model = way(getattr(model, call)(*part, **told), directory)
    return model


def weights(model):
    net = getattr(model, "estimator_", model).net_
    return [p.detach().numpy() for p in net.module_.parameters()]


def assert_same_training(one, other):
    assert one.loss_curve_ == other.loss_curve_
    for own, expected in zip(weights(one), weights(other), strict=True):
        assert_array_equal(own, expected)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fit_goes_on(way, solver, tmp_path):
    model = FFNNRegressor(**TABLE, solver=solver, dropout=0.2, batch_size=8)
    straight = trained(model, as_it_is, tmp_path)
    assert_same_training(trained(model, way, tmp_path), straight)


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (FFNNRegressor(**TABLE, batch_size=8), (X.astype(np.float32), y.astype(np.float32))),
        (FFNNRegressor(**TABLE, solver="sgd", momentum=0.0), (X, y)),
        (FFNNClassifier(**TABLE, learning_rate_init=0.01), (X, LABELS)),
        (RNNRegressor(**SEQUENCE, dropout=0.2), (X, y)),
        (RNNClassifier(**SEQUENCE, cell="lstm", solver="sgd", batch_size=8), (X, LABELS)),
        (RNNRegressor(**SEQUENCE, cell="mingru", bidirectional=True), (X, y)),
        (TransformerClassifier(**TEXT, dropout=0.1, batch_size=8), (TEXTS, LABELS)),
    ],
)
def test_every_net_goes_on(model, data, tmp_path):
    straight = trained(model, as_it_is, tmp_path, data=data)
    assert_same_training(trained(model, by_pickle, tmp_path, data=data), straight)


def test_a_language_model_goes_on(tmp_path):
    model = CausalLanguageModel(**TEXT, dropout=0.1, batch_size=8)
    straight = trained(model, as_it_is, tmp_path, data=(TEXTS,))
    assert_same_training(trained(model, by_pickle, tmp_path, data=(TEXTS,)), straight)


@pytest.mark.parametrize("random_state", [0, np.random.RandomState(0)])
@pytest.mark.parametrize(
    "calls",
    [
        ("fit", "partial_fit", "partial_fit"),
        ("partial_fit", "fit", "partial_fit"),
        ("fit", "fit", "fit"),
    ],
)
def test_calls_of_both_kinds_go_on(calls, random_state, tmp_path):
    model = FFNNRegressor(**{**TABLE, "random_state": random_state}, warm_start=True, dropout=0.1)
    model.set_params(early_stopping=True)
    straight = trained(model, as_it_is, tmp_path, calls)
    assert_same_training(trained(model, by_pickle, tmp_path, calls), straight)


def test_what_is_set_between_the_calls_means_the_same():
    straight = FFNNRegressor(**TABLE, alpha=0.1, solver="sgd").partial_fit(X, y)
    stored = by_pickle(straight, None)
    for model in (straight, stored):
        model.set_params(learning_rate_init=0.01, alpha=1.0, momentum=0.1, solver="adam")
        model.partial_fit(X, y)
    assert_same_training(stored, straight)
    assert type(stored.net_.optimizer_) is type(straight.net_.optimizer_)


def test_a_copy_that_is_stored_before_it_goes_on_is_stored_again():
    model = FFNNRegressor(**TABLE).partial_fit(X, y)
    again = by_pickle(by_pickle(model, None), None)
    assert_same_training(again.partial_fit(X, y), model.partial_fit(X, y))


def test_a_copy_goes_its_own_way():
    model = FFNNRegressor(**TABLE).partial_fit(X, y)
    copied, twin = copy.deepcopy(model), copy.deepcopy(model)
    copied.partial_fit(X, -y)
    assert_same_training(twin.partial_fit(X, y), model.partial_fit(X, y))


def test_a_copy_that_was_made_in_inference_mode_goes_on():
    model = FFNNRegressor(**TABLE).partial_fit(X, y)
    with torch.inference_mode():
        copied = by_pickle(model, None)
    assert_same_training(copied.partial_fit(X, y), model.partial_fit(X, y))


class FreezesForGood(skorch_callbacks.Callback):
    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 1:
            list(net.module_.parameters())[-1].requires_grad_(False)


def test_what_is_frozen_stays_frozen(tmp_path):
    model = FFNNRegressor(**TABLE, callbacks=[FreezesForGood()])
    straight = trained(model, as_it_is, tmp_path)
    start = trained(model, as_it_is, tmp_path, ["partial_fit"])
    assert_array_equal(weights(straight)[-1], weights(start)[-1])
    assert_same_training(trained(model, by_pickle, tmp_path), straight)


# Adapters


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("base_call", ["fit", "partial_fit"])
def test_an_adapter_of_a_frozen_base_goes_on(way, base_call, tmp_path):
    base = getattr(FFNNRegressor(**TABLE), base_call)(X, y)
    adapter = LoRAAdapter.from_fitted(base, random_state=0, lora_dropout=0.2, batch_size=8)
    straight = trained(adapter, as_it_is, tmp_path)
    assert_same_training(trained(adapter, way, tmp_path), straight)


@pytest.mark.parametrize("settings", [{"loraplus_lr_ratio": 4.0}, {"quantization": "nf4"}])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_adapters_of_every_kind_go_on(settings, solver, tmp_path):
    base = FFNNRegressor(**TABLE, solver=solver).fit(X, y)
    adapter = LoRAAdapter.from_fitted(base, random_state=0, **settings)
    straight = trained(adapter, as_it_is, tmp_path)
    assert_same_training(trained(adapter, by_pickle, tmp_path), straight)


def test_an_adapter_that_has_fitted_its_base_goes_on(tmp_path):
    adapter = LoRAAdapter(RNNRegressor(**SEQUENCE), **SHORT)
    straight = trained(adapter, as_it_is, tmp_path)
    assert_same_training(trained(adapter, by_pickle, tmp_path), straight)


def test_an_adapter_goes_on_when_its_base_is_given_back():
    base = FFNNRegressor(**TABLE).partial_fit(X, y)
    adapter = LoRAAdapter.from_fitted(base, random_state=0, store_base=False)
    stored = by_pickle(adapter.partial_fit(X, y + 1), None).attach_base(by_pickle(base, None))
    assert_same_training(stored.partial_fit(X, y + 1), adapter.partial_fit(X, y + 1))


# The history


def rows(model):
    """Rows of the history without times."""
    history = getattr(model, "estimator_", model).net_.history
    return [{name: row[name] for name in row.keys() - {"dur"}} for row in history]


@pytest.mark.parametrize("way", WAYS)
def test_the_history_is_stored(way, tmp_path):
    model = FFNNRegressor(**TABLE, early_stopping=True).fit(X, y)
    stored = way(model, tmp_path).net_.history
    assert stored == model.net_.history
    assert type(stored) is type(model.net_.history)
    for columns in ("train_loss", ("epoch", "valid_score", "valid_loss_best")):
        assert stored[:, columns] == model.net_.history[:, columns]
    assert all(type(row["train_loss"]) is float for row in stored)


@pytest.mark.parametrize("calls", [("fit",) * 2, ("fit",) * 3])
def test_what_tells_of_the_training_goes_on(calls, tmp_path):
    model = FFNNClassifier(**TABLE, warm_start=True, early_stopping=True)
    model.set_params(callbacks=[skorch_callbacks.EpochScoring("f1_macro", lower_is_better=False)])
    straight = trained(model, as_it_is, tmp_path, calls, (X, LABELS))
    stored = trained(model, by_pickle, tmp_path, calls, (X, LABELS))
    assert_same_training(stored, straight)
    assert rows(stored) == rows(straight)
    assert stored.n_iter_ == len(stored.validation_scores_) == 2 * len(calls)
    for name in ("validation_scores_", "validation_loss_curve_", "best_loss_", "t_"):
        assert getattr(stored, name) == getattr(straight, name)
    assert stored.best_validation_score_ == straight.best_validation_score_


def test_a_copy_has_a_history_of_its_own():
    model = FFNNRegressor(**TABLE, warm_start=True).fit(X, y)
    copied = copy.copy(model).fit(X, y)
    copied.net_.history[0]["epoch"] = 7
    assert [len(copied.net_.history), len(model.net_.history)] == [4, 2]
    assert model.net_.history[0]["epoch"] == 1


class Records(skorch_callbacks.Callback):
    def on_epoch_end(self, net, **kwargs):
        net.history.record("score", np.float32(0.5))
        net.history.record("is_low", np.bool_(True))
        net.history.record("module", net.module_)
        net.history.record("states", [torch.ones(3)])

    def on_batch_end(self, net, **kwargs):
        net.history.record_batch("count", np.int64(3))
        net.history.record_batch("loss", torch.ones(()))


def test_of_the_history_plain_values_are_stored():
    model = FFNNRegressor(**TABLE, callbacks=[Records()], batch_size=40).fit(X, y)
    for stored in (by_pickle(model, None), by_skops(model.set_params(callbacks=None), None)):
        row = stored.net_.history[-1]
        assert (type(row["score"]), row["is_low"]) == (float, True)
        assert row.keys() == model.net_.history[-1].keys() - {"module", "states"}
        assert stored.net_.history[:, "batches", :, "count"] == [[3, 3]] * 2
        assert "loss" not in row["batches"][0]


@pytest.mark.parametrize("every", ["epoch", "batch"])
def test_a_scheduler_goes_on(every, tmp_path):
    scheduler = skorch_callbacks.LRScheduler("StepLR", step_size=1, gamma=0.5, step_every=every)
    model = FFNNRegressor(**TABLE, learning_rate="constant", warmup_fraction=0.0, batch_size=10)
    model.set_params(callbacks=[scheduler], warm_start=True)
    straight = trained(model, as_it_is, tmp_path, calls=("fit",) * 2)
    stored = trained(model, by_pickle, tmp_path, calls=("fit",) * 2)
    assert_same_training(stored, straight)
    assert rows(stored) == rows(straight)


def test_an_adapter_keeps_its_history(tmp_path):
    base = FFNNRegressor(**TABLE).fit(X, y)
    adapter = LoRAAdapter.from_fitted(base, warm_start=True, max_iter=2, random_state=0)
    straight = trained(adapter, as_it_is, tmp_path, calls=("fit",) * 3)
    stored = trained(adapter, by_pickle, tmp_path, calls=("fit",) * 3)
    assert rows(stored) == rows(straight)
    assert_same_training(stored, straight)
    assert stored.n_iter_ == 6


class LooksAtCopies:
    """Callback of scikit-learn that is shown a copy of the estimator behind each epoch."""

    seen = ()

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context, **kwargs):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None, **kwargs):
        if context.task_name == "epoch":
            self.seen = [*self.seen, fitted_estimator.net_.history[:, "train_loss"]]


def test_copies_for_callbacks_have_the_history_so_far():
    looks = LooksAtCopies()
    model = FFNNRegressor(**TABLE, warm_start=True).set_callbacks(looks)
    curve = model.fit(X, y).fit(X, y).loss_curve_
    assert looks.seen == [curve[:n] for n in (1, 2, 3, 4)]


# What is stored


def n_bytes(estimator):
    return sum(array.nbytes for array in weights(estimator))


def test_only_what_goes_on_keeps_moments():
    model = FFNNRegressor((64, 64), n_members=2, warm_start=True, **SHORT).partial_fit(X, y)
    assert len(pickle.dumps(model)) > 3 * n_bytes(model)
    assert len(pickle.dumps(model.fit(X, y))) < n_bytes(model) + 10_000
    assert len(pickle.dumps(clone(model))) < 3000


def test_no_object_of_torch_is_stored():
    for model in (
        FFNNRegressor(**TABLE).partial_fit(X, y),
        LoRAAdapter(FFNNRegressor(**TABLE), **SHORT).partial_fit(X, y),
    ):
        data = pickle.dumps(model)
        assert b"torch\n" not in data and b"ctorch." not in data and b"skorch" not in data
