"""The picture shows what the estimator holds."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression

from sklearn_ext import FFNNRegressor, LoRAAdapter
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
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Epoch", "Loss")
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["FFNNRegressor, training loss", "FFNNRegressor, validation loss"]
    assert list(display.lines_[0].get_xdata()) == [1, 2, 3]
    LossCurveDisplay.from_estimator(model, ax=ax, name="other")  # is told from the first
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend[2:] == ["other, training loss", "other, validation loss"]
    pyplot.close(ax.figure)


def test_an_adapter_has_both_curves():
    X = np.random.default_rng(0).normal(size=(100, 3))
    base = FFNNRegressor(max_iter=2, random_state=0).fit(X, X[:, 0])
    adapter = LoRAAdapter.from_fitted(base, max_iter=3, early_stopping=True).fit(X, X[:, 1])
    display = LossCurveDisplay.from_estimator(adapter)
    assert [list(line.get_ydata()) for line in display.lines_] == [
        adapter.loss_curve_,
        adapter.estimator_.validation_loss_curve_,
    ]
    pyplot.close(display.figure_)


def test_training_loss_alone_in_a_new_figure():
    display = LossCurveDisplay([1.0, 0.5], estimator_name="net").plot()
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["net, training loss"]
    assert display.figure_ is display.ax_.figure
    pyplot.close(display.figure_)


def test_bad_estimators():
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(FFNNRegressor())
    with pytest.raises(ValueError, match=r"LinearRegression has none. Of a pipeline, pass"):
        LossCurveDisplay.from_estimator(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]))
