"""Picture of a polynomial of one column with its interval."""

import numpy as np

from sklearn_ext._optional import import_optional
from sklearn_ext._validation import check_is_fitted, is_arrow_table

__all__ = ["PolynomialFitDisplay"]


class PolynomialFitDisplay:
    """Rows, the fitted polynomial of one column, and the interval of its predictions.

    Use :meth:`from_estimator` to make one of a fitted estimator.

    Parameters
    ----------
    x : ndarray of shape (n_points,)
        Values of the column, ascending.
    prediction : ndarray of shape (n_points,)
        Values of the polynomial.
    lower : ndarray of shape (n_points,) or None, default=None
        Lower ends of the interval.
    upper : ndarray of shape (n_points,) or None, default=None
        Upper ends.
    X : ndarray of shape (n_samples,) or None, default=None
        Column of the rows to show.
    y : ndarray of shape (n_samples,) or None, default=None
        Their targets.
    degree : int or None, default=None
        Degree of the polynomial.
    score : float or None, default=None
        Its leave-one-out R².
    coverage : float, default=0.95
        Coverage of the interval.
    column_name : str, default="x"
        Name of the column.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Axes with the picture; set by :meth:`plot`.
    figure_ : matplotlib.figure.Figure
        Figure that holds it.
    line_ : matplotlib.lines.Line2D
        The polynomial.
    band_ : matplotlib.collections.PolyCollection or None
        The interval.
    points_ : matplotlib.collections.PathCollection or None
        The rows.

    See Also
    --------
    FitDiagnosisDisplay : Whether the degree is right.

    Examples
    --------
    >>> from sklearn_ext.inspection import PolynomialFitDisplay
    >>> display = PolynomialFitDisplay([0.0, 0.5, 1.0], [0.0, 0.25, 1.0], degree=2)
    >>> display.degree
    2
    """

    def __init__(
        self,
        x,
        prediction,
        *,
        lower=None,
        upper=None,
        X=None,
        y=None,
        degree=None,
        score=None,
        coverage=0.95,
        column_name="x",
    ):
        self.x = x
        self.prediction = prediction
        self.lower = lower
        self.upper = upper
        self.X = X
        self.y = y
        self.degree = degree
        self.score = score
        self.coverage = coverage
        self.column_name = column_name

    @classmethod
    def from_estimator(cls, estimator, X, y, *, coverage=0.95, grid_resolution=300, ax=None):
        """Draw a fitted polynomial of one column over the range of some rows.

        Parameters
        ----------
        estimator : PolynomialRegressor
            Fitted on one column and one target.
        X : array-like of shape (n_samples, 1)
            Rows to show, those of the fit or others.
        y : array-like of shape (n_samples,)
            Their targets.
        coverage : float, default=0.95
            Share of new rows that the interval is to hold, in (0, 1). It is left out where the
            fit left no residual degree of freedom to estimate the noise from.
        grid_resolution : int, default=300
            Number of points of the curve, at least 2.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : PolynomialFitDisplay
            The picture.

        Raises
        ------
        TypeError
            If the estimator is no PolynomialRegressor.
        ValueError
            If it was fitted on several columns or targets.
        """
        _check_curve(estimator)
        column = np.asarray(X, dtype=float).reshape(-1)
        x = np.linspace(column.min(), column.max(), grid_resolution)
        names = getattr(estimator, "feature_names_in_", None)
        rows = x[:, None] if names is None else _frame_like(X, names[0], x)
        lower, upper = None, None
        if np.isfinite(estimator.noise_variance_):
            lower, upper = estimator.predict_interval(rows, coverage)
        display = cls(
            x,
            estimator.predict(rows),
            lower=lower,
            upper=upper,
            X=column,
            y=np.asarray(y, dtype=float),
            degree=estimator.degree_,
            score=getattr(estimator, "loo_score_", None),
            coverage=coverage,
            column_name="x" if names is None else names[0],
        )
        return display.plot(ax=ax)

    def plot(self, ax=None):
        """Draw the picture.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : PolynomialFitDisplay
            This object.
        """
        pyplot = import_optional("matplotlib.pyplot", extra="plot", purpose="PolynomialFitDisplay")
        if ax is None:
            _, ax = pyplot.subplots()
        self.ax_, self.figure_, self.band_, self.points_ = ax, ax.figure, None, None
        if self.X is not None:
            self.points_ = ax.scatter(self.X, self.y, s=12, color="0.3", label="data")
        name = "polynomial" if self.degree is None else f"degree {self.degree}"
        (self.line_,) = ax.plot(self.x, self.prediction, label=name)
        if self.lower is not None:
            self.band_ = ax.fill_between(
                self.x,
                self.lower,
                self.upper,
                alpha=0.2,
                color=self.line_.get_color(),
                linewidth=0,
                label=f"{self.coverage:.0%} prediction interval",
            )
        title = "" if self.score is None else f"leave-one-out R² {self.score:.3f}"
        ax.set(xlabel=self.column_name, ylabel="y", title=title)
        ax.legend()
        return self


def _frame_like(X, name, x):
    """One column with the name of the fit, in a frame of the kind of X where that is one."""
    if hasattr(X, "columns") and not is_arrow_table(X):
        return type(X)({name: x})
    pandas = import_optional("pandas", extra="pandas", purpose="A column with a name")
    return pandas.DataFrame({name: x})


def _check_curve(estimator):
    """Make sure that there is one curve to draw."""
    if not hasattr(estimator, "predict_interval"):
        raise TypeError(
            f"estimator must be a PolynomialRegressor, got {type(estimator).__name__}. Of a "
            "pipeline, pass the last step and transformed X; of a search, best_estimator_."
        )
    check_is_fitted(estimator)
    if estimator.n_features_in_ != 1 or np.ndim(estimator.intercept_) != 0:
        raise ValueError(
            f"estimator must be fitted on one column and one target, got "
            f"{estimator.n_features_in_} columns and {np.size(estimator.intercept_)} targets."
        )
