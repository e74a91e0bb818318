"""Training and validation loss by epoch."""

from sklearn_ext._optional import import_optional
from sklearn_ext._validation import check_is_fitted

__all__ = ["LossCurveDisplay"]


class LossCurveDisplay:
    """Training and validation loss of each epoch.

    Use :meth:`from_estimator` to make one of a fitted estimator.

    Parameters
    ----------
    loss : list of float
        Training loss of each epoch.
    validation_loss : list of float or None, default=None
        Validation loss of each epoch.
    estimator_name : str or None, default=None
        What the legend calls the estimator.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Axes with the curves; set by :meth:`plot`.
    figure_ : matplotlib.figure.Figure
        Figure that holds them.
    lines_ : list of matplotlib.lines.Line2D
        The curves.

    Examples
    --------
    >>> from sklearn_ext.inspection import LossCurveDisplay
    >>> display = LossCurveDisplay([1.0, 0.5, 0.3], validation_loss=[1.1, 0.7, 0.6])
    >>> display.loss[-1]
    0.3
    """

    def __init__(self, loss, *, validation_loss=None, estimator_name=None):
        self.loss = loss
        self.validation_loss = validation_loss
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, name=None):
        """Draw the curves of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            With `loss_curve_`, and `validation_loss_curve_` where it has validation rows.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a new figure.
        name : str, default=None
            What the legend calls the estimator; None takes the name of its class.

        Returns
        -------
        display : LossCurveDisplay
            The picture.
        """
        check_is_fitted(estimator)
        if not hasattr(estimator, "loss_curve_"):
            raise ValueError(
                f"estimator must have a loss_curve_, but {type(estimator).__name__} has none. Of a "
                "pipeline, pass the last step; of a search, best_estimator_."
            )
        display = cls(
            estimator.loss_curve_,
            validation_loss=getattr(estimator, "validation_loss_curve_", None),
            estimator_name=type(estimator).__name__ if name is None else name,
        )
        return display.plot(ax=ax)

    def plot(self, ax=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : LossCurveDisplay
            This object.
        """
        pyplot = import_optional("matplotlib.pyplot", extra="plot", purpose="LossCurveDisplay")
        if ax is None:
            _, ax = pyplot.subplots()
        self.ax_, self.figure_, self.lines_ = ax, ax.figure, []
        for kind, values in (("training", self.loss), ("validation", self.validation_loss)):
            if values is not None:
                epochs = range(1, len(values) + 1)
                name = f"{self.estimator_name}, " if self.estimator_name else ""
                self.lines_ += ax.plot(epochs, values, label=f"{name}{kind} loss")
        ax.set(xlabel="Epoch", ylabel="Loss")
        ax.legend()
        return self
