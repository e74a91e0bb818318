"""The gradient of recurrent nets by distance from the last step that a layer saw."""

from itertools import cycle

import numpy as np

from sklearn_ext._optional import import_optional
from sklearn_ext.inspection._gradient_flow import ENDLESS, GradientFlow, gradient_flow

__all__ = ["GradientFlowDisplay"]

_STYLES = ("-", "--", ":", "-.")


class GradientFlowDisplay:
    """Norm of the gradient with respect to the state, by distance from the last, on a log scale.

    A straight line down is a gradient that vanishes; how steep it is says after how many steps of
    the sequences. The last step that a layer saw is the end of the sequence, or its beginning
    where the layer walks back.

    Use :meth:`from_estimator` to make one of estimators, or pass what
    :func:`~sklearn_ext.inspection.gradient_flow` returned, for instance before and after
    training.

    Parameters
    ----------
    flows : GradientFlow or dict of str to GradientFlow
        What to draw; the keys are the labels of the legend.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Axes with the curves; set by :meth:`plot`.
    figure_ : matplotlib.figure.Figure
        Figure that holds them.
    lines_ : list of matplotlib.lines.Line2D
        The curves: those of one estimator share a colour, the layers have styles of their own.

    See Also
    --------
    gradient_flow : The numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ext.inspection import GradientFlow, GradientFlowDisplay
    >>> flow = GradientFlow(
    ...     norms={"layer 1": np.exp(-np.arange(100) / 4)},
    ...     decay_rates={"layer 1": -0.25},
    ...     memory_lengths={"layer 1": 4.0},
    ...     verdicts={"layer 1": "vanishing"},
    ...     n_timesteps=100,
    ...     threshold=0.2,
    ... )
    >>> display = GradientFlowDisplay({"tanh": flow})
    >>> display.flows["tanh"].verdict
    'vanishing'
    """

    def __init__(self, flows):
        self.flows = flows

    @classmethod
    def from_estimator(cls, estimator, X, y, *, initial=False, relative=False, ax=None, name=None):
        """Measure the gradient flow of one estimator or of several, and draw it.

        Parameters
        ----------
        estimator : estimator, sequence of estimators or dict of str to estimator
            Recurrent nets, or adapters of them; the keys of a dict are the labels of the legend.
        X : array-like of shape (n, T) or (n, T, n_channels), or sequence of n arrays
            Sequences.
        y : array-like of shape (n,) or (n, n_outputs)
            Targets.
        initial : bool, default=False
            Whether to measure the weights that training begins with, not the fitted ones.
        relative : bool, default=False
            Whether to divide the norms by that of the last step.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a new figure.
        name : str or sequence of str, default=None
            Labels, one for each estimator; None takes the names of their classes.

        Returns
        -------
        display : GradientFlowDisplay
            The picture.
        """
        estimators = _by_name(estimator, name)
        flows = {
            label: gradient_flow(one, X, y, initial=initial) for label, one in estimators.items()
        }
        return cls(flows).plot(ax=ax, relative=relative)

    def plot(self, ax=None, *, relative=False):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a new figure.
        relative : bool, default=False
            Whether to divide the norms by that of the last step, so that all curves begin at 1.

        Returns
        -------
        display : GradientFlowDisplay
            This object.
        """
        pyplot = import_optional("matplotlib.pyplot", extra="plot", purpose="GradientFlowDisplay")
        if ax is None:
            _, ax = pyplot.subplots()
        self.ax_, self.figure_, self.lines_ = ax, ax.figure, []
        flows = {"": self.flows} if isinstance(self.flows, GradientFlow) else self.flows
        for name, flow in flows.items():
            self.lines_ += _draw(ax, name, flow, relative)
        unit = " / that of the last step" if relative else ""
        ax.set(
            xlabel="Steps before the last one that the layer saw",
            ylabel=f"Norm of the gradient by the state{unit}",
            yscale="log",
        )
        ax.legend()
        return self


def _by_name(estimator, name):
    """Map labels to estimators."""
    if isinstance(estimator, dict):
        if name is not None:
            raise ValueError("name must be None where estimator is a dict: its keys are the names.")
        return estimator
    estimators = list(estimator) if isinstance(estimator, list | tuple) else [estimator]
    names = [name] if isinstance(name, str) else name
    if names is None:
        names = [type(one).__name__ for one in estimators]
    if len(set(names)) < len(names):  # equal classes: count them
        names = [f"{label} {i}" for i, label in enumerate(names, start=1)]
    if len(names) != len(estimators):
        raise ValueError(
            f"name must hold one label for each of the {len(estimators)} estimators, got {name!r}."
        )
    return dict(zip(names, estimators, strict=True))


def _draw(ax, name, flow, relative):
    lines = []
    for (layer, norms), style in zip(flow.norms.items(), cycle(_STYLES), strict=False):
        unit = norms[0] if relative and norms[0] > 0 else 1.0
        shown = np.where(norms > 0, norms / unit, np.nan)  # a log scale has no place for 0
        color = lines[0].get_color() if lines else None
        label = _label(name, layer, flow)
        steps = np.arange(len(norms)) * flow.steps_between_states
        lines += ax.plot(steps, shown, style, color=color, label=label)
    return lines


def _label(name, layer, flow):
    length = flow.memory_lengths[layer]
    memory = f"memory {length:.3g} steps" if length < ENDLESS else "does not fall"
    parts = [name, layer if len(flow.norms) > 1 or not name else "", flow.verdicts[layer]]
    return ", ".join(part for part in (*parts, memory) if part)
