"""Recurrent nets as graphs: convolutions, cells in both directions, and poolings.

Runtimes have no convolution and no recurrent operators in float64, so there they are written as
matrix products and as a loop over steps; likewise the cell "mingru", which ONNX does not know.
"""

from sklearn_ext._onnx.cells import add_cell
from sklearn_ext._onnx.graph import arrays_below
from sklearn_ext._onnx.sequences import PaddedSteps, add_changes, add_pooling, add_series_scaled
from sklearn_ext._onnx.stem import add_stem

__all__ = ["add_sequence_net"]


def add_sequence_net(graph, values, steps, arrays, plan):
    """Compute one member.

    Parameters
    ----------
    graph : Graph
        Graph.
    values : str
        Scaled channels, (n_steps, n, n_channels), 0 behind the ends.
    steps : PaddedSteps
        Which steps exist.
    arrays : dict of ndarray
        Parameters of a :class:`sklearn_ext._torch.sequence_net.SequenceNet` by name.
    plan : dict
        Fields of :class:`sklearn_ext._torch.sequence_net.Architecture`.

    Returns
    -------
    raw : str
        Raw outputs, (n, n_outputs).
    """
    if plan["bidirectional"]:
        views = values, add_changes(graph, values, steps)
        scaled = [add_series_scaled(graph, view, steps) for view in views]
        values = graph.joined([values, *scaled], axis=2)
    local = None
    if plan["stem_channels"]:
        stem = arrays_below(arrays, "stem")
        values = local = add_stem(
            graph, values, steps, stem, window=plan["window"], causal=not plan["bidirectional"]
        )
        steps = _shortened(graph, values, steps, plan["window"])
    states = _recurrence(graph, values, steps, arrays_below(arrays, "recurrence"), plan)
    outputs = states if local is None else graph.joined([local, states], axis=2)
    pooled = _pooled(graph, outputs, steps, arrays, plan)
    product = graph.add("MatMul", pooled, arrays["output.weight"].T)
    return graph.add("Add", product, arrays["output.bias"])


def _pooled(graph, outputs, steps, arrays, plan):
    """All poolings side by side, (n, n_pooled)."""
    n_ahead = plan["hidden_size"] + plan["stem_channels"]
    found = [
        add_pooling(
            graph,
            kind,
            outputs,
            steps,
            n_ahead=n_ahead,
            weight=arrays.get(f"poolings.{index}.weight"),
        )
        for index, kind in enumerate(plan["pooling"])
    ]
    return graph.joined(found, axis=1)


def _shortened(graph, values, steps, window):
    """Lengths in windows, the last of which may be incomplete."""
    if window == 1:
        return steps
    lengths = graph.add("Div", graph.add("Add", steps.lengths, window - 1), window)
    return PaddedSteps(graph, values, lengths)


def _recurrence(graph, values, steps, arrays, plan):
    """Outputs of the last layer at all steps, (n_steps, n, width of all directions)."""
    ways = {"ahead": False, "back": True} if plan["bidirectional"] else {"ahead": False}
    for layer in range(plan["num_layers"]):
        outputs = [
            add_cell(
                graph,
                values,
                steps,
                arrays_below(arrays, f"{way}.{layer}"),
                kind=plan["cell"],
                nonlinearity=plan["nonlinearity"],
                backwards=backwards,
            )
            for way, backwards in ways.items()
        ]
        values = graph.joined(outputs, axis=2)
    return values
