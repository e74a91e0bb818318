"""Runs that go on, by warm_start and partial_fit: what they keep, refuse, and give back."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array
from sklearn.datasets import load_iris

from sklearn_ext import (
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
X = RNG.normal(size=(100, 3))
y = 2 * X[:, 0] + 0.1 * RNG.normal(size=100)
TWO = (X[:, 0] > 0).astype(int)
LABELS = np.stack([TWO, 1 - TWO, X[:, 1] > 0.3], axis=1).astype(int)
SHORT = {"max_iter": 3, "n_members": 2, "random_state": 0}
SMALL = {**SHORT, "hidden_size": 4, "stem_channels": 4}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_run_that_fails_gives_the_net_back(method):
    model = FFNNRegressor(warm_start=True, **SHORT).partial_fit(X, y).partial_fit(X, y)
    before, curve = model.predict(X), model.loss_curve_
    model.set_params(learning_rate_init=1e30)
    # The first step goes as far as it can, the loss of a further one is no number.
    with pytest.raises(ValueError, match="learning_rate_init=1e\\+30"):
        for _ in range(3):
            getattr(model, method)(X, y)
            before, curve = model.predict(X), model.loss_curve_
    assert_array_equal(model.predict(X), before)
    assert model.loss_curve_ == curve
    assert len(model.net_.history) == len(curve)
    assert not model.net_.module_.training


def test_moments_are_given_back_too():
    model, other = (FFNNRegressor(**SHORT).partial_fit(X, y) for _ in range(2))
    with pytest.raises(ValueError, match="targets"):
        model.partial_fit(X, np.stack([y, y], axis=1))
    with pytest.raises(ValueError, match="became"):
        model.set_params(max_iter=1).partial_fit(X, np.full(100, 1e200))
    assert_array_equal(model.partial_fit(X, y).predict(X), other.partial_fit(X, y).predict(X))


def test_interrupted_before_the_first_epoch_gives_the_net_back():
    class Interrupts(skorch_callbacks.Callback):
        def on_batch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    model = FFNNRegressor(warm_start=True, **SHORT).fit(X, y)
    before = model.predict(X)
    with pytest.raises(KeyboardInterrupt):
        model.set_params(callbacks=[Interrupts()]).fit(X, y)
    assert_array_equal(model.predict(X), before)


def test_runs_with_and_without_validation_rows_mix():
    model = FFNNRegressor(warm_start=True, early_stopping=False, **SHORT).fit(X, y)
    model.fit(X, y, validation_set=(X, y))
    assert_array_equal(np.isnan(model.validation_loss_curve_), [True] * 3 + [False] * 3)
    assert model.best_validation_score_ in model.validation_scores_
    model = FFNNRegressor(warm_start=True, **SHORT).partial_fit(X, y).fit(X, y)
    assert len(model.loss_curve_) == len(model.validation_loss_curve_) == 4


@pytest.mark.parametrize(
    ("changed", "value"),
    [("loss", "absolute_error"), ("dropout", 0.3), ("hidden_layer_sizes", (9,)), ("n_members", 3)],
)
def test_another_net_is_refused(changed, value):
    model = FFNNRegressor(warm_start=True, **SHORT).fit(X, y).set_params(**{changed: value})
    with pytest.raises(ValueError, match=f"{changed}=.*Set {changed} back, or call fit"):
        model.fit(X, y)
    assert np.isfinite(model.set_params(warm_start=False).fit(X, y).predict(X)).all()


def test_another_cell_is_refused():
    model = RNNRegressor(warm_start=True, **SMALL).fit(X, y)
    with pytest.raises(ValueError, match="has cell='mingru', not 'lstm'"):
        model.set_params(cell="lstm").fit(X, y)


def test_another_pooling_is_refused():
    texts, labels = ["red apple", "green pear"] * 4, [0, 1] * 4
    model = TransformerClassifier(hidden_size=8, num_layers=1, num_heads=2, max_iter=1)
    model.fit(texts, labels).set_params(pooling="first", warm_start=True)
    with pytest.raises(ValueError, match="has pooling='mean', not 'first'"):
        model.fit(texts, labels)
    assert model.set_params(warm_start=False).fit(texts, labels).net_.module_.pooling == "first"


def test_parameters_set_after_the_fit_change_no_prediction():
    model = FFNNRegressor(**SHORT).fit(X, y)
    before = model.predict(X)
    model.set_params(activation="relu", hidden_layer_sizes=(5,), n_members=1)
    model.set_params(loss="quantile", quantile=[0.1, 0.9])
    assert_array_equal(model.predict(X), before)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), before)
    assert model.predict(X, return_std=True)[1].shape == before.shape
    assert "2 member(s)" in model.summary()


def test_new_callbacks_are_heard():
    epochs = []

    class Counts(skorch_callbacks.Callback):
        def on_epoch_end(self, net, **kwargs):
            epochs.append(len(net.history))

    model = FFNNRegressor(warm_start=True, **SHORT).fit(X, y)
    model.set_params(callbacks=[Counts()]).fit(X, y)
    assert epochs == [4, 5, 6]


@pytest.mark.parametrize("estimator", [FFNNClassifier(**SHORT), RNNClassifier(**SMALL)])
def test_targets_of_another_form_are_refused(estimator):
    model = estimator.partial_fit(X, LABELS, classes=[0, 1, 2])
    for other in (TWO, LABELS[:, :2]):
        with pytest.raises(ValueError, match="was fitted to an indicator matrix of 3 labels"):
            model.partial_fit(X, other)
        with pytest.raises(ValueError, match="was fitted to an indicator matrix of 3 labels"):
            model.fit(X, LABELS, validation_set=(X, other))
    with pytest.raises(ValueError, match="fitted to one label a row"):
        model.fit(X, TWO, validation_set=(X, LABELS))
    with pytest.raises(ValueError, match="is not the same as on last call to partial_fit"):
        model.partial_fit(X, LABELS, classes=[0, 1])


@pytest.mark.parametrize("estimator", [FFNNRegressor(**SHORT), RNNRegressor(**SMALL)])
def test_rows_seen_are_counted_once(estimator):
    assert [estimator.partial_fit(X, y).t_ for _ in range(4)] == [100, 200, 300, 400]


def test_every_call_of_partial_fit_has_an_order_and_a_dropout_of_its_own():
    orders = []

    class Watches(skorch_callbacks.Callback):
        def on_batch_end(self, net, batch, **kwargs):
            orders[-1].append(batch[1])

    model = FFNNRegressor(**SHORT, batch_size=10)
    for _ in range(3):
        orders.append([])
        model.set_params(callbacks=[Watches()]).partial_fit(X, y).set_params(callbacks=None)
        model = pickle.loads(pickle.dumps(model))
    first, second, third = (torch.cat(parts).flatten() for parts in orders)
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)


def test_iris_is_learned_row_by_row():
    flowers, kinds = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(150)
    model = FFNNClassifier(n_members=2, random_state=0)
    for row in np.tile(order, 3):
        model.partial_fit(flowers[[row]], kinds[[row]], classes=[0, 1, 2])
    assert model.score(flowers, kinds) > 0.8


def calls(first):
    """Columns for several calls, of which the last has one value in the first call."""
    generator = np.random.default_rng(0)
    yield np.column_stack([X, np.full(100, first)])
    for _ in range(60):
        yield np.column_stack([X, generator.integers(0, 2, 100)])


@pytest.mark.parametrize("first", [0.0, np.nan])
@pytest.mark.parametrize("as_table", [np.asarray, csr_array])
def test_a_column_that_is_constant_in_the_first_call_is_learned_from_the_second(first, as_table):
    model = FFNNRegressor(n_members=2, random_state=0)
    for table in calls(first):
        target = X[:, 0] + 3 * np.nan_to_num(table[:, 3])
        model.partial_fit(as_table(table), target)
    assert model.score(as_table(table), target) > 0.95


def test_a_channel_that_is_constant_in_the_first_call_is_learned_from_the_second():
    model = RNNRegressor(n_members=1, hidden_size=16, stem_channels=0, random_state=0)
    for table in calls(0.0):
        target = X[:, 0] + 3 * table[:, 3]
        steps = table[:, None, :].repeat(2, axis=1)
        for _ in range(3):
            model.partial_fit(steps, target)
    assert model.score(steps, target) > 0.9


def test_a_column_that_is_constant_in_fit_is_left_out():
    table = np.column_stack([X, np.ones(100)])
    model = FFNNRegressor(**SHORT).fit(table, y)
    other = np.column_stack([X, np.full(100, 5.0)])
    assert_array_equal(model.predict(other), model.predict(table))


class HeldOut(skorch_callbacks.Callback):
    """Keeps the targets that the last run has held out."""

    def on_epoch_end(self, net, dataset_valid=None, **kwargs):
        if dataset_valid is not None:  # partial_fit holds out none
            type(self).last = dataset_valid.y


WATCHED = {"early_stopping": True, "warm_start": True, "callbacks": [HeldOut()]}


@pytest.mark.parametrize("random_state", [0, None, np.random.RandomState(0)])
@pytest.mark.parametrize("kind", [FFNNRegressor, RNNRegressor])
def test_rows_held_out_by_one_fit_are_held_out_by_the_next(kind, random_state):
    model = kind(max_iter=1, n_members=2, random_state=random_state, **WATCHED).fit(X, y)
    first = HeldOut.last
    assert_array_equal(model.fit(X, y) and HeldOut.last, first)
    model = pickle.loads(pickle.dumps(model))
    assert_array_equal(model.partial_fit(X, y).fit(X, y) and HeldOut.last, first)
    assert len(model.fit(X[:50], y[:50]) and HeldOut.last) < len(first)
    assert len(model.set_params(warm_start=False).fit(X, y) and HeldOut.last) == len(first)


def test_an_adapter_that_goes_on_holds_out_the_same_rows():
    base = FFNNRegressor(callbacks=[HeldOut()], early_stopping=True, **SHORT).fit(X, y)
    of_base = HeldOut.last
    settings = {"early_stopping": True, "warm_start": True, "max_iter": 1}
    adapter = LoRAAdapter.from_fitted(base, random_state=1, **settings).fit(X, y)
    first = HeldOut.last
    assert not np.array_equal(first, of_base)  # its own random_state draws them
    adapter = pickle.loads(pickle.dumps(adapter.fit(X, y)))
    assert_array_equal(adapter.fit(X, y) and HeldOut.last, first)


def test_batches_without_some_class_are_taken():
    weighted = FFNNClassifier(class_weight={1: 5}, **SHORT).fit(X, TWO)
    weighted.partial_fit(X[TWO == 0], TWO[TWO == 0])
    lists = FFNNClassifier(class_weight=[{1: 5}] * 3, **SHORT).fit(X, LABELS)
    lists.partial_fit(X[TWO == 0], LABELS[TWO == 0])
    FFNNRegressor(loss="poisson", **SHORT).fit(X, np.abs(y)).partial_fit(X[:5], np.zeros(5))


@pytest.mark.parametrize("weight", [{0: -1}, {0: np.nan}, {1: np.inf}])
def test_class_weights_that_are_none(weight):
    with pytest.raises(ValueError, match="class_weight must hold finite numbers >= 0"):
        FFNNClassifier(class_weight=weight, **SHORT).fit(X, TWO)


def test_rate_after_a_failure_is_the_one_that_is_set():
    model = FFNNRegressor(**SHORT, learning_rate_init=0.01).partial_fit(X, y)
    twin = pickle.loads(pickle.dumps(FFNNRegressor(**SHORT, learning_rate_init=0.01)))
    twin.partial_fit(X, y)
    with pytest.raises(ValueError, match="became"):
        model.set_params(learning_rate_init=1.0).partial_fit(X, np.full(100, 1e200))
    model.set_params(learning_rate_init=0.01).partial_fit(X, y)
    assert_array_equal(model.predict(X), twin.partial_fit(X, y).predict(X))


def test_what_is_frozen_in_the_middle_of_a_run_stays():
    values = []

    class Freezes(skorch_callbacks.Callback):
        def on_epoch_end(self, net, **kwargs):
            parameter = list(net.module_.parameters())[-1]
            parameter.requires_grad_(False)
            values.append(parameter.detach().clone())

    FFNNRegressor(max_iter=4, n_members=2, random_state=0, callbacks=[Freezes()]).fit(X, y)
    assert all(torch.equal(value, values[0]) for value in values)
