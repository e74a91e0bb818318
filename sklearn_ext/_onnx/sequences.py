"""Padded sequences in a graph: which steps exist, scaling, poolings. Steps are the first axis."""

import numpy as np

__all__ = ["PaddedSteps", "add_changes", "add_pooling", "add_series_scaled", "add_steps"]

# Where :mod:`sklearn_ext._torch.sequence_ensemble` ends scaled values.
FARTHEST = 1e9


class PaddedSteps:
    """Lengths of sequences and what follows from them.

    Attributes
    ----------
    lengths : str
        (n,), int64.
    counts : str
        Steps 0, 1, ... as (n_steps, 1), int64.
    mask : str
        Which steps exist, (n_steps, n, 1), bool.
    """

    def __init__(self, graph, values, lengths):
        n_steps = graph.add("Shape", values, start=0, end=1)
        n_steps = graph.add("Squeeze", n_steps, np.array([0]))
        self.lengths = lengths
        counts = graph.add("Range", 0, n_steps, 1)
        self.counts = graph.add("Unsqueeze", counts, np.array([1]))
        self.mask = self._chosen(graph, "Less", lengths)

    def _chosen(self, graph, comparison, numbers):
        """Steps whose number compares so with one of each sequence, (n_steps, n, 1)."""
        chosen = graph.add(comparison, self.counts, numbers)
        return graph.add("Unsqueeze", chosen, np.array([2]))

    def inside(self, graph, values, otherwise=0.0):
        """Replace what is behind the ends."""
        return graph.add("Where", self.mask, values, otherwise)

    def ends(self, graph):
        """Tell which step is the last of its sequence, (n_steps, n, 1)."""
        return self._chosen(graph, "Equal", graph.add("Sub", self.lengths, 1))

    def divisor(self, graph):
        """Lengths as floats, (n, 1)."""
        return graph.cast(graph.add("Unsqueeze", self.lengths, np.array([1])), graph.dtype)


def add_steps(graph, X, lengths, center, scale):
    """Scale channels and put steps first.

    Parameters
    ----------
    graph : Graph
        Graph.
    X : str
        Padded sequences, (n, n_steps, n_channels); whatever is behind their ends is not read.
    lengths : str
        (n,), int64.
    center, scale : ndarray of shape (n_channels,)
        Subtracted from each channel, then multiplied by it.

    Returns
    -------
    values : str
        (n_steps, n, n_channels), 0 behind the ends.
    steps : PaddedSteps
        Which of them exist.
    """
    scaled = graph.add("Mul", graph.add("Sub", X, center), scale)
    scaled = graph.add("Clip", scaled, -FARTHEST, FARTHEST)
    values = graph.add("Transpose", scaled, perm=[1, 0, 2])
    steps = PaddedSteps(graph, values, lengths)
    return steps.inside(graph, values), steps


def add_changes(graph, values, steps):
    """Subtract from each step the one before it; the first gives 0.

    Parameters
    ----------
    graph : Graph
        Graph.
    values : str
        (n_steps, n, n_channels).
    steps : PaddedSteps
        Which of them exist.

    Returns
    -------
    changes : str
        Of the same shape, 0 behind the ends.
    """
    start, axis = np.array([0]), np.array([0])
    first = graph.add("Slice", values, start, np.array([1]), axis)
    others = graph.add("Slice", values, start, np.array([-1]), axis)
    before = graph.joined([first, others], axis=0)
    return steps.inside(graph, graph.add("Sub", values, before))


def add_series_scaled(graph, values, steps):
    """Bring each channel of each sequence to mean 0 and standard deviation 1; constant ones to 0.

    Parameters
    ----------
    graph : Graph
        Graph.
    values : str
        (n_steps, n, n_channels), 0 behind the ends.
    steps : PaddedSteps
        Which of them exist.

    Returns
    -------
    scaled : str
        Of the same shape, 0 behind the ends.
    """
    count = steps.divisor(graph)
    mean = graph.add("Div", graph.reduced("Sum", values, 0), count)
    centred = steps.inside(graph, graph.add("Sub", values, mean))
    squares = graph.reduced("Sum", graph.add("Mul", centred, centred), 0)
    deviation = graph.add("Sqrt", graph.add("Div", squares, count))
    size = graph.reduced("Max", graph.add("Abs", values), 0)
    # What is left by rounding, as in sklearn_ext._torch.sequence_net.
    constant = graph.add("LessOrEqual", deviation, graph.add("Mul", size, 1e-5))
    divided = graph.add("Div", centred, graph.add("Where", constant, 1.0, deviation))
    return graph.add("Where", constant, 0.0, divided)


def add_pooling(graph, kind, outputs, steps, *, n_ahead, weight):
    """Make one vector of the outputs of all steps.

    Parameters
    ----------
    graph : Graph
        Graph.
    kind : {"last", "mean", "max", "attention"}
        How.
    outputs : str
        (n_steps, n, width).
    steps : PaddedSteps
        Which of them exist.
    n_ahead : int
        Number of outputs that belong to the way ahead, for "last".
    weight : ndarray of shape (1, width) or None
        Of "attention".

    Returns
    -------
    pooled : str
        (n, width).
    """
    if kind == "last":
        return _last(graph, outputs, steps, n_ahead)
    if kind == "max":
        return graph.reduced("Max", steps.inside(graph, outputs, -np.inf), 0)
    outputs = steps.inside(graph, outputs)
    if kind == "mean":
        return graph.add("Div", graph.reduced("Sum", outputs, 0), steps.divisor(graph))
    scores = steps.inside(graph, graph.add("MatMul", outputs, weight.T), -np.inf)
    shares = graph.add("Softmax", scores, axis=0)
    return graph.reduced("Sum", graph.add("Mul", outputs, shares), 0)


def _last(graph, outputs, steps, n_ahead):
    """Outputs at the end of the way ahead, and at the beginning for the way back."""
    end = graph.add("Where", steps.ends(graph), outputs, 0.0)
    end = graph.reduced("Sum", end, 0)
    first = graph.take(outputs, 0, axis=0)
    lasts = [np.array([part]) for part in (0, n_ahead, np.iinfo(np.int64).max)]
    axis = np.array([1])
    parts = [graph.add("Slice", end, lasts[0], lasts[1], axis)]
    parts.append(graph.add("Slice", first, lasts[1], lasts[2], axis))
    return graph.joined(parts, axis=1)
