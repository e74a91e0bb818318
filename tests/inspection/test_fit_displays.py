"""Pictures of a diagnosis and of a polynomial: what they draw is what was found."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor

from sklearn_ext import PolynomialRegressor
from sklearn_ext.inspection import FitDiagnosisDisplay, PolynomialFitDisplay, diagnose_fit

pyplot = pytest.importorskip("matplotlib.pyplot")

RNG = np.random.default_rng(0)
X = RNG.uniform(-3, 3, size=(100, 1))
Y = np.sin(2 * X[:, 0]) + 0.1 * RNG.normal(size=100)
REFERENCES = {"neighbours": KNeighborsRegressor(5)}


@pytest.fixture
def ax():
    figure, ax = pyplot.subplots()
    yield ax
    pyplot.close(figure)


@pytest.fixture(scope="module")
def diagnosis():
    return diagnose_fit(LinearRegression(), X, Y, references=REFERENCES, random_state=0)


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_diagnosis_draws_the_learning_curve_and_the_ceiling(ax, diagnosis):
    display = FitDiagnosisDisplay.from_diagnosis(diagnosis, ax=ax)
    assert (display.ax_, display.figure_) == (ax, ax.figure)
    training, new, ceiling, constant = display.lines_
    for line, curve in ((training, diagnosis.train_curve), (new, diagnosis.validation_curve)):
        assert_array_equal(line.get_xdata(), diagnosis.train_sizes)
        assert_allclose(line.get_ydata(), curve.mean(axis=1))
    assert_allclose(ceiling.get_ydata(), diagnosis.reference_scores["neighbours"].mean())
    assert_allclose(constant.get_ydata(), diagnosis.chance_score)
    assert legend_of(ax) == ["training rows", "new rows", "best: neighbours", "constant"]
    assert ax.get_title() == "LinearRegression: underfit"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Training rows", "R²")
    ax.figure.canvas.draw()


def test_bands_are_one_standard_deviation(ax, diagnosis):
    display = FitDiagnosisDisplay(diagnosis).plot(ax=ax)
    band = display.bands_[1].get_paths()[0].vertices
    curve = diagnosis.validation_curve
    top = curve.mean(axis=1) + curve.std(axis=1, ddof=1)
    assert_allclose(band[:, 1].max(), top.max())
    assert len(display.bands_) == 2


def test_constant_that_is_best_is_drawn_once(ax):
    noise = np.random.default_rng(1).normal(size=100)
    display = FitDiagnosisDisplay.from_estimator(
        Ridge(1e6), X, noise, references={"worse": KNeighborsRegressor(1)}, random_state=0, ax=ax
    )
    assert legend_of(ax) == ["training rows", "new rows", "best: constant"]
    assert display.ax_.get_title() == "Ridge: noise-limited"


def test_from_estimator_makes_a_figure_and_passes_options():
    display = FitDiagnosisDisplay.from_estimator(
        LinearRegression(), X, Y, references=REFERENCES, cv=3, random_state=0
    )
    assert display.diagnosis.train_scores.shape == (3,)
    pyplot.close(display.figure_)


def test_polynomial_draws_rows_curve_and_interval(ax):
    model = PolynomialRegressor("auto").fit(X, Y)
    display = PolynomialFitDisplay.from_estimator(model, X, Y, coverage=0.9, ax=ax)
    assert (display.ax_, display.figure_) == (ax, ax.figure)
    assert_allclose(display.points_.get_offsets(), np.column_stack([X[:, 0], Y]))
    grid, curve = display.line_.get_data()
    assert_allclose([grid[0], grid[-1], len(grid)], [X.min(), X.max(), 300])
    assert_allclose(curve, model.predict(grid[:, None]))
    lower, upper = model.predict_interval(grid[:, None], 0.9)
    edges = display.band_.get_paths()[0].vertices[:, 1]
    assert_allclose([edges.min(), edges.max()], [lower.min(), upper.max()])
    assert legend_of(ax) == ["data", f"degree {model.degree_}", "90% prediction interval"]
    assert ax.get_title() == f"leave-one-out R² {model.loo_score_:.3f}"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x", "y")
    ax.figure.canvas.draw()


@pytest.mark.parametrize("kind", [np.asarray, list])
def test_polynomial_of_a_frame_draws_rows_without_a_name(ax, kind):
    frame = pytest.importorskip("pandas").DataFrame({"speed": X[:, 0]})
    model = PolynomialRegressor(5).fit(frame, Y)
    display = PolynomialFitDisplay.from_estimator(model, kind(X), Y, ax=ax)
    expected = PolynomialFitDisplay.from_estimator(model, frame, Y)
    assert_array_equal(display.line_.get_ydata(), expected.line_.get_ydata())


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_polynomial_of_a_frame_names_its_column(ax, package):
    frame = pytest.importorskip(package).DataFrame({"speed": X[:, 0]})
    model = PolynomialRegressor(5).fit(frame, Y)
    display = PolynomialFitDisplay.from_estimator(model, frame, Y, ax=ax)
    assert ax.get_xlabel() == "speed"
    assert_allclose(
        display.line_.get_ydata(), PolynomialRegressor(5).fit(X, Y).predict(display.x[:, None])
    )


def test_polynomial_through_all_rows_has_no_interval(ax):
    model = PolynomialRegressor(3, compute_loo=False).fit(X[:4], Y[:4])
    display = PolynomialFitDisplay.from_estimator(model, X[:4], Y[:4], ax=ax)
    assert display.band_ is None
    assert legend_of(ax) == ["data", "degree 3"]
    assert ax.get_title() == ""


def test_polynomial_of_given_values():
    display = PolynomialFitDisplay([0.0, 1.0], [0.0, 1.0]).plot()
    assert legend_of(display.ax_) == ["polynomial"]
    assert display.points_ is None
    pyplot.close(display.figure_)


def test_polynomials_that_are_no_curve_are_refused():
    with pytest.raises(TypeError, match=r"a PolynomialRegressor, got LinearRegression. Of"):
        PolynomialFitDisplay.from_estimator(LinearRegression().fit(X, Y), X, Y)
    with pytest.raises(NotFittedError):
        PolynomialFitDisplay.from_estimator(PolynomialRegressor(), X, Y)
    plane = PolynomialRegressor(1).fit(np.hstack([X, X**2]), Y)
    with pytest.raises(ValueError, match="got 2 columns and 1 targets"):
        PolynomialFitDisplay.from_estimator(plane, X, Y)
