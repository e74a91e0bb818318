"""An "adaptive" learning rate, against MLPRegressor and against its definition."""

import numpy as np
import pytest
from sklearn.datasets import make_regression
from sklearn.neural_network import MLPRegressor

from sklearn_ext import FFNNRegressor

pytest.importorskip("torch")
skorch_callbacks = pytest.importorskip("skorch.callbacks")

X, y = make_regression(200, 4, noise=5.0, random_state=0)
SMALL = {"hidden_layer_sizes": (8,), "n_members": 1, "random_state": 0}
NEVER_BETTER = {"learning_rate": "adaptive", "tol": 1e9, "max_iter": 200}


class Rates(skorch_callbacks.Callback):
    """Learning rate of each epoch."""

    def on_train_begin(self, net, *args, **kwargs):
        self.seen_ = []

    def on_epoch_end(self, net, **kwargs):
        self.seen_.append([group["lr"] for group in net.optimizer_.param_groups])


def rates_of(**settings):
    rates = Rates()
    model = FFNNRegressor(**{**SMALL, **settings}, callbacks=[rates]).fit(X, y)
    return model, np.array(rates.seen_)


def expected_rates(losses, first, patience, tol):
    """Rates by the definition: 5 times lower whenever `patience` epochs in a row failed."""
    rates, reference, failed = [], np.inf, 0
    for loss in losses:
        rates.append(first)
        reference, failed = (loss, 0) if loss < reference - tol else (reference, failed + 1)
        if failed == patience:
            first, failed = first / 5, 0
    return rates


@pytest.mark.parametrize("patience", [2, 5])
def test_as_many_epochs_as_the_plain_net_where_nothing_counts_as_better(patience):
    # MLPRegressor waits for one epoch more than n_iter_no_change says.
    plain = MLPRegressor(
        hidden_layer_sizes=(8,),
        solver="sgd",
        learning_rate_init=0.001,
        n_iter_no_change=patience - 1,
        random_state=0,
        **NEVER_BETTER,
    )
    ours, rates = rates_of(
        learning_rate_init=0.001, n_iter_no_change=patience, early_stopping=False, **NEVER_BETTER
    )
    assert ours.n_iter_ == plain.fit(X, y).n_iter_
    assert rates[-1, 0] <= 1e-6 < rates[-1 - patience, 0]


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("early_stopping", [True, False])
@pytest.mark.parametrize("warmup_fraction", [0.0, 0.03])
def test_rates_follow_from_the_watched_losses(solver, early_stopping, warmup_fraction):
    settings = {"tol": 1e-2, "n_iter_no_change": 3, "max_iter": 60, "learning_rate_init": 0.01}
    model, rates = rates_of(
        learning_rate="adaptive",
        solver=solver,
        early_stopping=early_stopping,
        warmup_fraction=warmup_fraction,
        **settings,
    )
    watched = model.validation_loss_curve_ if early_stopping else model.loss_curve_
    expected = expected_rates(watched, 0.01, 3, 1e-2)
    risen = int(60 * warmup_fraction) + 1
    np.testing.assert_allclose(rates[risen:, 0], expected[risen:], rtol=1e-12)
    assert np.all(rates[:, 0] == rates[:, 1])
    assert rates[-1, 0] < 0.01


@pytest.mark.parametrize(("max_iter", "patience"), [(10, 2), (40, 4), (200, 10)])
@pytest.mark.parametrize("early_stopping", [True, False])
def test_patience_by_default(max_iter, patience, early_stopping):
    settings = {**NEVER_BETTER, "max_iter": max_iter, "early_stopping": early_stopping}
    _, rates = rates_of(learning_rate_init=0.001, warmup_fraction=0.0, **settings)
    np.testing.assert_allclose(rates[[patience, patience + 1], 0], [0.001, 0.0002])


def test_another_run_begins_at_the_initial_rate():
    settings = {"learning_rate_init": 0.001, "warmup_fraction": 0.0, "warm_start": True}
    model, rates = rates_of(**settings, **NEVER_BETTER)
    assert rates[-1, 0] <= 1e-6
    assert model.fit(X, y).callbacks[0].seen_[0] == [0.001, 0.001]
