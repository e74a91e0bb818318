"""
Underfitting, overfitting and the leave-one-out score
=====================================================

R² on the training rows never falls when the degree grows, so it cannot choose one. The
leave-one-out R² can: it is the R² of predicting each row by a model of all other rows, and
:class:`~sklearn_ext.linear_model.PolynomialRegressor` has it in closed form, without fitting again.
"""

# %%
# Forty noisy points of a curve
# -----------------------------

import matplotlib.pyplot as plt
import numpy as np

from sklearn_ext import PolynomialRegressor

rng = np.random.default_rng(2)


def curve(x):
    """Return the curve without noise."""
    return np.sin(3 * x) + 0.5 * x


x = np.sort(rng.uniform(-2, 2, 40))
y = curve(x) + rng.normal(scale=0.3, size=len(x))
new = np.linspace(x.min(), x.max(), 400)
y_new = curve(new) + rng.normal(scale=0.3, size=len(new))

# %%
# R² by degree
# ------------
# Training R² only grows; adjusted R² is charged for the terms; leave-one-out R² is highest where R²
# on new rows is, which a real analysis does not have. Beyond that it falls much faster: when one of
# the ends is left out, the polynomial is extrapolated to it.

degrees = range(1, 19)
models = [PolynomialRegressor(degree).fit(x[:, None], y) for degree in degrees]
training = [model.score(x[:, None], y) for model in models]
adjusted = [model.adjusted_r2(x[:, None], y) for model in models]
left_out = [model.loo_score_ for model in models]
on_new = [model.score(new[:, None], y_new) for model in models]

automatic = PolynomialRegressor("auto", max_degree=18).fit(x[:, None], y)
print("degree   training   adjusted   leave-one-out   new rows")
for row in zip(degrees, training, adjusted, left_out, on_new, strict=True):
    print("{:>6}   {:8.3f}   {:8.3f}   {:13.3f}   {:8.3f}".format(*row))
print(f'\ndegree="auto" takes degree {automatic.degree_}')

# %%
# The fits
# --------
# Degree 1 underfits, degree 18 overfits, and the automatic degree is between them.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
left.plot(degrees, training, ".-", label="training rows")
left.plot(degrees, adjusted, ".-", label="training rows, adjusted")
left.plot(degrees, left_out, ".-", label="leave-one-out")
left.plot(degrees, on_new, "k--", label="new rows")
left.axvline(automatic.degree_, color="0.7", zorder=0)
left.set(xlabel="degree", ylabel="R²", ylim=(-0.2, 1.05), title="Which degree?")
left.set_xticks([1, 5, 10, 15])
left.legend(loc="lower center")

right.plot(x, y, "k.", label="data")
for model, label in ((models[0], "1: underfit"), (models[-1], "18: overfit")):
    right.plot(new, model.predict(new[:, None]), linewidth=1, label=f"degree {label}")
lower, upper = automatic.predict_interval(new[:, None])
right.fill_between(new, lower, upper, alpha=0.2, color="C2", linewidth=0)
right.plot(
    new,
    automatic.predict(new[:, None]),
    color="C2",
    label=f"degree {automatic.degree_}, 95 % prediction interval",
)
right.set(xlabel="x", ylabel="y", ylim=(-3, 3), title="The fits")
right.legend(loc="upper left")
figure.savefig("degree_choice.png", dpi=120)
print("picture: degree_choice.png")
