"""Picture of a diagnosis: the models side by side, and the learning curve."""

import numpy as np

from sklearn_ext._optional import import_optional
from sklearn_ext.inspection._fit_diagnosis import diagnose_fit

__all__ = ["FitDiagnosisDisplay"]


class FitDiagnosisDisplay:
    """Training and new rows by number of training rows, below what reference models reach.

    The gap between the two curves is variance, that between the training curve and the ceiling
    is bias; the title says which of them counts. Use :meth:`from_estimator` or
    :meth:`from_diagnosis` to make one.

    Parameters
    ----------
    diagnosis : FitDiagnosis
        What :func:`~sklearn_ext.inspection.diagnose_fit` returned.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Axes with the picture; set by :meth:`plot`.
    figure_ : matplotlib.figure.Figure
        Figure that holds it.
    lines_ : list of matplotlib.lines.Line2D
        Training curve, curve on new rows, ceiling, constant prediction.
    bands_ : list of matplotlib.collections.PolyCollection
        One standard deviation over the folds around the first two lines.

    See Also
    --------
    diagnose_fit : The numbers.
    sklearn.model_selection.LearningCurveDisplay : Learning curves without a verdict.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklearn_ext.inspection import FitDiagnosisDisplay, diagnose_fit
    >>> X = np.linspace(-3, 3, 100)[:, None]
    >>> diagnosis = diagnose_fit(LinearRegression(), X, np.sin(2 * X[:, 0]), random_state=0)
    >>> display = FitDiagnosisDisplay(diagnosis)
    >>> display.diagnosis.verdict
    'underfit'
    """

    def __init__(self, diagnosis):
        self.diagnosis = diagnosis

    @classmethod
    def from_estimator(cls, estimator, X, y, *, ax=None, **options):
        """Diagnose an estimator and draw what was found.

        Parameters
        ----------
        estimator : estimator
            Classifier or regressor.
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Targets.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a new figure.
        **options : dict
            Keywords of :func:`~sklearn_ext.inspection.diagnose_fit`, such as `cv`.

        Returns
        -------
        display : FitDiagnosisDisplay
            The picture.
        """
        return cls.from_diagnosis(diagnose_fit(estimator, X, y, **options), ax=ax)

    @classmethod
    def from_diagnosis(cls, diagnosis, *, ax=None):
        """Draw a diagnosis.

        Parameters
        ----------
        diagnosis : FitDiagnosis
            What :func:`~sklearn_ext.inspection.diagnose_fit` returned.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : FitDiagnosisDisplay
            The picture.
        """
        return cls(diagnosis).plot(ax=ax)

    def plot(self, ax=None):
        """Draw the picture.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : FitDiagnosisDisplay
            This object.
        """
        pyplot = import_optional("matplotlib.pyplot", extra="plot", purpose="FitDiagnosisDisplay")
        if ax is None:
            _, ax = pyplot.subplots()
        self.ax_, self.figure_, self.lines_, self.bands_ = ax, ax.figure, [], []
        found = self.diagnosis
        for label, curve in (("training", found.train_curve), ("new", found.validation_curve)):
            self._draw_curve(label, curve)
        best = found.best_reference
        levels = (("best", best, "--"), ("constant", "constant", ":"))
        for label, name, style in levels[: 1 if best == "constant" else 2]:
            level = float(np.mean(found.reference_scores[name]))
            text = f"{label}: {name}" if label != name else name
            self.lines_.append(ax.axhline(level, color="0.4", linestyle=style, label=text))
        ax.set(
            xlabel="Training rows",
            ylabel=found.scoring,
            title=f"{found.estimator_name}: {found.verdict}",
        )
        ax.legend()
        return self

    def _draw_curve(self, label, curve):
        sizes, mean, spread = self.diagnosis.train_sizes, curve.mean(axis=1), curve.std(1, ddof=1)
        self.lines_ += self.ax_.plot(sizes, mean, ".-", label=f"{label} rows")
        color = self.lines_[-1].get_color()
        band = self.ax_.fill_between(
            sizes, mean - spread, mean + spread, alpha=0.2, color=color, linewidth=0
        )
        self.bands_.append(band)
