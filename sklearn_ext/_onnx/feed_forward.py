"""Feed-forward nets as graphs: the encoding of a table, and towers of packed members."""

from math import pi

import numpy as np

from sklearn_ext._onnx.activations import activated

__all__ = ["EncodedTable", "add_encoding", "add_tower"]

BIN_SCALE, FARTHEST = 0.3, 1e6  # those of sklearn_ext._torch.encoding


class EncodedTable:
    """Values of an encoded table; those without columns are None.

    Attributes
    ----------
    plain : str or None
        Numeric columns, flags of missing values and one-hot categories, (n, n_plain).
    numeric : str or None
        The numeric ones among them, (n, n_numeric).
    bins : str or None
        Piecewise linear bins, (n, n_bins).
    straight : str or None
        The plain columns, numeric ones not clipped, (n, n_plain), if they are asked for.
    rows : str or None
        Rows in the table of embeddings, (n, n_embedded), int64.
    """

    def __init__(self, plain, numeric, bins, straight, rows):
        self.plain, self.numeric, self.bins, self.rows = plain, numeric, bins, rows
        self.straight = straight


def add_encoding(graph, X, columns, categories, *, with_straight):
    """Encode raw rows as :class:`sklearn_ext._torch.encoding.TableEncoding` does.

    Parameters
    ----------
    graph : Graph
        Graph.
    X : str
        Rows, (n, n_features), with NaN for what is missing.
    columns : dict of ndarray
        What :func:`sklearn_ext.neural_network._tables.fit_encoding` found.
    categories : dict of int to ndarray
        Numbers that the codes of each categorical column stand for, by its position.
    with_straight : bool
        Whether a tower sees numeric columns that are not clipped.

    Returns
    -------
    encoded : EncodedTable
        Values.
    """
    scaled = _scaled(graph, X, columns) if len(columns["numeric"]) else None
    numeric = None if scaled is None else _clipped(graph, scaled)
    parts = []
    if len(columns["missing"]):
        missing = graph.add("IsNaN", graph.take(X, columns["missing"]))
        parts.append(graph.cast(missing, graph.dtype))
    if len(columns["hot_column"]):
        parts.append(_one_hot(graph, X, columns, categories))
    return EncodedTable(
        _joined(graph, [numeric, *parts]),
        numeric,
        _bins(graph, X, columns) if len(columns["bin_column"]) else None,
        _joined(graph, [_within_reach(graph, scaled, columns), *parts]) if with_straight else None,
        _embedded_rows(graph, X, columns, categories) if len(columns["embedded"]) else None,
    )


def _joined(graph, parts):
    """Put columns side by side; None if there are none."""
    parts = [part for part in parts if part is not None]
    return graph.joined(parts, axis=1) if parts else None


def _scaled(graph, X, columns):
    """Scale robustly; what is missing is put at the median."""
    values = graph.take(X, columns["numeric"])
    scaled = graph.add("Mul", graph.add("Sub", values, columns["center"]), columns["scale"])
    scaled = graph.add("Where", graph.add("IsNaN", scaled), 0.0, scaled)
    return graph.add("Clip", scaled, -FARTHEST, FARTHEST)


def _clipped(graph, scaled):
    """Clip smoothly to (-3, 3)."""
    third = graph.add("Div", scaled, 3.0)
    square = graph.add("Add", graph.add("Mul", third, third), 1.0)
    return graph.add("Div", scaled, graph.add("Sqrt", square))


def _within_reach(graph, scaled, columns):
    """Columns as linear members see them; None if there are none."""
    if scaled is None:
        return None
    within = graph.add("Max", graph.add("Min", scaled, columns["reach"]), -columns["reach"])
    return graph.add("Div", within, columns["size"])


def _one_hot(graph, X, columns, categories):
    raw = [
        categories[column][int(code)]
        for column, code in zip(columns["hot_column"], columns["hot_value"], strict=True)
    ]
    values = graph.take(X, columns["hot_column"])
    return graph.cast(graph.add("Equal", values, np.array(raw, float)), graph.dtype)


def _bins(graph, X, columns):
    """Share of each bin that lies below the value; a missing value is below none."""
    values = graph.take(X, columns["bin_column"])
    above = graph.add("Sub", values, columns["bin_left"])
    shares = graph.add("Clip", graph.add("Div", above, columns["bin_width"]), 0.0, 1.0)
    shares = graph.add("Where", graph.add("IsNaN", values), 0.0, shares)
    return graph.add("Mul", shares, BIN_SCALE)


def _embedded_rows(graph, X, columns, categories):
    """Rows in the table of embeddings; the first of each column is for unknown categories."""
    starts = np.cumsum(columns["embedded_size"]) - columns["embedded_size"]
    found = []
    for column, size, start in zip(
        columns["embedded"], columns["embedded_size"], starts, strict=True
    ):
        raw = np.array(categories[column][: size - 1], float)
        same = graph.add("Equal", graph.take(X, [column]), raw)  # (n, n_categories)
        numbers = graph.add("Where", same, 1 + np.arange(len(raw)), 0)
        row = graph.reduced("Max", numbers, 1, keepdims=True)
        found.append(graph.add("Add", row, int(start)))
    return graph.joined(found, axis=1)


def add_tower(graph, encoded, arrays, activation, *, sees_bins, sees_straight, gain):
    """Compute the members of one tower.

    Parameters
    ----------
    graph : Graph
        Graph.
    encoded : EncodedTable
        Encoded rows.
    arrays : dict of ndarray
        Parameters of a :class:`sklearn_ext._torch.tower.Tower` by name.
    activation : str
        Activation function of hidden layers.
    sees_bins : bool
        Whether the members see the bins.
    sees_straight : bool
        Whether they see numeric columns that are not clipped.
    gain : float
        Factor of all inputs.

    Returns
    -------
    raw : str
        Raw outputs, (n_members, n, n_outputs).
    """
    plain = encoded.straight if sees_straight else encoded.plain
    seen = [plain, encoded.bins if sees_bins else None]
    values = _tower_inputs(graph, encoded, arrays, [part for part in seen if part is not None])
    if gain != 1.0:
        values = graph.add("Mul", values, gain)
    for layer in range(sum(name.startswith("hidden.") for name in arrays) // 2):
        values = activated(graph, _linear(graph, values, arrays, f"hidden.{layer}"), activation)
    return _linear(graph, values, arrays, "output")


def _linear(graph, values, arrays, name):
    """Layer of all members: (n, n_in) or (k, n, n_in) to (k, n, n_out)."""
    weight, bias = arrays[f"{name}.weight"], arrays[f"{name}.bias"]
    if weight.ndim == 2:  # the plain layer of a single member
        weight, bias = weight.T[None], bias[None, None]
    return graph.add("Add", graph.add("MatMul", values, weight), bias)


def _tower_inputs(graph, encoded, arrays, seen):
    """Columns that are seen, (n, n_seen), with waves and embeddings (k, n, n_inputs)."""
    learned = []
    if "waves.weight" in arrays:
        learned.append(_waves(graph, encoded.numeric, arrays))
    if "embedding.table" in arrays:
        learned.append(_embeddings(graph, encoded.rows, arrays["embedding.table"]))
    if not learned:
        return graph.joined(seen, axis=1)
    if seen:
        members = next(iter(arrays.values())).shape[0]
        shared = graph.joined(seen, axis=1)
        learned.insert(0, graph.add("Expand", shared, np.array([members, 1, 1])))
    return graph.joined(learned, axis=2)


def _waves(graph, numeric, arrays):
    """Waves of each numeric column and a linear layer a column, (k, n, n_columns * size)."""
    members, n_columns, _, size = arrays["waves.weight"].shape
    by_column = graph.add("Unsqueeze", graph.add("Transpose", numeric, perm=[1, 0]), np.array([2]))
    turns = graph.add("Mul", by_column, arrays["waves.frequency"])  # (k, n_columns, n, waves)
    turns = graph.add("Add", turns, arrays["waves.phase"])
    waves = graph.add("Cos", graph.add("Mul", turns, 2.0 * pi))
    mixed = graph.add("MatMul", waves, arrays["waves.weight"])
    mixed = graph.add("Add", mixed, arrays["waves.bias"])
    ordered = graph.add("Transpose", mixed, perm=[0, 2, 1, 3])
    return graph.reshape(ordered, members, -1, n_columns * size)


def _embeddings(graph, rows, table):
    """Vectors of categories, (k, n, n_columns * size)."""
    found = graph.add("Gather", table, rows, axis=1)  # (k, n, n_columns, size)
    return graph.reshape(found, len(table), 0, -1)
