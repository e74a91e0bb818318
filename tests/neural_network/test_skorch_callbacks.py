"""What skorch's callbacks, given as ``callbacks=[...]``, see and may do."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.callback import ProgressBar
from sklearn.datasets import load_iris, make_regression
from sklearn.metrics import accuracy_score, get_scorer, log_loss, r2_score

from sklearn_ext import FFNNClassifier, FFNNRegressor
from sklearn_ext.neural_network import RNNRegressor

torch = pytest.importorskip("torch")
skorch_callbacks = pytest.importorskip("skorch.callbacks")

from skorch.callbacks import Callback, EarlyStopping, EpochScoring, PassthroughScoring  # noqa: E402

X, y = make_regression(300, 4, noise=5.0, random_state=0)
SHORT = {"max_iter": 4, "n_members": 2, "hidden_layer_sizes": (8,), "random_state": 0}
iris = load_iris()
words = iris.target_names[iris.target]


class Watch(Callback):
    """Keep the data sets of the last epoch, and what a function makes of the net and them."""

    def __init__(self, look=None):
        self.look = look

    def initialize(self):
        self.seen_ = []
        return self

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self.train_, self.valid_ = dataset_train, dataset_valid
        if self.look is not None:
            self.seen_.append(self.look(net, dataset_valid))


def short(callback, kind=FFNNRegressor, **settings):
    return kind(**{**SHORT, **settings}, callbacks=[callback])


def test_own_validation_rows_are_the_data_set():
    watch = Watch()
    short(watch).fit(X[:200], y[:200], validation_set=(X[200:], y[200:]))
    assert_array_equal(watch.train_.X, X[:200])
    assert_array_equal(watch.train_.y, y[:200])
    assert_array_equal(watch.valid_.X, X[200:])
    assert_array_equal(watch.valid_.y, y[200:])


def test_no_data_set_without_validation_rows():
    watch = Watch()
    short(watch, early_stopping=False).fit(X, y)
    assert len(watch.train_) == 300
    assert watch.valid_ is None


@pytest.mark.parametrize("n_members", [1, 2])
def test_members_that_hold_out_the_same_rows_part_the_table(n_members):
    watch = Watch()
    short(watch, n_members=n_members, validation_fraction=0.2).fit(X, y)
    assert (len(watch.train_), len(watch.valid_)) == (240, 60)
    joined = np.r_[watch.train_.X, watch.valid_.X]
    assert_array_equal(np.unique(joined, axis=0), np.unique(X, axis=0))


def test_rows_that_any_of_several_members_holds_out():
    watch = Watch()
    short(watch, n_members=4, validation_fraction=0.25).fit(X, y)  # two folds by turns
    assert (len(watch.train_), len(watch.valid_)) == (300, 150)


@pytest.mark.parametrize("kind", [FFNNRegressor, RNNRegressor])
def test_scorer_of_skorch_by_name_is_the_score_of_the_estimator(kind):
    scoring = EpochScoring("r2", lower_is_better=False, on_train=False, use_caching=False)
    settings = {"max_iter": 4, "n_members": 1, "random_state": 0}
    model = kind(**settings, callbacks=[scoring])
    model.fit(X[:200], y[:200], validation_set=(X[200:], y[200:]))
    scores = [row["r2"] for row in model.net_.history]
    assert_allclose(scores, model.validation_scores_, rtol=1e-4)
    # The weights of the best epoch are kept.
    best = scores[int(np.argmin(model.validation_loss_curve_))]
    assert model.score(X[200:], y[200:]) == pytest.approx(best, rel=1e-4)


@pytest.mark.parametrize("on_train", [True, False])
def test_scorer_with_caching_is_served_without(on_train):
    scoring = EpochScoring("r2", lower_is_better=False, on_train=on_train)
    model = short(scoring).fit(X, y)
    assert len([row["r2"] for row in model.net_.history]) == 4


@pytest.mark.parametrize("labels", [words, (iris.target == 1), np.c_[iris.target > 0, iris.target]])
def test_predictions_and_probabilities_of_classes(labels):
    if labels.ndim == 2:
        labels = (labels > 0).astype(int)

    def look(net, valid):
        assert_array_equal(net.predict(valid), net.predict(valid.X))
        return accuracy_score(valid.y, net.predict(valid)), net.predict_proba(valid)

    watch = Watch(look)
    rows, own = iris.data[::2], (iris.data[1::2], labels[1::2])
    model = short(watch, FFNNClassifier, n_members=1).fit(rows, labels[::2], validation_set=own)
    assert_allclose([score for score, _ in watch.seen_], model.validation_scores_, rtol=1e-6)
    best = int(np.argmin(model.validation_loss_curve_))
    assert_allclose(watch.seen_[best][1], model.predict_proba(own[0]), rtol=1e-4)


def test_score_of_probabilities():
    def look(net, valid):
        return log_loss(valid.y, net.predict_proba(valid))

    watch = Watch(look)
    model = short(watch, FFNNClassifier, n_members=1).fit(iris.data, words)
    assert_allclose(watch.seen_, model.validation_loss_curve_, rtol=1e-4)


@pytest.mark.parametrize("limit", [10**8, 100])
def test_rows_of_a_sparse_table(limit, monkeypatch):
    monkeypatch.setattr("sklearn_ext.neural_network._tabular.ENCODED_AT_ONCE", limit)
    watch = Watch(lambda net, valid: r2_score(valid.y, net.predict(valid)))
    table = sparse.csr_array(np.where(X > 0, X, 0.0))
    model = short(watch, n_members=1).fit(table, y)
    assert_allclose(watch.seen_, model.validation_scores_, rtol=1e-4)
    assert len(watch.valid_[3][0]) == 4


def test_rows_with_names_and_categories():
    frames = pytest.importorskip("pandas")
    watch = Watch(lambda net, valid: r2_score(valid.y, net.predict(valid)))
    frame = frames.DataFrame(X[:, :2], columns=["a", "b"])
    frame["kind"] = frames.Categorical(np.where(y > 0, "high", "low"))
    model = short(watch, n_members=1).fit(frame, y)
    assert_allclose(watch.seen_, model.validation_scores_, rtol=1e-4)


@pytest.mark.parametrize("early_stopping", [True, False])
def test_looking_changes_nothing(early_stopping):
    settings = {"dropout": 0.3, "early_stopping": early_stopping}
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        watch = Watch(lambda net, valid: net.predict(X).sum())
        watched = short(watch, **settings).fit(X, y)
        alone = FFNNRegressor(**{**SHORT, **settings}).fit(X, y)
    finally:
        torch.set_num_threads(threads)
    assert_array_equal(watched.predict(X), alone.predict(X))


@pytest.mark.parametrize("load_best", [True, False])
def test_early_stopping_of_skorch_ends_the_run_without_a_warning(load_best):
    stopping = EarlyStopping(monitor="valid_loss", patience=2, load_best=load_best)
    settings = {"max_iter": 60, "learning_rate_init": 0.1, "n_iter_no_change": 60, "n_bins": 0}
    model = short(stopping, **settings).fit(X, y)
    losses = model.validation_loss_curve_
    best = int(np.argmin(losses))
    assert model.n_iter_ < 60
    assert model.n_iter_ >= best + 2
    assert min(losses[-2:]) > min(losses) * (1 - 1e-4)
    assert model.score(X, y) > 0.0


def test_early_stopping_by_the_training_loss_and_by_a_scorer():
    never = {"threshold": 1e9, "threshold_mode": "abs", "patience": 3}
    stopping = EarlyStopping(monitor="train_loss", **never)
    model = short(stopping, max_iter=20, early_stopping=False).fit(X, y)
    assert model.n_iter_ == 4  # the first is better than none
    scoring = EpochScoring("r2", lower_is_better=False, name="own", on_train=False)
    stopping = EarlyStopping(monitor="own", lower_is_better=False, **never)
    model = FFNNRegressor(**{**SHORT, "max_iter": 20}, callbacks=[scoring, stopping])
    assert model.fit(X, y).n_iter_ == 4


def test_values_of_batches_are_passed_through():
    class Record(Callback):
        def on_batch_end(self, net, **kwargs):
            net.history.record_batch("seven", 7.0)

    model = FFNNRegressor(**SHORT, callbacks=[Record(), PassthroughScoring("seven", on_train=True)])
    assert [row["seven"] for row in model.fit(X, y).net_.history] == [7.0] * 4


class Halve(Callback):
    """Halve the rate behind every epoch."""

    def initialize(self):
        self.rates_ = []
        return self

    def on_epoch_end(self, net, **kwargs):
        self.rates_.append(net.optimizer_.param_groups[0]["lr"])
        for group in net.optimizer_.param_groups:
            group["lr"] *= 0.5


@pytest.mark.parametrize("learning_rate", ["constant", "adaptive"])
@pytest.mark.parametrize("warmup_fraction", [0.0, 0.1])
def test_callback_may_steer_a_constant_rate(learning_rate, warmup_fraction):
    settings = {"learning_rate": learning_rate, "warmup_fraction": warmup_fraction}
    halve = Halve()
    model = short(halve, learning_rate_init=0.01, **settings).fit(X, y)
    assert_allclose(halve.rates_, 0.01 * 0.5 ** np.arange(4))
    steady = FFNNRegressor(**SHORT, learning_rate_init=0.01, **settings).fit(X, y)
    assert np.any(model.predict(X) != steady.predict(X))


def test_rate_of_zero_stops_the_net():
    class Freeze(Callback):
        def on_epoch_end(self, net, **kwargs):
            for group in net.optimizer_.param_groups:
                group["lr"] = 0.0

    settings = {"learning_rate": "constant", "early_stopping": False}
    frozen = short(Freeze(), **settings, warmup_fraction=0.0).fit(X, y)
    once = FFNNRegressor(**{**SHORT, "max_iter": 1}, **settings, warmup_fraction=0.0).fit(X, y)
    assert_array_equal(frozen.predict(X), once.predict(X))


@pytest.mark.parametrize("name", ["roc_auc", "average_precision"])
def test_scorers_that_ask_for_a_classifier(name):
    X, labels = load_iris(return_X_y=True)
    X, labels = X[labels > 0], labels[labels > 0]
    net = FFNNClassifier(max_iter=1, n_members=1, random_state=0)
    net.set_params(callbacks=[EpochScoring(name, name="score", lower_is_better=False)])
    net.fit(X, labels, validation_set=(X, labels))
    expected = get_scorer(name)(net, X, labels)
    assert_allclose(net.net_.history[-1]["score"], expected, rtol=5e-3)  # of single precision


def test_monitor_of_rows_that_are_not_watched():
    X, y = make_regression(60, 3, random_state=0)
    with pytest.raises(KeyError, match="valid_loss") as caught:
        FFNNRegressor(callbacks=[EarlyStopping()], n_members=1, max_iter=2).fit(X, y)
    assert "monitor 'train_loss'" in caught.value.__notes__[0]


@pytest.mark.parametrize("callback", [3, ProgressBar()])
def test_callbacks_of_others(callback):
    X, y = make_regression(60, 3, random_state=0)
    with pytest.raises(TypeError, match="are given to set_callbacks"):
        FFNNRegressor(callbacks=[callback]).fit(X, y)


@pytest.mark.parametrize("kind", [FFNNClassifier, FFNNRegressor])
def test_validation_score_of_weighted_rows(kind):
    X, y = make_regression(80, 3, random_state=0)
    y = y if kind is FFNNRegressor else (y > 0).astype(int)
    net = kind(max_iter=1, n_members=1, random_state=0)
    weights = np.random.default_rng(0).uniform(0.1, 3.0, size=80)
    net.fit(X, y, validation_set=(X, y, weights))
    assert_allclose(net.validation_scores_[0], net.score(X, y, weights), rtol=1e-4)


def test_gradients_are_shown_before_the_step():
    settings = {"solver": "sgd", "alpha": 0.0}
    plain = FFNNRegressor(**SHORT | settings).fit(X, y)
    kept = short(skorch_callbacks.GradientNormClipping(1e9), **settings).fit(X, y)
    assert_array_equal(kept.predict(X), plain.predict(X))  # looked at and left
    clipped = short(skorch_callbacks.GradientNormClipping(1e-12), **settings).fit(X, y)
    start = FFNNRegressor(**SHORT | settings | {"learning_rate_init": 1e-30}).fit(X, y)
    assert_allclose(clipped.predict(X), start.predict(X), rtol=1e-5)
    assert all(p.grad is None for p in clipped.net_.module_.parameters())


def test_scores_of_single_batches_are_refused():
    with pytest.raises(TypeError, match=r"BatchScoring has no rows to score.*EpochScoring"):
        short(skorch_callbacks.BatchScoring("r2", on_train=True)).fit(X, y)
