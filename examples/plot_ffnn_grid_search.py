"""
Nets for a table in a grid search
=================================

``FFNNRegressor`` beside boosting and scikit-learn's net on the strength of concrete, then in a
``GridSearchCV``, and ``FFNNClassifier`` on "is this mix strong?". The picture shows the loss
curves, the predictions with the spread of the ensemble, and how sure the classifier is.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score, train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ext import FFNNClassifier, FFNNRegressor
from sklearn_ext.datasets import load_concrete
from sklearn_ext.inspection import LossCurveDisplay

concrete = load_concrete()
X, X_test, y, y_test = train_test_split(concrete.data, concrete.target, random_state=0)

# %%
# One word is replaced. Scaling of columns and target is inside.

mlp = TransformedTargetRegressor(
    make_pipeline(StandardScaler(), MLPRegressor(max_iter=2000, random_state=0)),
    transformer=StandardScaler(),
)
net = FFNNRegressor(random_state=0)
models = {
    "MLPRegressor, scaled X and y": mlp,
    "HistGradientBoostingRegressor": HistGradientBoostingRegressor(random_state=0),
    "FFNNRegressor": net,
}
for name, model in models.items():
    print(f"{name:<44} R² {model.fit(X, y).score(X_test, y_test):.3f}")

search = GridSearchCV(FFNNRegressor(random_state=0), {"activation": ["gelu", "relu"]}, cv=3)
search.fit(X, y)
print(f"{'FFNNRegressor in GridSearchCV':<44} R² {search.score(X_test, y_test):.3f}")
print(f"chosen: {search.best_params_}; {net.n_parameters_:,} parameters")

# Most mixes were tested at several ages: these scores are of mixes that are known at another age.
mix_of = np.unique(concrete.data[:, :7], axis=0, return_inverse=True)[1].ravel()
on_new = cross_val_score(net, concrete.data, concrete.target, groups=mix_of, cv=GroupKFold(5))
print(f"{'FFNNRegressor, mixes that are new':<44} R² {on_new.mean():.3f}")

# %%
# The classifier says whether a mix reaches 40 MPa.

classifier = FFNNClassifier(random_state=0).fit(X, y > 40)
probability = classifier.predict_proba(X_test)
accuracy = classifier.score(X_test, y_test > 40)
loss = log_loss(y_test > 40, probability)
print(f"{'FFNNClassifier, more than 40 MPa':<44} accuracy {accuracy:.3f}, log-loss {loss:.3f}")

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
LossCurveDisplay.from_estimator(net, ax=left)
left.set(yscale="log", title="Training")

mean, std = net.predict(X_test, return_std=True)
middle.errorbar(y_test, mean, yerr=2 * std, fmt=".", alpha=0.5, elinewidth=0.8)
middle.plot([0, 85], [0, 85], color="black", linewidth=1)
middle.set(xlabel="measured MPa", ylabel="predicted MPa, ± 2 std of members", title="Regression")

order = np.argsort(y_test)
right.scatter(y_test[order], probability[order, 1], s=10)
right.axvline(40, color="black", linewidth=1)
right.set(xlabel="measured MPa", ylabel="probability of > 40 MPa", title="Classification")

figure.savefig("ffnn_grid_search.png", dpi=110)
