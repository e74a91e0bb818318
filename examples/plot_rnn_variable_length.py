"""
Sequences of different lengths
==============================

The dark pixels of scikit-learn's images of digits, read row by row, are sequences of 13 to 32 steps
with three channels: row, column and darkness. ``RNNClassifier`` takes them as they are. A grid
search chooses cell and pooling, the pooled states feed another estimator, and a stream tells what
it thinks of the digit while it is being read.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline

from sklearn_ext import RNNClassifier

images, digits = load_digits(return_X_y=True)


def runs(image):
    """Row, column and darkness of each dark pixel, in reading order."""
    rows, columns = np.nonzero(image > 6)
    return np.c_[rows, columns, image[rows, columns]].astype(np.float32)


sequences = [runs(image) for image in images.reshape(-1, 8, 8)]
lengths = [len(steps) for steps in sequences]
print(f"{len(sequences)} sequences of {min(lengths)} to {max(lengths)} steps")
X, X_test, y, y_test = train_test_split(sequences, digits, train_size=600, random_state=0)

# %%
# Lists of arrays go through scikit-learn's tools.

search = GridSearchCV(
    RNNClassifier(max_iter=20, n_members=1, random_state=0),
    {"cell": ["mingru", "lstm"], "pooling": ["last", ("mean", "max", "attention")]},
    cv=2,
).fit(X, y)
for parameters, score in zip(
    search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
):
    print(f"{score:.3f} {parameters}")
model = RNNClassifier(random_state=0, **search.best_params_).fit(X, y)
print(f"accuracy {model.score(X_test, y_test):.3f}")

# Frozen, the net stays what it is; a pipeline would fit it again.
states = FrozenEstimator(model)
pooled = make_pipeline(states, LogisticRegression(max_iter=2000)).fit(X[:200], y[:200])
print(f"logistic regression on its states: {pooled.score(X_test, y_test):.3f}")

# %%
# A net that walks ahead only can be asked at any time.

ahead = RNNClassifier(bidirectional=False, random_state=0).fit(X, y)
print(f"one direction: {ahead.score(X_test, y_test):.3f}")
# The longest digit that it tells in the end.
right_ones = np.flatnonzero(ahead.predict(X_test) == y_test)
chosen = max(right_ones, key=lambda i: len(X_test[i]))
stream, history = ahead.stream(), []
for step in X_test[chosen]:
    history.append(stream.update(step[None, None]).predict_proba()[0])

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(14, 4.5), layout="constrained")
left.hist(lengths, bins=range(min(lengths), max(lengths) + 2))
left.set(title="Lengths of the sequences", xlabel="Steps", ylabel="Number")
points = PCA(2).fit_transform(model.transform(X_test))
dots = middle.scatter(*points.T, c=y_test, cmap="tab10", s=6)
figure.colorbar(dots, ax=middle, label="Digit")
middle.set(title="Pooled states of new digits", xlabel="Component 1", ylabel="Component 2")
for digit in np.argsort(np.max(history, axis=0))[-4:]:
    right.plot(np.array(history)[:, digit], label=f"{digit}")
right.set(title=f"A {y_test[chosen]} being read", xlabel="Step", ylabel="Probability")
right.legend(title="Digit")
figure.savefig("rnn_variable_length.png")
