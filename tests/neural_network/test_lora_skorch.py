"""The adapter around nets that users built with skorch."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.utils import get_tags

torch = pytest.importorskip("torch")
skorch = pytest.importorskip("skorch")

from skorch.callbacks import Callback, EarlyStopping, LRScheduler  # noqa: E402

from sklearn_ext import LoRAAdapter  # noqa: E402
from sklearn_ext.neural_network import AdapterBank  # noqa: E402


class Classifier(torch.nn.Module):
    def __init__(self, n_hidden=12, dropout=0.0):
        super().__init__()
        self.hidden = torch.nn.Linear(4, n_hidden)
        self.dropout = torch.nn.Dropout(dropout)
        self.norm = torch.nn.BatchNorm1d(n_hidden)
        self.output = torch.nn.Linear(n_hidden, 2)
        self.unused = torch.nn.Linear(3, 3)

    def forward(self, X):
        return self.output(self.dropout(torch.relu(self.norm(self.hidden(X)))))


class Regressor(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = torch.nn.LSTM(4, 6, batch_first=True)
        self.output = torch.nn.Linear(6, 1)

    def forward(self, X):
        return self.output(self.cell(X)[0][:, -1])


def make_data(kind, seed=0):
    rng = np.random.default_rng(seed)
    shape = (96, 4) if kind == "labels" else (96, 5, 4)
    X = rng.normal(size=shape).astype(np.float32)
    first = X[..., 0] if kind == "labels" else X[:, -1, 0]
    sign = 1 if seed == 0 else -1
    if kind == "labels":
        return X, (sign * first > 0).astype(np.int64)
    return X, (sign * first)[:, None]


def make_net(kind, **params):
    torch.manual_seed(0)
    adam = {"optimizer": torch.optim.Adam, "lr": 0.01, "verbose": 0, "max_epochs": 4, **params}
    if kind == "labels":
        loss = {"criterion": torch.nn.CrossEntropyLoss}
        return skorch.NeuralNetClassifier(Classifier, **loss, **adam)
    return skorch.NeuralNetRegressor(Regressor, **adam)


every_kind = pytest.mark.parametrize("kind", ["labels", "numbers"])


def used(kind):
    names = {"labels": ["hidden", "output"], "numbers": ["cell", "output"]}[kind]
    return {"target_modules": names, "random_state": 0, "r": 2, "learning_rate_init": 0.02}


def weights(net):
    return [value.clone() for value in net.module_.state_dict().values()]


@every_kind
def test_a_fitted_net_is_adapted_and_not_changed(kind):
    base = make_net(kind).fit(*make_data(kind))
    before, seen = weights(base), len(base.history)
    X, y = make_data(kind, seed=1)
    adapter = LoRAAdapter.from_fitted(base, max_iter=15, **used(kind)).fit(X, y)
    for old, new in zip(before, weights(base), strict=True):
        assert torch.equal(old, new)
    assert len(base.history) == seen
    assert adapter.score(X, y) > base.score(X, y) + 0.2
    assert adapter.n_iter_ == len(adapter.loss_curve_) == 15
    assert type(adapter.estimator_) is type(base)
    assert 0 < adapter.trainable_fraction_ < 1
    again = LoRAAdapter.from_fitted(base, max_iter=15, **used(kind)).fit(X, y)
    assert_array_equal(again.predict(X), adapter.predict(X))
    assert_array_equal(clone(adapter).fit(X, y).predict(X), adapter.predict(X))


@every_kind
def test_merged_net_is_plain(kind):
    base = make_net(kind).fit(*make_data(kind))
    X, y = make_data(kind, seed=1)
    adapter = LoRAAdapter.from_fitted(base, **used(kind)).fit(X, y)
    merged = adapter.merge()
    assert type(merged.module_) is type(base.module_)
    name = "predict_proba" if kind == "labels" else "predict"
    assert_allclose(getattr(merged, name)(X), getattr(adapter, name)(X), rtol=1e-4, atol=1e-6)
    merged.partial_fit(X, y)  # it can be trained whole
    assert_allclose(getattr(adapter.merge(), name)(X), getattr(adapter, name)(X), rtol=1e-4)


@every_kind
@pytest.mark.parametrize("store_base", [True, False])
def test_round_trips(kind, store_base):
    base = make_net(kind).fit(*make_data(kind))
    X, y = make_data(kind, seed=1)
    adapter = LoRAAdapter.from_fitted(base, store_base=store_base, **used(kind)).fit(X, y)
    restored = pickle.loads(pickle.dumps(adapter))
    if not store_base:
        restored.attach_base(base)
    assert_array_equal(restored.predict(X), adapter.predict(X))
    assert_array_equal(copy.deepcopy(adapter).predict(X), adapter.predict(X))
    assert restored.estimator_.history == adapter.estimator_.history


@every_kind
def test_an_unfitted_net_is_fitted_first(kind):
    net = make_net(kind)
    X, y = make_data(kind)
    adapter = LoRAAdapter(net, max_iter=2, **used(kind)).fit(X, y)
    assert not net.initialized_
    assert adapter.score(X, y) > 0.1
    restored = pickle.loads(pickle.dumps(adapter))
    assert_array_equal(restored.predict(X), adapter.predict(X))


def test_classes_are_those_of_the_base():
    X, y = make_data("labels")
    base = make_net("labels", train_split=None).fit(X, y)
    adapter = LoRAAdapter.from_fitted(base, max_iter=1, **used("labels"))
    adapter.fit(X[y == 1], y[y == 1])
    assert adapter.classes_.tolist() == [0, 1]
    assert get_tags(adapter).estimator_type == "classifier"


def test_a_net_that_loaded_its_weights_learns_its_classes_from_y(tmp_path):
    X, y = make_data("labels")
    base, path = make_net("labels").fit(X, y), tmp_path / "weights.pt"
    base.save_params(f_params=path)
    restored = make_net("labels").initialize()
    restored.load_params(f_params=path)
    first, second = (
        LoRAAdapter.from_fitted(net, max_iter=2, **used("labels")).fit(X, y)
        for net in (base, restored)
    )
    assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    assert second.classes_.tolist() == [0, 1]
    first.save_adapter(tmp_path)
    loaded = LoRAAdapter.load_adapter(tmp_path, restored)
    assert_array_equal(first.predict_proba(X), loaded.predict_proba(X))


def test_the_plan_reaches_the_net():
    base = make_net("labels", iterator_train__shuffle=True, module__dropout=0.3)
    base.fit(*make_data("labels"))
    X, y = make_data("labels", seed=1)
    plain = LoRAAdapter.from_fitted(base, max_iter=2, **used("labels")).fit(X, y)
    for setting in (
        {"max_iter": 3},
        {"batch_size": 16},
        {"alpha": 0.5},
        {"learning_rate_init": 0.1},
        {"loraplus_lr_ratio": 8.0},
        {"random_state": 1},
        {"lora_dropout": 0.5},
    ):
        params = {"max_iter": 2, **used("labels"), **setting}
        changed = LoRAAdapter.from_fitted(base, **params).fit(X, y)
        assert np.any(changed.predict_proba(X) != plain.predict_proba(X)), setting
        assert changed.estimator_.get_params()["lr"] == base.lr
    state = torch.random.get_rng_state()
    again = LoRAAdapter.from_fitted(base, max_iter=2, **used("labels")).fit(X, y)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert_array_equal(again.predict_proba(X), plain.predict_proba(X))


def test_a_validation_set_is_watched_by_the_callbacks_of_the_net():
    base = make_net("numbers", callbacks=[EarlyStopping(patience=2)])
    base.fit(*make_data("numbers"))
    X, y = make_data("numbers", seed=1)
    adapter = LoRAAdapter.from_fitted(base, max_iter=40, **used("numbers"))
    adapter.fit(X, y, validation_set=(X, -y))
    assert adapter.n_iter_ < 40
    assert "valid_loss" in adapter.estimator_.history[-1]
    assert adapter.estimator_.train_split is base.train_split


def test_partial_fit_and_warm_start_go_on():
    base = make_net("labels").fit(*make_data("labels"))
    X, y = make_data("labels", seed=1)
    adapter = LoRAAdapter.from_fitted(base, **used("labels"))
    losses = [adapter.partial_fit(X, y).loss_curve_[-1] for _ in range(6)]
    assert losses[-1] < losses[0]
    assert adapter.n_iter_ == 6
    warm = LoRAAdapter.from_fitted(base, warm_start=True, max_iter=3, **used("labels"))
    first = warm.fit(X, y).loss_curve_[-1]
    assert warm.fit(X, y).loss_curve_[-1] < first


def groups(adapter):
    """What the optimizer has for each group of parameters."""
    found = adapter.estimator_.optimizer_.param_groups
    return [{name: value for name, value in one.items() if name != "params"} for one in found]


def pickled_copy(adapter):
    return pickle.loads(pickle.dumps(adapter))


def skops_copy(adapter):
    skops = pytest.importorskip("skops.io")
    stored = skops.dumps(copy.copy(adapter).set_params(store_base=False))
    types = skops.get_untrusted_types(data=stored)
    assert all(name.startswith("sklearn_ext.") for name in types)
    return skops.loads(stored, trusted=types).attach_base(adapter.estimator.estimator)


every_copy = pytest.mark.parametrize("copied", [copy.deepcopy, pickled_copy, skops_copy])


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9},
        {"callbacks": [("rate", LRScheduler("StepLR", step_size=1, gamma=0.5))]},
    ],
    ids=["Adam", "momentum", "schedule"],
)
@every_copy
def test_a_copy_goes_on_with_the_optimizer_of_the_run(params, copied):
    base = make_net("labels", **params).fit(*make_data("labels"))
    X, y = make_data("labels", seed=1)
    settings = {**used("labels"), "alpha": 0.1, "loraplus_lr_ratio": 4.0, "max_iter": 3}
    adapter = LoRAAdapter.from_fitted(base, **settings).fit(X, y)
    again = copied(adapter)
    adapter.partial_fit(X, y)
    again.partial_fit(X, y)
    assert groups(again) == groups(adapter)
    assert {group["weight_decay"] for group in groups(again)} == {0.1}
    assert_array_equal(again.predict_proba(X), adapter.predict_proba(X))


class LearnedNoise(torch.nn.Module):
    """A loss that learns the variance of the noise, and counts its calls."""

    def __init__(self):
        super().__init__()
        self.log_variance = torch.nn.Parameter(torch.zeros(()))
        self.register_buffer("n_calls", torch.zeros((), dtype=torch.int64))

    def forward(self, predicted, targets):
        self.n_calls += self.training
        squares = (predicted - targets).square()
        return (squares * torch.exp(-self.log_variance) + self.log_variance).mean()


@every_copy
def test_a_copy_has_the_loss_as_it_was_learned(copied):
    base = make_net("numbers", criterion=LearnedNoise).fit(*make_data("numbers"))
    X, y = make_data("numbers", seed=1)
    adapter = LoRAAdapter.from_fitted(base, max_iter=5, **used("numbers")).fit(X, y)
    of_base, learned = base.criterion_.state_dict(), adapter.estimator_.criterion_.state_dict()
    assert not any(torch.equal(of_base[name], learned[name]) for name in learned)
    again = copied(adapter)
    assert again.estimator_.criterion_.state_dict() == learned
    assert again.partial_fit(X, y).loss_curve_ == adapter.partial_fit(X, y).loss_curve_
    assert again.estimator_.criterion_.state_dict() == adapter.estimator_.criterion_.state_dict()


def test_a_loss_may_be_no_module():
    def make_loss():
        return torch.nn.functional.mse_loss

    base = make_net("numbers", criterion=make_loss).fit(*make_data("numbers"))
    X, y = make_data("numbers", seed=1)
    adapter = LoRAAdapter.from_fitted(base, max_iter=2, **used("numbers")).fit(X, y)
    assert_array_equal(copy.deepcopy(adapter).predict(X), adapter.predict(X))


def test_partial_fit_hears_of_another_rate_and_decay():
    base = make_net("labels").fit(*make_data("labels"))
    X, y = make_data("labels", seed=1)
    settings = {"alpha": 0.1, "loraplus_lr_ratio": 4.0, "max_iter": 3}
    adapter = LoRAAdapter.from_fitted(base, **{**used("labels"), **settings}).fit(X, y)
    rates = [(group["lr"], group["weight_decay"]) for group in groups(adapter)]
    assert rates == [(0.08, 0.1), (0.02, 0.1)]
    before = [p.clone() for p in adapter.estimator_.module_.parameters()]
    adapter.set_params(learning_rate_init=1e-30, alpha=0.0).partial_fit(X, y)
    rates = [(group["lr"], group["weight_decay"]) for group in groups(adapter)]
    assert rates == [(4e-30, 0.0), (1e-30, 0.0)]
    assert all(map(torch.equal, before, adapter.estimator_.module_.parameters()))
    assert adapter.estimator_.optimizer_.state  # the moments are there still
    adapter.set_params(learning_rate_init=0.02).partial_fit(X, y)
    assert [group["lr"] for group in groups(adapter)] == [0.08, 0.02]


def test_a_schedule_goes_on_from_another_rate():
    schedule = ("rate", LRScheduler("StepLR", step_size=1, gamma=0.5))
    base = make_net("labels", callbacks=[schedule]).fit(*make_data("labels"))
    X, y = make_data("labels", seed=1)
    adapter = LoRAAdapter.from_fitted(base, max_iter=2, **used("labels")).fit(X, y)
    same, other = copy.deepcopy(adapter).partial_fit(X, y), copy.deepcopy(adapter)
    other.set_params(learning_rate_init=0.04).partial_fit(X, y)
    (one,), (another,) = groups(same), groups(other)
    assert (one["initial_lr"], another["initial_lr"]) == (0.02, 0.04)
    assert another["lr"] == pytest.approx(2 * one["lr"])
    assert one["lr"] < 0.02 / 4


def test_a_run_that_fails_at_another_rate_gives_the_rate_back():
    base = make_net("labels").fit(*make_data("labels"))
    X, y = make_data("labels", seed=1)
    adapter = LoRAAdapter.from_fitted(base, **used("labels")).fit(X, y)
    before = groups(adapter)
    with pytest.raises(ValueError, match="inconsistent lengths"):
        adapter.set_params(learning_rate_init=0.5).partial_fit(X[:3], y[:2])
    assert groups(adapter) == before
    adapter.partial_fit(X, y)
    assert [group["lr"] for group in groups(adapter)] == [0.5]


class Watched(torch.nn.Module):
    """A net that remembers its outputs for every batch of a training run."""

    def __init__(self):
        super().__init__()
        self.hidden, self.output = torch.nn.Linear(4, 12), torch.nn.Linear(12, 1)
        self.dropout = torch.nn.Dropout(0.5)
        self.seen = []

    def forward(self, X):
        states = self.dropout(torch.relu(self.hidden(X)))
        if self.training:
            self.seen.append((X[:, 0].clone(), states.detach() == 0.0))
        return self.output(states)


def test_runs_go_on_with_other_orders_and_masks_and_are_reproducible():
    X, _ = make_data("labels")
    y = X[:, :1]
    params = {"max_epochs": 0, "verbose": 0, "train_split": None, "iterator_train__shuffle": True}
    base = skorch.NeuralNetRegressor(Watched, **params).fit(X, y)

    def runs():
        adapter = LoRAAdapter.from_fitted(base, batch_size=32, random_state=0)
        for _ in range(3):
            adapter.partial_fit(X, y)
        seen = adapter.estimator_.module_.base.seen
        assert len(seen) == 9
        return [[torch.cat(part) for part in zip(*seen[i : i + 3], strict=True)] for i in (0, 3, 6)]

    first, again = runs(), runs()
    for one, other in zip(first, again, strict=True):
        assert all(map(torch.equal, one, other))
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert not any(map(torch.equal, first[one], first[other]))


def test_fits_in_threads_are_those_of_one_thread():
    X, y = make_data("labels")
    base = make_net("labels", module__dropout=0.5).fit(X, y)
    adapter = LoRAAdapter.from_fitted(base, max_iter=4, batch_size=8, **used("labels"))
    expected = clone(adapter).fit(X, y).predict_proba(X)
    with ThreadPoolExecutor(3) as threads:
        found = threads.map(lambda _: clone(adapter).fit(X, y).predict_proba(X), range(6))
        for one in found:  # predicting draws a seed of the loader from the global generator
            assert_array_equal(one, expected)


def test_grid_search():
    base = make_net("labels").fit(*make_data("labels"))
    adapter = LoRAAdapter(FrozenEstimator(base), max_iter=2, **used("labels"))
    search = GridSearchCV(adapter, {"r": [1, 2]}, cv=2, error_score="raise")
    assert search.fit(*make_data("labels", seed=1)).best_estimator_.estimator.estimator is base


class Named(torch.nn.Module):
    """A net that gets its inputs by a name."""

    def __init__(self):
        super().__init__()
        self.output = torch.nn.Linear(4, 1)

    def forward(self, values):
        return self.output(values)


def test_a_bank_takes_a_dict_of_arrays():
    X, y = make_data("labels")
    data = {"values": X}, y[:, None].astype(np.float32)
    base = skorch.NeuralNetRegressor(Named, max_epochs=2, verbose=0).fit(*data)
    adapter = LoRAAdapter.from_fitted(base, max_iter=2, random_state=0).fit(*data)
    names = ["own", None, "own"] * (len(X) // 3)
    found = AdapterBank({"own": adapter}).predict(data[0], names)
    for name, model in (("own", adapter), (None, base)):
        rows = [other == name for other in names]
        assert_allclose(found[rows], model.predict(data[0])[rows], rtol=1e-6)
    with pytest.raises(ValueError, match="names must have one name a sample, 96, got 2"):
        AdapterBank({"own": adapter}).predict(data[0], ["own", None])


def test_a_rate_of_b_needs_an_optimizer_with_rates():
    X, y = make_data("labels")
    base = make_net("labels", optimizer=torch.optim.LBFGS).fit(X, y)
    adapter = LoRAAdapter.from_fitted(base, loraplus_lr_ratio=4.0, max_iter=1, **used("labels"))
    with pytest.raises(ValueError, match=r"loraplus_lr_ratio=4\.0 is a ratio.*L-BFGS"):
        adapter.fit(X, y)
    adapter.set_params(loraplus_lr_ratio=None).fit(X, y)


class TwoModules(skorch.NeuralNet):
    def initialize_module(self):
        super().initialize_module()
        self.second_ = torch.nn.Linear(2, 2)
        return self


def test_errors_say_what_to_do():
    base = make_net("labels").fit(*make_data("labels"))
    X, y = make_data("labels", seed=1)
    adapter = LoRAAdapter.from_fitted(base, random_state=0)
    with pytest.raises(ValueError, match=r"reaches unused\.weight: .*target_modules"):
        adapter.fit(X, y)
    assert not hasattr(adapter, "estimator_")
    adapter.set_params(**used("labels"))
    with pytest.raises(TypeError, match="sample_weight"):
        adapter.fit(X, y, sample_weight=np.ones(len(y)))
    with pytest.raises(ValueError, match="early_stopping=True is not for a skorch net"):
        clone(adapter).set_params(early_stopping=True).fit(X, y)
    with pytest.raises(ValueError, match="'query' in target_modules"):
        clone(adapter).set_params(target_modules=["query"]).fit(X, y)
    two = TwoModules(Classifier, torch.nn.CrossEntropyLoss, verbose=0).initialize()
    with pytest.raises(ValueError, match=r"modules \['module', 'second'\] cannot be adapted"):
        LoRAAdapter.from_fitted(two).fit(X, y)


class Stops(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise RuntimeError("stopped")


def test_a_run_that_fails_gives_the_changes_back():
    X, y = make_data("numbers")
    base = make_net("numbers", criterion=LearnedNoise).fit(X, y)
    adapter = LoRAAdapter.from_fitted(base, **used("numbers")).fit(X, y)
    before, loss = adapter.predict(X), copy.deepcopy(adapter.estimator_.criterion_.state_dict())
    adapter.estimator_.callbacks_.append(("stops", Stops()))
    with pytest.raises(RuntimeError, match="stopped"):
        adapter.partial_fit(X, y)
    assert_array_equal(adapter.predict(X), before)
    assert adapter.estimator_.criterion_.state_dict() == loss


def test_running_means_are_given_back_too():
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 1)
    )
    X = np.random.default_rng(0).normal(size=(96, 4)).astype(np.float32)
    base = skorch.NeuralNetRegressor(module, verbose=0, max_epochs=2).fit(X, X[:, :1])
    adapter = LoRAAdapter.from_fitted(base, random_state=0).fit(X, X[:, :1])
    before = adapter.predict(X)
    adapter.estimator_.callbacks_.append(("stops", Stops()))
    with pytest.raises(RuntimeError, match="stopped"):
        adapter.partial_fit(50 * X + 3, X[:, :1])
    assert_array_equal(adapter.predict(X), before)


# What the adapter asks of the net


def test_a_new_base_has_the_seed_of_the_adapter():
    X, y = make_data("labels")

    def probabilities(seed, of_user):
        net = make_net("labels")
        torch.manual_seed(of_user)
        before = torch.get_rng_state()
        fields = {**used("labels"), "random_state": seed}
        adapter = LoRAAdapter(net, max_iter=1, **fields).fit(X, y)
        assert torch.equal(before, torch.get_rng_state())
        return adapter.predict_proba(X)

    first = probabilities(0, 1)
    assert_array_equal(probabilities(0, 2), first)
    assert np.abs(probabilities(1, 1) - first).max() > 1e-3


class EndsAtTheSecond:
    """Keep predictions of every epoch; end the run behind the second."""

    def __init__(self, X):
        self.X, self.seen = X, []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        if context.task_name == "epoch":
            self.seen.append(fitted_estimator.predict_proba(self.X))
        return context.task_name == "epoch" and context.task_id == 1


def test_a_bar_is_told_by_the_adapter_and_not_asked_of_the_net(capsys):
    pytest.importorskip("rich")
    X, y = make_data("labels")
    base = make_net("labels").fit(X, y)
    adapter = LoRAAdapter.from_fitted(base, max_iter=2, **used("labels"))
    adapter.set_callbacks(ProgressBar()).fit(X, y)
    assert "LoRAAdapter" in capsys.readouterr().out


def test_callbacks_of_the_adapter_hear_of_epochs_and_end_the_run():
    X, y = make_data("labels")
    callback = EndsAtTheSecond(X)
    adapter = LoRAAdapter.from_fitted(make_net("labels").fit(X, y), max_iter=9, **used("labels"))
    assert adapter.set_callbacks(callback).fit(X, y).n_iter_ == 2
    assert_array_equal(callback.seen[1], adapter.predict_proba(X))
    assert np.abs(callback.seen[0] - callback.seen[1]).max() > 0
    assert_array_equal(pickle.loads(pickle.dumps(adapter)).predict(X), adapter.predict(X))
    both = EndsAtTheSecond(X)
    LoRAAdapter(make_net("labels"), max_iter=9, **used("labels")).set_callbacks(both).fit(X, y)
    assert len(both.seen) == 4


def test_an_optimizer_without_weight_decay():
    net = make_net("labels", optimizer=torch.optim.LBFGS)
    adapter = LoRAAdapter(net, alpha=0.01, **used("labels"))
    with pytest.raises(ValueError, match=r"alpha=0.01 is a weight decay, which .*LBFGS.*alpha=0.0"):
        adapter.fit(*make_data("labels"))


# Of dynamo itself.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_a_net_that_is_compiled_is_adapted_as_one_that_is_not(monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    X, y = make_data("labels")
    found = []
    for compiles in (False, True):
        base = make_net("labels", compile=compiles).fit(X, y)
        adapter = LoRAAdapter.from_fitted(base, **used("labels")).fit(*make_data("labels", 1))
        again = pickle.loads(pickle.dumps(adapter))
        found.append((again.predict_proba(X), adapter.merge().predict_proba(X)))
    for plain, of_compiled in zip(*found, strict=True):
        assert_allclose(of_compiled, plain, rtol=1e-5, atol=1e-6)
