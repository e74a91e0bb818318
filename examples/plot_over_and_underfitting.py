"""
R² and the two ways to fail
===========================

A low R² on new rows has three causes that call for opposite cures: the model is too stiff, it is
too free, or the target is mostly noise. :func:`~sklearn_ext.inspection.diagnose_fit` tells them
apart by cross-validating the model side by side with models of other kinds.
"""

# %%
# Four fits
# ---------
# The same curve four times: a straight line, a polynomial of the degree that leave-one-out scores
# choose, one of degree 22 on fewer rows with twice the noise, and the chosen one again in five
# times the noise.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_ext import PolynomialRegressor
from sklearn_ext.inspection import FitDiagnosisDisplay, PolynomialFitDisplay, diagnose_fit


def rows(n_samples, noise):
    """Draw rows of a sine with noise."""
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(-3, 3, n_samples))
    return x[:, None], np.sin(x) + noise * rng.normal(size=n_samples)


automatic = PolynomialRegressor("auto", alpha="auto")
wild = PolynomialRegressor(22, extrapolation="linear")
fits = {
    "a straight line": (PolynomialRegressor(1, extrapolation="linear"), *rows(150, 0.3)),
    "automatic degree": (automatic, *rows(150, 0.3)),
    "degree 22, fewer rows": (wild, *rows(100, 0.6)),
    "5 x the noise": (automatic, *rows(150, 1.5)),
}
diagnoses = {
    name: diagnose_fit(model, X, y, random_state=0) for name, (model, X, y) in fits.items()
}

# %%
# The verdicts
# ------------
# Each comes with its evidence and with what to try next.

for name, diagnosis in diagnoses.items():
    print(f"--- {name}\n{diagnosis}\n")

# %%
# The pictures
# ------------
# Above the fits; below R² by the number of training rows. What is missing between the curve of the
# training rows and the best model (dashed) is bias, the gap of both curves is variance.

figure, axes = plt.subplots(2, 4, figsize=(16, 7.5), layout="constrained")
for (name, (model, X, y)), (top, bottom) in zip(fits.items(), axes.T, strict=True):
    PolynomialFitDisplay.from_estimator(model.fit(X, y), X, y, ax=top)
    top.set_title(f"{name}: {diagnoses[name].verdict}")
    FitDiagnosisDisplay.from_diagnosis(diagnoses[name], ax=bottom)
    bottom.set(title=f"R² of new rows {diagnoses[name].validation_scores.mean():.2f}")
    bottom.set_ylim(-0.5, 1.05)
    for ax in (top, bottom):
        ax.legend(fontsize="small", loc="best")
figure.savefig("over_and_underfitting.png", dpi=100)
print("picture: over_and_underfitting.png")
