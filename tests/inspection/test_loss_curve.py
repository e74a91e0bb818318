"""The picture shows what the estimator holds."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression

from sklearn_ext import FFNNRegressor
from sklearn_ext.inspection import LossCurveDisplay

pyplot = pytest.importorskip("matplotlib.pyplot")
pytest.importorskip("torch")


def test_curves_are_those_of_the_estimator():
    X = np.random.default_rng(0).normal(size=(300, 3))
    model = FFNNRegressor(max_iter=3, random_state=0).fit(X, X[:, 0])
    _, ax = pyplot.subplots()
    display = LossCurveDisplay.from_estimator(model, ax=ax)
    assert display.ax_ is ax
    assert [list(line.get_ydata()) for line in display.lines_] == [
        model.loss_curve_,
        model.validation_loss_curve_,
    ]
    pyplot.close(ax.figure)


def test_bad_estimators():
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(FFNNRegressor())
    with pytest.raises(ValueError, match="LinearRegression has none"):
        LossCurveDisplay.from_estimator(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]))
