"""Ctrl-C at any moment of a fit keeps whole epochs, and nothing else."""

import numpy as np
import pytest
from sklearn.datasets import make_regression
from sklearn.exceptions import ConvergenceWarning

from sklearn_ext import FFNNRegressor

pytest.importorskip("torch")
skorch_callbacks = pytest.importorskip("skorch.callbacks")

X, y = make_regression(200, 4, noise=5.0, random_state=0)
SHORT = {"max_iter": 5, "n_members": 2, "hidden_layer_sizes": (8,), "random_state": 0}


class Interrupt(skorch_callbacks.Callback):
    """Press Ctrl-C in the middle of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("early_stopping", [True, False])
def test_unfinished_epoch_is_not_in_the_history(early_stopping):
    settings = {**SHORT, "early_stopping": early_stopping}
    model = FFNNRegressor(**settings, callbacks=[Interrupt(3)])
    with pytest.warns(ConvergenceWarning, match="interrupted by user"):
        model.fit(X, y)
    whole = FFNNRegressor(**settings).fit(X, y)
    assert model.loss_curve_ == whole.loss_curve_[:2]
    if early_stopping:
        assert model.validation_loss_curve_ == whole.validation_loss_curve_[:2]
    assert np.all(np.isfinite(model.predict(X)))


def test_interrupt_in_the_first_epoch_is_passed_on():
    model = FFNNRegressor(**SHORT, callbacks=[Interrupt(1)])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert not hasattr(model, "net_")


def test_interrupt_of_a_score_drops_its_epoch(monkeypatch):
    calls = []

    def score(self, raw, rows):
        calls.append(None)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return 0.0

    monkeypatch.setattr(FFNNRegressor, "_validation_score", score)
    with pytest.warns(ConvergenceWarning, match="interrupted by user"):
        model = FFNNRegressor(**SHORT).fit(X, y)
    assert model.n_iter_ == len(model.validation_scores_) == 2
