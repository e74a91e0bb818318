"""solver="lbfgs", against closed forms and scikit-learn's solvers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer, load_iris, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPRegressor

from sklearn_ext import FFNNClassifier, FFNNRegressor

torch = pytest.importorskip("torch")
skorch_callbacks = pytest.importorskip("skorch.callbacks")

X, y = make_regression(150, 4, noise=5.0, random_state=0)
weight = np.random.default_rng(0).integers(0, 4, size=150).astype(float)
LINEAR = {"hidden_layer_sizes": (), "n_bins": 0, "n_frequencies": 0, "solver": "lbfgs"}
SMALL = {"hidden_layer_sizes": (8,), "n_members": 2, "solver": "lbfgs", "random_state": 0}


def encoded(model, rows):
    """Give the columns that the net sees."""
    with torch.no_grad():
        return model.net_.module_.encode(torch.from_numpy(rows)).numpy()


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("sample_weight", [None, weight])
def test_net_without_hidden_layers_is_ridge_regression(n_members, sample_weight):
    # mean((y - f)²) + alpha / (2 n) |w|² is Ridge's with half of alpha, for standardised y.
    model = FFNNRegressor(**LINEAR, n_members=n_members, alpha=8.0, random_state=0)
    model.fit(X, y, sample_weight=sample_weight)
    ridge = Ridge(alpha=4.0).fit(encoded(model, X), y, sample_weight=sample_weight)
    for member in model._shaped(model._responses(X)):
        assert_allclose(member, ridge.predict(encoded(model, X)), rtol=1e-4, atol=1e-2)


def test_net_without_hidden_layers_is_logistic_regression():
    iris = load_iris()
    model = FFNNClassifier(**LINEAR, n_members=1, alpha=2.0, random_state=0)
    model.fit(iris.data, iris.target)
    peer = LogisticRegression(C=0.5, tol=1e-8, max_iter=1000)
    peer.fit(encoded(model, iris.data), iris.target)
    expected = peer.predict_proba(encoded(model, iris.data))
    assert_allclose(model.predict_proba(iris.data), expected, atol=1e-3)


def test_gradient_is_gone_at_the_end():
    model = FFNNRegressor(**SMALL, tol=1e-3, max_iter=2000, alpha=1.0).fit(X, y)
    net, target = model.net_, torch.from_numpy(model._encode_target(y[:, None]))
    parameters = net.optimizer_.parameters
    loss = net.criterion_(net.module_(torch.from_numpy(X)).transpose(0, 1), target).mean(-1).sum()
    decays = [g["weight_decay"] for g in net.optimizer_.param_groups for _ in g["params"]]
    slopes = [
        gradient + decay * parameter.detach()
        for gradient, decay, parameter in zip(
            torch.autograd.grad(loss, parameters), decays, parameters, strict=True
        )
    ]
    assert max(float(slope.abs().max()) for slope in slopes) <= 1e-3
    assert max(decays) == 1.0 / 150


def test_loss_falls_behind_every_iteration():
    model = FFNNRegressor(**SMALL, alpha=0.0).fit(X, y)
    assert np.all(np.diff(model.loss_curve_) < 0)
    assert model.n_iter_ == len(model.loss_curve_) <= 200
    assert model.validation_loss_curve_ is None
    members = model._shaped(model._responses(X))
    errors = ((members - y) ** 2).mean(axis=1) / np.var(y)
    assert model.loss_ == pytest.approx(errors.mean(), rel=1e-9)


def test_fits_as_closely_as_the_plain_net():
    plain = MLPRegressor(
        hidden_layer_sizes=(8,), solver="lbfgs", alpha=0.0, max_iter=50, max_fun=500, random_state=0
    )
    settings = {"alpha": 0.0, "max_iter": 50, "max_fun": 500, "activation": "relu"}
    ours = FFNNRegressor(**{**SMALL, "n_members": 1}, **settings, n_bins=0, n_frequencies=0)
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge"):
        plain.fit(X, y)
    assert ours.fit(X, y).score(X, y) > plain.score(X, y) - 0.01


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_of_x_is_kept(dtype):
    model = FFNNRegressor(**SMALL, max_iter=20).fit(X.astype(dtype), y)
    assert model.predict(X.astype(dtype)).dtype == dtype


def test_weight_counts_repetitions():
    repeated = np.repeat(np.arange(150), weight.astype(int))
    weighted = FFNNRegressor(**SMALL, max_iter=15).fit(X, y, sample_weight=weight).predict(X)
    model = FFNNRegressor(**SMALL, max_iter=15).fit(X[repeated], y[repeated])
    assert_allclose(model.predict(X), weighted, rtol=1e-5, atol=1e-5)


def test_dropout_batches_and_rates_do_not_matter():
    expected = FFNNRegressor(**SMALL, max_iter=15).fit(X, y).predict(X)
    others = {"dropout": 0.5, "batch_size": 10, "learning_rate": "adaptive", "early_stopping": True}
    assert_array_equal(FFNNRegressor(**SMALL, max_iter=15, **others).fit(X, y).predict(X), expected)
    cut = FFNNRegressor(**SMALL, max_iter=15, gradient_accumulation_steps=4).fit(X, y)
    assert_allclose(cut.predict(X), expected, rtol=1e-5)


def test_own_validation_rows_choose_the_iteration():
    model = FFNNRegressor(**SMALL, alpha=0.0)
    model.fit(X[:40], y[:40], validation_set=(X[40:], y[40:]))
    assert model.n_iter_ == len(model.validation_loss_curve_) < 200
    members = model._shaped(model._responses(X[40:]))[: model.n_members]  # no linear ones
    errors = ((members - y[40:]) ** 2).mean(axis=1) / np.var(y[:40])
    assert errors.mean() == pytest.approx(model.best_loss_, rel=1e-6)


def test_limits():
    assert FFNNRegressor(**SMALL, max_iter=3).fit(X, y).n_iter_ == 3
    assert FFNNRegressor(**SMALL, max_fun=5).fit(X, y).n_iter_ <= 5
    assert FFNNRegressor(**SMALL, tol=1e6).fit(X, y).n_iter_ == 1  # nothing to do


def test_going_on_and_copies():
    import pickle

    model = FFNNRegressor(**SMALL, max_iter=10, warm_start=True).fit(X, y)
    loss = model.loss_
    assert model.fit(X, y).loss_ < loss
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))


def test_no_partial_fit():
    model = FFNNRegressor(solver="lbfgs")
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit"):
        model.partial_fit(X, y)
    assert hasattr(FFNNClassifier(), "partial_fit")


def test_callback_ends_the_run_and_sees_every_iteration():
    class Third(skorch_callbacks.Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 3:
                raise KeyboardInterrupt

    with pytest.warns(Warning, match="interrupted by user"):
        model = FFNNRegressor(**SMALL, callbacks=[Third()]).fit(X, y)
    expected = FFNNRegressor(**SMALL, max_iter=3).fit(X, y)
    assert_allclose(model.predict(X), expected.predict(X), rtol=1e-12)


def test_learns_classes_on_real_data():
    rows, labels = load_breast_cancer(return_X_y=True)
    model = FFNNClassifier((16,), solver="lbfgs", alpha=5.0, n_members=2, random_state=0)
    assert model.fit(rows[::2], labels[::2]).score(rows[1::2], labels[1::2]) > 0.95
