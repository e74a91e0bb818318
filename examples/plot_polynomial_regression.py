"""
Polynomial regression that chooses its own degree
=================================================

The strength of concrete depends on its age and its mix, and not along straight lines. This
example fits 1030 real tests three ways: a straight line, the usual pipeline of
:class:`~sklearn.preprocessing.PolynomialFeatures`, and
:class:`~sklearn_ext.linear_model.PolynomialRegressor`, which takes degree and penalty from exact
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
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from sklearn_ext import PolynomialRegressor
from sklearn_ext.datasets import load_concrete

concrete = load_concrete()
X, y, names = concrete.data, concrete.target, concrete.feature_names
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=0)


def fit_and_report(name, model):
    """Fit, and print R² on rows that the model has not seen."""
    start = time.perf_counter()
    model.fit(X_train, y_train)
    seconds = time.perf_counter() - start
    print(f"{name:<58} R² {model.score(X_test, y_test):.3f}   {seconds:6.2f} s")
    return model


print("Concrete strength, 772 rows to fit and 258 to test:\n")
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
# It is a scikit-learn estimator: pipelines and grid searches work as always. The columns' ranges
# are given here, so that all folds agree on what lies inside.

ranges = np.column_stack([X.min(axis=0), X.max(axis=0)])
search = GridSearchCV(
    make_pipeline(SimpleImputer(), PolynomialRegressor(alpha="auto", bounds=ranges)),
    {"polynomialregressor__degree": [2, 3, 4], "polynomialregressor__truncation": [0.75, 1.0]},
)
fit_and_report("the same in a Pipeline and GridSearchCV", search)

# %%
# What the first of the two chose:

print(
    f"\nchosen: degree {model.degree_}, alpha {model.alpha_:.3g}, {model.n_terms_} terms; "
    f"leave-one-out R² {model.loo_score_:.3f}, training R² {model.score(X_train, y_train):.3f}, "
    f"adjusted {model.adjusted_r2(X_train, y_train):.3f}"
)

# %%
# Mixes that are new
# ------------------
# Most mixes were tested at several ages, so that random test rows are mostly of mixes that the
# training rows hold too. Folds of whole mixes tell how well unknown ones are predicted.

mixes, mix_of = np.unique(X[:, :7], axis=0, return_inverse=True)
mix_of = mix_of.ravel()
on_new = cross_val_score(
    PolynomialRegressor(degree="auto", alpha="auto"), X, y, groups=mix_of, cv=GroupKFold(5)
)
print(f"\n{'PolynomialRegressor, mixes that are new':<58} R² {on_new.mean():.3f}")

# %%
# Reading the model
# -----------------
# How much of the variance each column carries, alone and with its interactions, and the formula
# of a small polynomial in three of them.

indices = model.sobol_indices_.total_order
strongest = np.argsort(indices)[::-1]
print("\nshare of the model's variance with all interactions (total Sobol index):")
for j in strongest[:4]:
    print(f"  {names[j]:<18} {indices[j]:.2f}")

three = [names.index(name) for name in ("cement", "water", "age")]
small = PolynomialRegressor(degree=2).fit(X_train[:, three], y_train)
print(f"\n{small.formula(precision=3, input_features=[names[j] for j in three])}")
print(f"  with R² {small.score(X_test[:, three], y_test):.3f} from three columns")

# %%
# A picture with prediction intervals
# -----------------------------------
# Left: two mixes that were tested at many ages, with the band that should hold 95 % of new tests.
# Right: predicted against measured strength on the test rows.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
n_ages = [len(np.unique(X[mix_of == i, 7])) for i in range(len(mixes))]
ages = np.linspace(1, 100, 200)
for color, i in zip(("C0", "C1"), np.argsort(n_ages, kind="stable")[[-1, -4]], strict=True):
    rows = np.column_stack([np.tile(mixes[i], (len(ages), 1)), ages])
    lower, upper = model.predict_interval(rows, confidence_level=0.95)
    label = f"{mixes[i, 0]:.0f} kg cement, {mixes[i, 3]:.0f} kg water"
    left.fill_between(ages, lower, upper, alpha=0.2, color=color, linewidth=0)
    left.plot(ages, model.predict(rows), color=color, label=label)
    shown = (mix_of == i) & (X[:, 7] <= 100)
    left.plot(X[shown, 7], y[shown], "o", color=color)
left.set(xlabel="age (days)", ylabel="strength (MPa)", ylim=(0, 75))
left.set_title(f"Two mixes over time: degree {model.degree_}, 95 % prediction intervals")
left.legend(loc="lower right")

right.plot([0, 85], [0, 85], color="0.6", linewidth=1)
right.plot(y_test, model.predict(X_test), ".", alpha=0.7)
right.set(xlabel="measured strength (MPa)", ylabel="predicted strength (MPa)")
right.set_title(f"258 test rows, R² = {model.score(X_test, y_test):.3f}")
figure.savefig("polynomial_regression.png", dpi=120)
print("\npicture: polynomial_regression.png")
