"""
Adapting a net to a shifted task
================================

A net knows the strength of concrete after up to 28 days. How strong is old concrete? There are 50
measurements. ``LoRAAdapter`` adapts the net to them by matrices of low rank, and the base stays as
it is. The picture shows error and trained share by rank, with the mean and the spread over five
choices of the 50 measurements.
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
splits = [
    train_test_split(concrete.data[old], concrete.target[old], train_size=50, random_state=seed)
    for seed in range(5)
]


def errors(make):
    """Mean absolute errors on the other old concrete, in MPa, of what is made of 50 rows."""
    return [
        mean_absolute_error(y_test, make(X, y).predict(X_test)) for X, X_test, y, y_test in splits
    ]


before = errors(lambda X, y: base)
scratch = errors(lambda X, y: FFNNRegressor(n_members=4, random_state=0).fit(X, y))
print(f"the base as it is     {np.mean(before):.2f} MPa")
print(f"a new net on 50 rows  {np.mean(scratch):.2f} MPa")

# %%
# The base is given once and shared by all adapters.

ranks = [1, 2, 4, 8, 16]
adapted = [
    errors(lambda X, y, r=r: LoRAAdapter.from_fitted(base, r=r, random_state=0).fit(X, y))
    for r in ranks
]
X, X_test, y, y_test = splits[0]
shares = [
    LoRAAdapter.from_fitted(base, r=r, max_iter=1).fit(X, y).trainable_fraction_ for r in ranks
]
for r, values, share in zip(ranks, adapted, shares, strict=True):
    print(f"rank {r:<2}               {np.mean(values):.2f} MPa, {share:.1%} of parameters trained")
assert errors(lambda X, y: base) == before  # nothing happened to it

search = GridSearchCV(
    LoRAAdapter.from_fitted(base, random_state=0),
    {"r": [2, 8], "learning_rate_init": [0.004, 0.008, 0.016]},
    scoring="neg_mean_absolute_error",
    cv=5,
).fit(X, y)
chosen = mean_absolute_error(y_test, search.predict(X_test))
print(f"chosen by search      {chosen:.2f} MPa on the first choice, {search.best_params_}")

# %%
# A merged adapter is a plain net again.

best = search.best_estimator_
assert np.allclose(best.merge().predict(X_test), best.predict(X_test))

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
left.errorbar(ranks, np.mean(adapted, axis=1), np.std(adapted, axis=1), fmt="o-", label="adapted")
left.axhline(np.mean(before), color="black", linestyle="--", label="base")
left.axhline(np.mean(scratch), color="gray", linestyle=":", label="new net on 50 rows")
left.set_xscale("log", base=2)
left.set_xticks(ranks, [str(r) for r in ranks])
left.minorticks_off()
left.set(xlabel="rank", ylabel="mean absolute error, MPa", title="Concrete older than 28 days")
left.legend()
right.bar([str(r) for r in ranks], [100 * share for share in shares])
right.set(xlabel="rank", ylabel="% of parameters", title="Trained share")
figure.savefig("lora_rank.png", dpi=110)
