"""One recurrent layer in one direction, as an operator of ONNX or as a loop."""

import numpy as np

__all__ = ["add_cell"]

# Operator, and the order of its gates in terms of those of torch.
_OPERATORS = {"rnn": ("RNN", (0,)), "gru": ("GRU", (1, 0, 2)), "lstm": ("LSTM", (0, 3, 1, 2))}


def add_cell(graph, values, steps, arrays, *, kind, nonlinearity, backwards):
    """Walk through all steps of padded sequences, from the end of each if `backwards`.

    Parameters
    ----------
    graph : Graph
        Graph.
    values : str
        Inputs, (n_steps, n, n_inputs).
    steps : PaddedSteps
        Which of them exist.
    arrays : dict of ndarray
        Parameters of a cell of :mod:`sklearn_ext._torch.cells` by name.
    kind : {"rnn", "lstm", "gru", "mingru"}
        Which cell.
    nonlinearity : {"tanh", "relu"}
        Of the kind "rnn".
    backwards : bool
        Direction.

    Returns
    -------
    outputs : str
        (n_steps, n, width); without meaning behind the ends.
    """
    if kind == "mingru":
        weight, bias = arrays["projection.weight"], arrays["projection.bias"]
        return _walk(graph, values, steps, weight, bias, _mingru(len(bias) // 2), backwards)
    names = "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"
    weights = [arrays[f"layer.{name}"] for name in names]
    if graph.dtype == np.float32:
        return _operator(graph, values, steps, weights, kind, nonlinearity, backwards)
    of_inputs, recurrent, bias, bias_2 = weights
    cell = {
        "rnn": lambda: _rnn(recurrent, bias_2, nonlinearity),
        "gru": lambda: _gru(recurrent, bias_2),
        "lstm": lambda: _lstm(recurrent, bias_2),
    }[kind]()
    return _walk(graph, values, steps, of_inputs, bias, cell, backwards)


def _operator(graph, values, steps, weights, kind, nonlinearity, backwards):
    """Use the operator of ONNX, which single precision has."""
    op, order = _OPERATORS[kind]
    of_inputs, recurrent, bias, bias_2 = (
        np.concatenate([np.split(weight, len(order))[gate] for gate in order]) for weight in weights
    )
    settings = {"direction": "reverse" if backwards else "forward"}
    if kind == "rnn":
        settings["activations"] = [nonlinearity.capitalize()]
    if kind == "gru":
        settings["linear_before_reset"] = 1
    operands = of_inputs[None], recurrent[None], np.concatenate([bias, bias_2])[None]
    lengths = graph.cast(steps.lengths, np.int32)
    width = recurrent.shape[1]
    outputs = graph.add(op, values, *operands, lengths, hidden_size=width, **settings)
    return graph.add("Squeeze", outputs, np.array([1]))  # from (n_steps, 1, n, width)


def _walk(graph, values, steps, weight, bias, cell, backwards):
    """Loop over steps. Behind its end a sequence keeps its state, which is 0 on the way back."""
    gates = graph.add("Add", graph.add("MatMul", values, weight.T), bias)
    n = graph.add("Shape", values, start=1, end=2)
    width, n_states, formula = cell
    zeros = graph.add("Expand", 0.0, graph.joined([n, np.array([width])], axis=0))

    def step(body, states, elements):
        gates, exists = elements
        found = formula(body, gates, *states)
        pairs = zip(found, states, strict=True)
        kept = [body.add("Where", exists, new, old) for new, old in pairs]
        return kept, [body.add("Identity", kept[0])]

    sequences = [gates, steps.mask]
    return graph.scan(step, [zeros] * n_states, sequences, backwards=backwards)[-1]


# Cells: width, number of states, and the new states of one step from its gates and the old ones.


def _split(body, gates, count):
    return body.add("Split", gates, axis=1, num_outputs=count, n_outputs=count)


def _recurrent(body, state, weight, bias):
    return body.add("Add", body.add("MatMul", state, weight.T), bias)


def _mixed(body, share, first, second):
    """(1 - share) * first + share * second."""
    change = body.add("Mul", share, body.add("Sub", second, first))
    return body.add("Add", first, change)


def _mingru(width):
    def formula(body, gates, state):
        logits, candidate = _split(body, gates, 2)
        return [_mixed(body, body.add("Sigmoid", logits), state, candidate)]

    return width, 1, formula


def _rnn(weight, bias, nonlinearity):
    def formula(body, gates, state):
        total = body.add("Add", gates, _recurrent(body, state, weight, bias))
        return [body.add(nonlinearity.capitalize(), total)]

    return weight.shape[1], 1, formula


def _gru(weight, bias):
    def formula(body, gates, state):
        of_inputs = _split(body, gates, 3)
        of_state = _split(body, _recurrent(body, state, weight, bias), 3)
        reset, keep = (
            body.add("Sigmoid", body.add("Add", *pair))
            for pair in zip(of_inputs[:2], of_state[:2], strict=True)
        )
        seen = body.add("Mul", reset, of_state[2])
        candidate = body.add("Tanh", body.add("Add", of_inputs[2], seen))
        return [_mixed(body, keep, candidate, state)]

    return weight.shape[1], 1, formula


def _lstm(weight, bias):
    def formula(body, gates, state, memory):
        total = body.add("Add", gates, _recurrent(body, state, weight, bias))
        admit, keep, candidate, show = _split(body, total, 4)
        admit, keep, show = (body.add("Sigmoid", gate) for gate in (admit, keep, show))
        new = body.add("Mul", admit, body.add("Tanh", candidate))
        memory = body.add("Add", body.add("Mul", keep, memory), new)
        return [body.add("Mul", show, body.add("Tanh", memory)), memory]

    return weight.shape[1], 2, formula
