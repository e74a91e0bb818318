"""skorch's LRScheduler, Checkpoint and EarlyStopping(load_best=True) do what they do in skorch."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_regression

from sklearn_ext import FFNNRegressor

torch = pytest.importorskip("torch")
skorch_callbacks = pytest.importorskip("skorch.callbacks")

from skorch.callbacks import Callback, Checkpoint, EarlyStopping, EpochScoring  # noqa: E402
from torch.optim import lr_scheduler as policies  # noqa: E402

X, y = make_regression(300, 4, noise=5.0, random_state=0)
STEADY = {
    "max_iter": 4,
    "n_members": 1,
    "hidden_layer_sizes": (8,),
    "random_state": 0,
    "learning_rate": "constant",
    "learning_rate_init": 0.01,
    "warmup_fraction": 0.0,
}


def fitted(*callbacks, **settings):
    return FFNNRegressor(**{**STEADY, **settings}, callbacks=list(callbacks)).fit(X, y)


def scheduler(policy, **settings):
    return skorch_callbacks.LRScheduler(policy, **settings)


class Halve(Callback):
    """Halve the rate behind every epoch, by hand."""

    def on_epoch_end(self, net, **kwargs):
        for group in net.optimizer_.param_groups:
            group["lr"] *= 0.5


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("early_stopping", [True, False])
def test_scheduler_of_epochs(solver, early_stopping):
    settings = {"solver": solver, "early_stopping": early_stopping}
    model = fitted(scheduler(policies.StepLR, step_size=1, gamma=0.5), **settings)
    assert_allclose(model.net_.history[:, "event_lr"], 0.01 * 0.5 ** np.arange(4))
    assert_array_equal(model.predict(X), fitted(Halve(), **settings).predict(X))


def test_scheduler_of_batches():
    policy = scheduler(policies.ExponentialLR, gamma=0.9, step_every="batch")
    model = fitted(policy, batch_size=100, early_stopping=False)
    rates = [batch["event_lr"] for row in model.net_.history for batch in row["batches"]]
    assert_allclose(rates, 0.01 * 0.9 ** np.arange(12))


def test_scheduler_that_waits_for_a_better_loss():
    never = {"threshold": 1e9, "threshold_mode": "abs", "patience": 0}
    policy = scheduler(policies.ReduceLROnPlateau, monitor="valid_loss", factor=0.5, **never)
    rates = fitted(policy).net_.history[:, "event_lr"]
    assert_allclose(rates, [0.01, 0.01, 0.005, 0.0025])


def test_scheduler_goes_on_in_a_warm_start():
    policy = scheduler(policies.LambdaLR, lr_lambda=lambda epoch: 0.5**epoch)
    model = fitted(policy, warm_start=True, early_stopping=False)
    model.fit(X, y)
    assert_allclose(model.net_.history[:, "event_lr"], 0.01 * 0.5 ** np.arange(8))


@pytest.mark.parametrize(
    "settings",
    [{"learning_rate": "flat_cosine"}, {"warmup_fraction": 0.1}, {"solver": "lbfgs"}],
)
def test_two_schedules_are_refused(settings):
    with pytest.raises(ValueError, match=r"callbacks holds LRScheduler, but .*rate"):
        fitted(scheduler(policies.StepLR, step_size=1), **settings)


def test_checkpoint_of_the_best_epoch(tmp_path):
    model = fitted(Checkpoint(dirname=tmp_path, load_best=True), max_iter=8)
    assert_array_equal(model.predict(X), fitted(max_iter=8).predict(X))
    best = int(np.argmin(model.validation_loss_curve_))
    assert [row["valid_loss_best"] for row in model.net_.history[best:]][:2] in ([True], [True, 0])
    stored = torch.load(tmp_path / "params.pt", weights_only=True)
    for name, tensor in model.net_.module_.state_dict().items():
        assert_array_equal(stored[name].numpy(), tensor.numpy().astype(stored[name].numpy().dtype))


@pytest.mark.parametrize("early_stopping", [True, False])
def test_checkpoint_decides_on_the_weights(tmp_path, early_stopping):
    second = Checkpoint(monitor=lambda net: len(net.history) == 2, load_best=True, dirname=tmp_path)
    model = fitted(second, early_stopping=early_stopping)
    assert model.n_iter_ == 2  # the checkpoint has the history of its epoch
    twin = fitted(max_iter=2, early_stopping=early_stopping)
    assert_array_equal(model.predict(X), twin.predict(X))
    assert model.best_validation_score_ == twin.best_validation_score_


def test_checkpoint_by_a_scorer(tmp_path):
    scoring = EpochScoring("r2", lower_is_better=False, on_train=False)
    checkpoint = Checkpoint(monitor="r2_best", dirname=tmp_path, f_params="{last_epoch[epoch]}.pt")
    model = fitted(scoring, checkpoint)
    stored = {path.stem for path in tmp_path.glob("?.pt")}
    assert stored == {str(row["epoch"]) for row in model.net_.history if row["r2_best"]}


def test_checkpoint_by_the_training_loss_alone(tmp_path):
    model = fitted(Checkpoint(monitor="train_loss_best", dirname=tmp_path), early_stopping=False)
    losses = model.loss_curve_
    assert model.net_.history[:, "event_cp"] == [
        loss < min(losses[:epoch], default=np.inf) for epoch, loss in enumerate(losses)
    ]


@pytest.mark.parametrize("settings", [{}, {"solver": "sgd"}])
def test_checkpoint_of_the_whole_net(tmp_path, settings):
    halving = scheduler(policies.StepLR, step_size=1, gamma=0.5)
    whole = Checkpoint(monitor=None, dirname=tmp_path, f_pickle="net.pkl")
    model = fitted(halving, whole, early_stopping=False, **settings)
    net = pickle.loads((tmp_path / "net.pkl").read_bytes())
    net.module_.train(False)  # it was stored between steps
    rows = torch.from_numpy(X)
    with torch.no_grad():
        assert_allclose(net.module_(rows), model.net_.module_(rows), rtol=1e-5, atol=1e-6)


def test_early_stopping_decides_on_the_weights():
    upside_down = EarlyStopping("valid_loss", lower_is_better=False, patience=2, load_best=True)
    model = fitted(upside_down, max_iter=20)
    assert model.validation_loss_curve_[0] == max(model.validation_loss_curve_)
    assert model.n_iter_ == 3
    assert_array_equal(model.predict(X), fitted(max_iter=1).predict(X))
