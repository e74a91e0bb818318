"""
Adapting a net to a shifted task
================================

A net knows the strength of concrete after up to 28 days. How strong is old concrete? There are 50
measurements. ``LoRAAdapter`` adapts the net to them by matrices of low rank, and the base stays as
it is. The picture shows error and trained share by rank.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import GridSearchCV, train_test_split

from sklearn_ext import FFNNRegressor, LoRAAdapter
from sklearn_ext.datasets import load_concrete

concrete = load_concrete()
age = concrete.data[:, concrete.feature_names.index("age")]
young, old = age <= 28, age > 28
base = FFNNRegressor(n_members=4, random_state=0).fit(concrete.data[young], concrete.target[young])
X, X_test, y, y_test = train_test_split(
    concrete.data[old], concrete.target[old], train_size=50, random_state=0
)


def error(model):
    """Mean absolute error on old concrete, in MPa."""
    return mean_absolute_error(y_test, model.predict(X_test))


before = error(base)
scratch = error(FFNNRegressor(n_members=4, random_state=0).fit(X, y))
print(f"the base as it is     {before:.2f} MPa")
print(f"a new net on 50 rows  {scratch:.2f} MPa")

# %%
# The base is given once and shared by all adapters.

ranks = [1, 2, 4, 8, 16]
adapters = [LoRAAdapter.from_fitted(base, r=r, random_state=0).fit(X, y) for r in ranks]
errors = [error(adapter) for adapter in adapters]
shares = [adapter.trainable_fraction_ for adapter in adapters]
for r, value, share in zip(ranks, errors, shares, strict=True):
    print(f"rank {r:<2}               {value:.2f} MPa, {share:.1%} of the parameters trained")
assert error(base) == before  # nothing happened to it

search = GridSearchCV(
    LoRAAdapter.from_fitted(base, random_state=0),
    {"r": [2, 8], "learning_rate_init": [0.002, 0.004, 0.008]},
    scoring="neg_mean_absolute_error",
    cv=5,
).fit(X, y)
print(f"chosen by search      {error(search):.2f} MPa, {search.best_params_}")

# %%
# A merged adapter is a plain net again.

best = search.best_estimator_
assert np.allclose(best.merge().predict(X_test), best.predict(X_test))

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
left.plot(ranks, errors, "o-", label="adapted")
left.axhline(before, color="black", linestyle="--", label="base")
left.axhline(scratch, color="gray", linestyle=":", label="new net on 50 rows")
left.set_xscale("log", base=2)
left.set(xlabel="rank", ylabel="mean absolute error, MPa", title="Concrete older than 28 days")
left.legend()
right.bar([str(r) for r in ranks], [100 * share for share in shares])
right.set(xlabel="rank", ylabel="% of parameters", title="Trained share")
figure.savefig("lora_rank.png", dpi=110)
