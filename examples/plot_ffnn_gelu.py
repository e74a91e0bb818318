"""
GELU, its tanh form and ReLU
============================

The Gaussian error linear unit weighs x by the probability that a standard normal number lies
below it: :func:`~sklearn_ext.activations.gelu` is x Φ(x). Many networks were trained with a
cheaper form made of a hyperbolic tangent. How far are the two apart, and what do both do that
ReLU does not?
"""

# %%
# The functions and their derivatives
# -----------------------------------

import matplotlib.pyplot as plt
import numpy as np

from sklearn_ext.activations import gelu, gelu_derivative, gelu_max_difference

x = np.linspace(-4, 4, 1601)
values = {"GELU": gelu(x), "tanh form": gelu(x, "tanh"), "ReLU": np.maximum(x, 0)}
slopes = {
    "GELU": gelu_derivative(x),
    "tanh form": gelu_derivative(x, "tanh"),
    # No derivative at 0; nan breaks the line there.
    "ReLU": np.where(x == 0, np.nan, np.heaviside(x, 0)),
}
lowest = x[values["GELU"].argmin()]
print(f"lowest value of GELU: {values['GELU'].min():.4f} at x = {lowest:.2f}")
print(f"range of its derivative: {slopes['GELU'].min():.4f} to {slopes['GELU'].max():.4f}")

# %%
# The largest difference of the two forms
# ---------------------------------------
# It is the same at x and -x, and smaller than 5e-4 everywhere: less than half precision can tell
# apart where the values are above 1.

difference = values["GELU"] - values["tanh form"]
largest, location = gelu_max_difference()
print(f"largest difference of the forms: {largest:.4e} at x = ±{location:.4f}")

# %%
# The picture
# -----------
# Both forms lie on one line, so the tanh form is dashed on top. ReLU has no gradient on the
# left; GELU has a small negative one, and overshoots 1 on the right.

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(14, 4.5), layout="constrained")
styles = {
    "GELU": {"color": "C0", "linewidth": 3.5, "alpha": 0.6},
    "tanh form": {"color": "C1", "linestyle": "--"},
    "ReLU": {"color": "0.3", "linewidth": 1},
}
for name, style in styles.items():
    left.plot(x, values[name], label=name, **style)
    middle.plot(x, slopes[name], label=name, **style)
left.set(xlabel="x", ylabel="value", xlim=(-4, 3), ylim=(-0.4, 3), title="The functions")
middle.set(xlabel="x", ylabel="derivative", xlim=(-4, 4), title="Their derivatives")
for axes in (left, middle):
    axes.axhline(0, color="0.85", linewidth=1, zorder=0)
    axes.legend(loc="upper left")

right.plot(x, 1e4 * difference, color="C2")
right.axhline(0, color="0.85", linewidth=1, zorder=0)
signed = 1e4 * (gelu(location) - gelu(location, "tanh"))
right.plot([-location, location], [signed, signed], "ko", markersize=5)
right.annotate(
    f"{largest:.3e}\nat x = ±{location:.3f}",
    (location, signed),
    xytext=(0, 0.75 * signed),
    ha="center",
    va="center",
    arrowprops={"arrowstyle": "-", "color": "0.5", "shrinkB": 5},
)
right.set(
    xlabel="x", ylabel="10⁴ · (GELU - tanh form)", xlim=(-4, 4), title="Difference of the forms"
)
figure.savefig("ffnn_gelu.png", dpi=120)
print("picture: ffnn_gelu.png")
