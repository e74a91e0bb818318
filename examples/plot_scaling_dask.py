"""
Fitting a dask array where it lies
==================================

A polynomial of rows on a cluster needs one pass: each partition is reduced to a small triangular
matrix, and only these travel. Neither the expanded table nor the rows ever come together in one
place, and the result is that of a fit in memory. Here the partitions are worked through in this
process; with a ``distributed.Client`` the same two lines run on its workers.
"""

# %%
# One array, cut in different ways
# --------------------------------

import dask
import dask.array as da
import matplotlib.pyplot as plt
import numpy as np

from sklearn_ext import PolynomialRegressor

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, (200_000, 5))
y = X[:, 0] - 2 * X[:, 1] * X[:, 2] + 0.5 * X[:, 3] ** 3 + rng.normal(scale=0.1, size=len(X))
in_memory = PolynomialRegressor(degree=3, solver="qr").fit(X, y)

partitions = [2, 5, 10, 20, 50, 100]
differences = []
with dask.config.set(scheduler="synchronous"):
    for n in partitions:
        rows = da.from_array(X, chunks=(len(X) // n, 5))
        targets = da.from_array(y, chunks=len(y) // n)
        model = PolynomialRegressor(degree=3, solver="qr").fit(rows, targets)
        # Predictions are lazy: nothing is computed before it is asked for.
        predicted = model.predict(rows)
        differences.append(float(abs(predicted.compute() - in_memory.predict(X)).max()))
print(f"largest difference of a prediction: {max(differences):.1e}, R² {model.score(X, y):.4f}")

# %%
# What is held and what travels
# -----------------------------
# The table that ``PolynomialFeatures`` makes grows with the rows. The triangle of a partition does
# not: it has one row and one column for each term and for y.

n_columns = model.n_terms_ + 2  # the constant and y
triangle = 8 * n_columns**2
n_rows = np.logspace(4, 9, 6)
expanded = 8 * n_rows * (model.n_terms_ + 1)
print(f"{model.n_terms_} terms: {triangle / 1024:.0f} KiB from each partition")
print(f"the expanded table of 1e9 rows: {expanded[-1] / 1e9:.0f} GB")

# %%
# The picture
# -----------

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
left.loglog(n_rows, expanded, ".-", label="expanded table")
left.loglog(n_rows, np.full(len(n_rows), triangle), ".-", label="one triangle")
left.loglog(n_rows, 8 * 6 * n_rows, "k:", label="the rows themselves")
left.set(xlabel="rows", ylabel="bytes", title="Degree 3 in five columns, by formula")
left.legend()

right.loglog(partitions, differences, "o-")
right.set(xlabel="partitions", ylabel="largest difference of a prediction", ylim=(1e-17, 1e-10))
right.set_title("Partitioned against in memory, measured")
figure.savefig("scaling_dask.png", dpi=120)
print("picture: scaling_dask.png")
