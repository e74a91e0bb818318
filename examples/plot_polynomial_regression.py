"""
Polynomial regression that chooses its own degree
=================================================

The strength of concrete depends on its age and its mix, and not along straight lines. This
example fits 1030 real mixes three ways: a straight line, the usual pipeline of
:class:`~sklearn.preprocessing.PolynomialFeatures`, and
:class:`~sklearn_ext.PolynomialRegressor`, which takes degree and penalty from exact
leave-one-out scores without a single refit. Then it reads the model: a formula, the columns that
matter, and a picture with prediction intervals.
"""

# %%
# The data, and what is usually done
# ----------------------------------
# The usual pipeline needs a grid search over degree and penalty.

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from sklearn_ext import PolynomialRegressor
from sklearn_ext.datasets import load_concrete

concrete = load_concrete()
X_train, X_test, y_train, y_test = train_test_split(
    concrete.data, concrete.target, test_size=0.25, random_state=0
)


def fit_and_report(name, model):
    """Fit, and print R² on rows that the model has not seen."""
    start = time.perf_counter()
    model.fit(X_train, y_train)
    seconds = time.perf_counter() - start
    print(f"{name:<58} R² {model.score(X_test, y_test):.3f}   {seconds:6.2f} s")
    return model


print("Concrete strength, 772 mixes to fit and 258 to test:\n")
fit_and_report("straight line (LinearRegression)", LinearRegression())
pipeline = make_pipeline(StandardScaler(), PolynomialFeatures(include_bias=False), Ridge())
grid = {"polynomialfeatures__degree": [1, 2, 3], "ridge__alpha": np.logspace(-3, 3, 7)}
fit_and_report("PolynomialFeatures + Ridge, grid search", GridSearchCV(pipeline, grid))

# %%
# The degree and the penalty in closed form
# -----------------------------------------
# One fit: every degree and every penalty is scored by leaving each row out in turn, computed
# from one factorisation.

model = fit_and_report(
    "PolynomialRegressor(degree='auto', alpha='auto')",
    PolynomialRegressor(degree="auto", alpha="auto"),
)

# %%
# It is a scikit-learn estimator: pipelines and grid searches work as always.

search = GridSearchCV(
    make_pipeline(StandardScaler(), PolynomialRegressor(alpha="auto")),
    {"polynomialregressor__degree": [2, 3, 4], "polynomialregressor__truncation": [0.75, 1.0]},
)
fit_and_report("the same in a Pipeline and GridSearchCV", search)

print(
    f"\nchosen: degree {model.degree_}, alpha {model.alpha_:.3g}, {model.n_terms_} terms; "
    f"leave-one-out R² {model.loo_score_:.3f}, training R² {model.score(X_train, y_train):.3f}, "
    f"adjusted {model.adjusted_r2(X_train, y_train):.3f}"
)

# %%
# Reading the model
# -----------------
# How much of the variance each column carries, alone and with its interactions, and the formula
# of the polynomial of degree 2 in the two strongest columns.

indices = model.sobol_indices_.total_order
strongest = np.argsort(indices)[::-1]
print("\nshare of the model's variance with all interactions (total Sobol index):")
for j in strongest[:4]:
    print(f"  {concrete.feature_names[j]:<18} {indices[j]:.2f}")

pair = sorted(strongest[:2])
small = PolynomialRegressor(degree=2).fit(X_train[:, pair], y_train)
names = [concrete.feature_names[j] for j in pair]
print(f"\n{small.formula(precision=3, input_features=names)}")
print(f"  with R² {small.score(X_test[:, pair], y_test):.3f} from two columns")

# %%
# A picture with prediction intervals
# -----------------------------------
# Left: the mix that was tested at most ages, fitted with all others; the band holds 95 % of new
# tests. Right: predicted against measured strength on the test rows.

mixes, counts = np.unique(concrete.data[:, :7], axis=0, return_counts=True)
mix = mixes[np.argmax(counts)]
tested = (concrete.data[:, :7] == mix).all(axis=1)
ages = np.linspace(1, 120, 200)
rows = np.column_stack([np.tile(mix, (len(ages), 1)), ages])
lower, upper = model.predict_interval(rows, confidence_level=0.95)

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
left.fill_between(ages, lower, upper, alpha=0.25, label="95 % prediction interval")
left.plot(ages, model.predict(rows), label=f"polynomial of degree {model.degree_}")
left.plot(concrete.data[tested, 7], concrete.target[tested], "k.", label="tests of this mix")
left.set(xlabel="age (days)", ylabel="strength (MPa)", title="One mix over time")
left.legend(loc="lower right")

right.plot([0, 85], [0, 85], color="0.6", linewidth=1)
right.plot(y_test, model.predict(X_test), ".", alpha=0.7)
right.set(
    xlabel="measured strength (MPa)",
    ylabel="predicted strength (MPa)",
    title=f"258 test mixes, R² = {model.score(X_test, y_test):.3f}",
)
figure.savefig("polynomial_regression.png", dpi=120)
print("\npicture: polynomial_regression.png")
