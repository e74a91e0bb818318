"""
Why powers of raw columns lose digits
=====================================

A polynomial of degree 20 in a column is harmless mathematics and hard arithmetic: its powers are
nearly the same direction. The condition number of the expanded table says how many digits a
least-squares solver loses to that. Orthogonal polynomials span the same functions and lose next to
none.
"""

# %%
# Condition numbers
# -----------------
# The same 4,000 points, expanded in raw powers, in powers of the standardised column, and in
# Legendre polynomials of the column mapped to [-1, 1].

import matplotlib.pyplot as plt
import numpy as np
from numpy.polynomial import legendre, polynomial
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from sklearn_ext import PolynomialRegressor

rng = np.random.default_rng(0)
temperature = rng.uniform(20, 30, 4000)
standardised = (temperature - temperature.mean()) / temperature.std()
mapped = (temperature - 25) / 5

degrees = np.arange(1, 21)
orthonormal = np.sqrt(2 * np.arange(21) + 1)
condition = {
    "raw powers": [np.linalg.cond(polynomial.polyvander(temperature, d)) for d in degrees],
    "powers behind StandardScaler": [
        np.linalg.cond(polynomial.polyvander(standardised, d)) for d in degrees
    ],
    "Legendre polynomials": [
        np.linalg.cond(legendre.legvander(mapped, d) * orthonormal[: d + 1]) for d in degrees
    ],
}
no_digit_left = 1 / np.finfo(float).eps  # beyond it the condition number itself is rounding
for name, values in condition.items():
    last = f"{values[-1]:.1e}" if values[-1] < no_digit_left else "no digit left"
    print(f"{name:<30} degree 5: {values[4]:.1e}   degree 20: {last}")

# %%
# What that does to a fit
# -----------------------
# A column of normal draws and a target without noise that IS a polynomial of the degree fitted, so
# that R² should be 1. scikit-learn drops the directions that it cannot tell apart, and does not
# say so.

x = rng.standard_normal(4000)
z = 2 * (x - x.min()) / (x.max() - x.min()) - 1
pipeline_r2, our_r2 = [], []
for degree in degrees:
    y = legendre.legval(z, rng.standard_normal(degree + 1))
    pipeline = make_pipeline(StandardScaler(), PolynomialFeatures(degree), LinearRegression())
    pipeline_r2.append(pipeline.fit(x[:, None], y).score(x[:, None], y))
    our_r2.append(PolynomialRegressor(degree).fit(x[:, None], y).score(x[:, None], y))
print(f"pipeline, smallest R²: {min(pipeline_r2):.3f} (degree {degrees[np.argmin(pipeline_r2)]})")
print(f"PolynomialRegressor:   1 - R² at most {1 - min(our_r2):.1e}")

# %%
# The picture
# -----------

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.3), layout="constrained")
for name, values in condition.items():
    left.semilogy(degrees, values, ".-", label=name)
left.axhline(no_digit_left, color="0.5", linestyle="--")
left.text(20, 1.5 * no_digit_left, "no digit left in float64", ha="right", color="0.35")
left.set(xlabel="degree", ylabel="condition number", ylim=(0.5, 1e18))
left.set_title("Same functions, other columns")
left.set_xticks([1, 5, 10, 15, 20])
left.legend(loc="upper right", bbox_to_anchor=(1, 0.84))

right.plot(degrees, pipeline_r2, ".-", label="scaler, PolynomialFeatures, LinearRegression")
right.plot(degrees, our_r2, ".-", label="PolynomialRegressor")
right.set(xlabel="degree", ylabel="R² on the training rows", ylim=(0, 1.05))
right.set_title("A target that is such a polynomial")
right.set_xticks([1, 5, 10, 15, 20])
right.legend(loc="lower left")
figure.savefig("polynomial_conditioning.png", dpi=120)
print("picture: polynomial_conditioning.png")
