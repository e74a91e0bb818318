"""The convolutions in front of a recurrent net, as a graph."""

import numpy as np

__all__ = ["add_stem"]

DILATIONS = (1, 2, 4, 8)  # those of sklearn_ext._torch.stem
NORM_EPSILON = 1e-5


def add_stem(graph, values, steps, arrays, *, window, causal):
    """Convolve steps four times, and take the maximum of windows of them.

    Parameters
    ----------
    graph : Graph
        Graph.
    values : str
        (n_steps, n, n_inputs).
    steps : PaddedSteps
        Which steps exist; others count as zeros.
    arrays : dict of ndarray
        Parameters of a :class:`sklearn_ext._torch.stem.ConvStem` by name.
    window : int
        Steps that become one.
    causal : bool
        Whether a step sees only itself and earlier ones.

    Returns
    -------
    values : str
        (ceil(n_steps / window), n, n_outputs).
    """
    convolve = _by_operator if graph.dtype == np.float32 else _by_products
    for layer, dilation in enumerate(DILATIONS):
        weight, bias = (arrays[f"layers.{layer}.{name}"] for name in ("weight", "bias"))
        values = steps.inside(graph, values)
        reach = dilation * (len(weight) - 1)
        before = reach if causal else reach // 2
        values = convolve(graph, values, weight, bias, dilation, (before, reach - before))
        norm = (arrays[f"norms.{layer}.{name}"] for name in ("weight", "bias"))
        values = graph.add("LayerNormalization", values, *norm, epsilon=NORM_EPSILON)
        values = graph.add("Relu", values)
    values = steps.inside(graph, values)
    return values if window == 1 else _shortened(graph, values, window)


def _by_operator(graph, values, weight, bias, dilation, pads):
    """Use the operator of ONNX, which has steps last."""
    turned = graph.add("Transpose", values, perm=[1, 2, 0])
    kernel = weight.transpose(2, 1, 0)  # (n_outputs, n_inputs, n_taps)
    found = graph.add("Conv", turned, kernel, bias, dilations=[dilation], pads=pads)
    return graph.add("Transpose", found, perm=[2, 0, 1])


def _by_products(graph, values, weight, bias, dilation, pads):
    """Multiply shifted copies side by side: in float64 runtimes have no convolution."""
    n_taps, n_inputs, n_outputs = weight.shape
    padded = graph.add("Pad", values, np.array([pads[0], 0, 0, pads[1], 0, 0]))
    shifts, reach = np.arange(n_taps) * dilation, dilation * (n_taps - 1)
    ends = [*(shifts[:-1] - reach), np.iinfo(np.int64).max]
    axis = np.array([0])
    copies = [
        graph.add("Slice", padded, np.array([shift]), np.array([end]), axis)
        for shift, end in zip(shifts, ends, strict=True)
    ]
    kernel = weight.reshape(n_taps * n_inputs, n_outputs)
    product = graph.add("MatMul", graph.joined(copies, axis=2), kernel)
    return graph.add("Add", product, bias)


def _shortened(graph, values, window):
    """Maximum of each window, the last of which is filled up with zeros."""
    n_steps = graph.add("Shape", values, start=0, end=1)
    missing = graph.add("Mod", graph.add("Neg", n_steps), window)
    pads = graph.joined([np.zeros(3, int), missing, np.zeros(2, int)], axis=0)
    padded = graph.add("Pad", values, pads)
    rest = graph.add("Shape", values, start=1)
    shape = graph.joined([np.array([-1, window]), rest], axis=0)
    return graph.reduced("Max", graph.add("Reshape", padded, shape), 1)
