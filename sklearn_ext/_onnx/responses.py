"""From the raw outputs of the members of a net to what its estimator predicts."""

import numpy as np

__all__ = ["add_labels", "add_prediction", "add_probabilities"]


def add_prediction(graph, raw, shares, *, loss, levels, center, scale, as_table):
    """Predict targets.

    Parameters
    ----------
    graph : Graph
        Graph.
    raw : str
        Raw outputs, (n_members, n, n_targets * n_levels).
    shares : ndarray of shape (n_members,)
        Weight of each member in the mean.
    loss : str
        What was minimised.
    levels : ndarray of shape (n_levels,)
        Quantiles in the order of the user; a single one for other losses.
    center, scale : ndarray of shape (n_targets,)
        Of the targets.
    as_table : bool
        Whether a target has its quantiles on an axis of their own.

    Returns
    -------
    values : str
        (n, n_targets), (n, n_levels) for one target, or (n, n_targets, n_levels).
    """
    if loss == "poisson":
        raw = graph.add("Exp", raw)
    if len(levels) > 1:
        raw = _quantiles(graph, raw, len(shares), len(center), len(levels))
    values = _member_mean(graph, raw, shares)
    repeated = (np.repeat(part, len(levels)) for part in (scale, center))
    values = graph.add("Mul", values, next(repeated))
    values = graph.add("Add", values, next(repeated))
    if len(levels) > 1:
        rank = np.argsort(np.argsort(levels))
        values = graph.take(values, np.add.outer(np.arange(len(center)) * len(rank), rank).ravel())
    return graph.reshape(values, -1, len(center), len(levels)) if as_table else values


def _quantiles(graph, raw, members, n_targets, n_levels):
    """Add up the lowest quantile and the steps from each to the next."""
    split = graph.reshape(raw, members, -1, n_targets, n_levels)
    steps = graph.add("Softplus", graph.take(split, range(1, n_levels), axis=3))
    parts = graph.joined([graph.take(split, [0], axis=3), steps], axis=3)
    summed = graph.add("MatMul", parts, np.triu(np.ones((n_levels, n_levels))))
    return graph.reshape(summed, members, -1, n_targets * n_levels)


def _member_mean(graph, values, shares):
    """Average (n_members, n, width) to (n, width)."""
    weighted = graph.add("Mul", values, np.reshape(shares, (-1, 1, 1)).astype(float))
    return graph.reduced("Sum", weighted, 0)


def add_probabilities(graph, raw, shares, kind):
    """Predict probabilities.

    Parameters
    ----------
    graph : Graph
        Graph.
    raw : str
        Raw outputs, (n_members, n, n_outputs).
    shares : ndarray of shape (n_members,)
        Weight of each member in the mean.
    kind : {"binary", "multiclass", "multilabel"}
        Kind of the problem.

    Returns
    -------
    probabilities : str
        Those of the classes, (n, n_classes), or of each label, (n, n_labels).
    """
    if kind == "multiclass":
        return _member_mean(graph, graph.add("Softmax", raw, axis=-1), shares)
    if kind == "binary":
        raw = graph.joined([graph.add("Neg", raw), raw], axis=2)
    return _member_mean(graph, graph.add("Sigmoid", raw), shares)


def add_labels(graph, probabilities, classes):
    """Choose the most probable class, or all labels above one half.

    Parameters
    ----------
    graph : Graph
        Graph.
    probabilities : str
        (n, n_classes) or (n, n_labels).
    classes : ndarray of shape (n_classes,) or None
        Classes: text, integers, booleans (given as integers) or floats; None for labels.

    Returns
    -------
    labels : str
        (n,) or (n, n_labels).
    """
    if classes is None:
        return graph.cast(graph.add("Greater", probabilities, 0.5), np.int64)
    best = graph.add("ArgMax", probabilities, axis=1, keepdims=0)
    return graph.add("Gather", _as_constant(classes), best, axis=0)


def _as_constant(classes):
    """Classes as an array that an initializer can hold."""
    if all(isinstance(value, str) for value in classes):
        return np.array(classes, dtype=object)
    numbers = np.array(classes.tolist())
    if numbers.dtype.kind not in "biuf":
        raise NotImplementedError(
            f"ONNX has labels of text or of numbers, but y held the classes {classes.tolist()}."
        )
    return numbers.astype(np.int64) if numbers.dtype == bool else numbers
