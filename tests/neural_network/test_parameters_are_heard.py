"""No parameter of a net is accepted and ignored."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("skorch")

from sklearn_ext import FFNNRegressor

# What is set besides, and what is changed.
CHANGES = [
    ({}, {"activation": "relu"}),
    ({}, {"alpha": 1.0}),
    ({}, {"batch_size": 20}),
    ({}, {"beta_1": 0.5}),
    ({}, {"beta_2": 0.5}),
    ({}, {"dropout": 0.5}),
    ({}, {"epsilon": 1e-2}),
    ({}, {"learning_rate": "constant"}),
    ({}, {"learning_rate_init": 0.02}),
    ({}, {"max_grad_norm": 1e-9}),
    ({}, {"max_iter": 4}),
    ({}, {"n_bins": 2}),
    ({}, {"n_frequencies": 2}),
    ({}, {"n_members": 3}),
    ({}, {"random_state": 1}),
    ({}, {"shuffle": False}),
    ({}, {"solver": "lbfgs"}),
    ({}, {"warmup_fraction": 0.5}),
    ({"early_stopping": True}, {"blend_linear": True}),
    ({"early_stopping": True}, {"validation_fraction": 0.5}),
    ({"early_stopping": True, "learning_rate_init": 0.3, "max_iter": 30}, {"n_iter_no_change": 1}),
    ({"learning_rate": "invscaling", "solver": "sgd"}, {"power_t": 0.1}),
    ({"loss": "huber"}, {"huber_delta": 0.01}),
    ({"loss": "quantile"}, {"quantile": 0.9}),
    ({"solver": "sgd"}, {"momentum": 0.5}),
    ({"solver": "sgd"}, {"nesterovs_momentum": False}),
]


@pytest.mark.parametrize(("besides", "change"), CHANGES, ids=lambda change: "-".join(change))
def test_each_parameter_changes_the_predictions(besides, change):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3))
    y = X[:, 0] + np.abs(X[:, 1]) + 0.1 * rng.normal(size=80)
    plain = {"n_members": 2, "max_iter": 3, "batch_size": 40, "blend_linear": False}
    settings = {**plain, "random_state": 0, **besides}
    net = FFNNRegressor((8,), **settings).fit(X, y)
    other = FFNNRegressor((8,), **settings | change).fit(X, y)
    assert np.abs(net.predict(X) - other.predict(X)).max() > 1e-6
