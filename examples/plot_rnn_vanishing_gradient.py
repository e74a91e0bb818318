"""
Which recurrent nets remember, and why
======================================

In the adding problem a net has to sum two marked numbers of a long sequence. What it learns depends
on how far the gradient of the loss reaches back in time. The left panel shows that for the first
weights of four cells, the middle one what the start of the weights, a forget bias and pooling each
change, the right one how the cells then learn when the last state alone is read.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_ext import RNNRegressor
from sklearn_ext.datasets import make_adding_problem
from sklearn_ext.inspection import GradientFlowDisplay, gradient_flow

N_TIMESTEPS = 200
X, y = make_adding_problem(1000, N_TIMESTEPS, random_state=0)
X_test, y_test = make_adding_problem(300, N_TIMESTEPS, random_state=1)
X, X_test = X.astype(np.float32), X_test.astype(np.float32)

# Nothing but the recurrence may carry the numbers: one direction, its last state, no convolutions.
last_state = {
    "bidirectional": False,
    "pooling": "last",
    "stem_channels": 0,
    "hidden_size": 32,
    "n_members": 1,
    "batch_size": 32,
    "random_state": 0,
}

# %%
# Before training: an e-folding length of a fifth of the sequence or more is healthy.

cells = {
    "tanh RNN": RNNRegressor(cell="rnn", **last_state),
    "LSTM": RNNRegressor(cell="lstm", **last_state),
    "GRU": RNNRegressor(cell="gru", **last_state),
    "minGRU": RNNRegressor(cell="mingru", **last_state),
}
start_of_torch = {"recurrent_init": "uniform", "gate_bias": 0.0}
changes = {
    "LSTM, start of torch": RNNRegressor(cell="lstm", **last_state, **start_of_torch),
    "orthogonal weights": RNNRegressor(cell="lstm", **last_state, gate_bias=0.0),
    "and forget bias 1": RNNRegressor(cell="lstm", **last_state, gate_bias=1.0),
    "start of torch, mean pooling": RNNRegressor(
        cell="lstm", **{**last_state, "pooling": "mean"}, **start_of_torch
    ),
}
for name, model in {**cells, **changes}.items():
    print(f"{name:<30} {gradient_flow(model, X[:50], y[:50], initial=True).verdict}")

# %%
# After training. Clipping (``max_grad_norm``) bounds a gradient that explodes; no clipping brings
# back one that has vanished.

for name in ("tanh RNN", "minGRU"):
    model = cells[name].set_params(max_iter=25).fit(X, y)
    error = np.mean((model.predict(X_test) - y_test) ** 2)
    print(f"{name:<30} squared error {error:.3f}, always 1: {np.mean((1 - y_test) ** 2):.3f}")

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(14, 4.5), layout="constrained")
for axes, models, title in (
    (left, cells, "Four cells, first weights"),
    (middle, changes, "What changes the LSTM"),
):
    GradientFlowDisplay.from_estimator(models, X[:50], y[:50], initial=True, relative=True, ax=axes)
    axes.set(title=title, ylim=(1e-12, 1e2), ylabel="Gradient by the state, relative")
    axes.legend(fontsize="small")
for name in ("tanh RNN", "minGRU"):
    right.plot(cells[name].loss_curve_, label=name)
right.set(title="Learning by the last state", xlabel="Epoch", ylabel="Training loss", ylim=(0, 1.2))
right.legend()
figure.savefig("rnn_vanishing_gradient.png")
