"""
GELU, its approximation and ReLU
================================

The Gaussian error linear unit x Φ(x), its form by a hyperbolic tangent, ReLU, their derivatives,
and the difference of both forms, which is 4.7e-4 at the most.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_ext.activations import gelu, gelu_derivative, gelu_max_difference

x = np.linspace(-5, 5, 1001)
value, location = gelu_max_difference()
print(f"largest difference of both forms: {value:.3e} at x = ±{location:.3f}")

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
left.plot(x, gelu(x), label="GELU, exact")
left.plot(x, gelu(x, approximate="tanh"), "--", label="GELU, tanh form")
left.plot(x, np.maximum(x, 0), ":", color="black", label="ReLU")
left.set(title="Activation", xlabel="x", xlim=(-4, 3), ylim=(-0.5, 3))
left.legend()

middle.plot(x, gelu_derivative(x))
middle.plot(x, gelu_derivative(x, approximate="tanh"), "--")
middle.plot(x, (x > 0).astype(float), ":", color="black")
middle.set(title="Derivative", xlabel="x", xlim=(-4, 4))

right.plot(x, gelu(x, approximate="tanh") - gelu(x), color="tab:red")
peak = float(gelu(location, approximate="tanh") - gelu(location))
right.plot([-location, location], [peak, peak], "o", color="black")
right.annotate(f"{value:.2e}\nat x = ±{location:.2f}", (location, peak), (-1.6, peak * 0.75))
right.set(title="tanh form - exact form", xlabel="x")

figure.savefig("ffnn_gelu.png", dpi=120)
