"""A small builder of ONNX graphs: values are names, and arrays become initializers."""

from itertools import count

import numpy as np

from sklearn_ext._optional import import_optional

__all__ = ["LOWEST_OPSET", "Graph", "arrays_below"]

# From this version on all reductions take their axes as an input.
LOWEST_OPSET = 18


class Graph:
    """Nodes of a graph, or of one step of a loop inside of it.

    A value is the name of what an input, an initializer or a node gives. Wherever a value is taken,
    an array or a number may stand: floats become initializers of the graph's dtype, integers
    become int64.

    Parameters
    ----------
    dtype : numpy dtype
        Of all floats, float32 or float64.

    Attributes
    ----------
    dtype : numpy.dtype
        Of all floats.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ext._onnx.graph import Graph
    >>> graph = Graph(np.float32)
    >>> doubled = graph.add("Mul", graph.input("X", (None, 3)), 2.0)
    >>> model = graph.model({"variable": doubled}, opset=18)
    >>> [node.op_type for node in model.graph.node]
    ['Mul', 'Identity']
    """

    def __init__(self, dtype):
        self.onnx = import_optional("onnx", extra="onnx", purpose="to_onnx")
        self.dtype = np.dtype(dtype)
        self.nodes, self.inputs = [], []
        # Shared with the bodies of loops, which see all of the graph around them.
        self.initializers, self.numbers = {}, count()

    def in_double(self):
        """View of this graph that computes in float64."""
        return self._sharing(dtype=np.dtype(np.float64))

    def _sharing(self, **changes):
        graph = object.__new__(type(self))
        vars(graph).update(vars(self), **changes)
        return graph

    def input(self, name, shape, dtype=None):
        """Declare an input.

        Parameters
        ----------
        name : str
            Name.
        shape : tuple of int, str or None
            Sizes; a name stands for any size, None for one without a name.
        dtype : numpy dtype, default=None
            None for that of the graph.

        Returns
        -------
        value : str
            The name.
        """
        self.inputs.append(self._declared(name, self.dtype if dtype is None else dtype, shape))
        return name

    def add(self, op, *operands, n_outputs=1, **attributes):
        """Add a node.

        Parameters
        ----------
        op : str
            Operator of ONNX.
        *operands : str or array-like
            Values.
        n_outputs : int, default=1
            Number of outputs.
        **attributes : object
            Attributes of the operator.

        Returns
        -------
        value : str or list of str
            Name of the output; a list for several.
        """
        names = [self.value(operand) for operand in operands]
        outputs = [self._new_name(op) for _ in range(n_outputs)]
        self.nodes.append(self.onnx.helper.make_node(op, names, outputs, **attributes))
        return outputs[0] if n_outputs == 1 else outputs

    def value(self, operand):
        """Name of a value; arrays and numbers become initializers, equal ones only once."""
        if isinstance(operand, str):
            return operand
        array = self._array(operand)
        content = tuple(array) if _is_text(array) else array.tobytes()
        key = array.dtype.str, array.shape, content
        if key not in self.initializers:
            tensor = self.onnx.numpy_helper.from_array(array, self._new_name("constant"))
            self.initializers[key] = tensor
        return self.initializers[key].name

    def _array(self, operand):
        """Array in one of the dtypes of the graph."""
        array = np.asarray(operand)
        if _is_text(array) or array.dtype == bool:
            return array
        return array.astype(self.dtype if array.dtype.kind == "f" else np.int64)

    def cast(self, value, dtype):
        """Change the dtype of a value."""
        return self.add("Cast", value, to=self._code(dtype))

    def take(self, value, positions, axis=1):
        """Gather positions of an axis."""
        return self.add("Gather", value, np.asarray(positions, np.int64), axis=axis)

    def reshape(self, value, *shape):
        """Change the shape; -1 is found, and 0 keeps an axis."""
        return self.add("Reshape", value, np.array(shape))

    def joined(self, values, axis):
        """Put values side by side."""
        return values[0] if len(values) == 1 else self.add("Concat", *values, axis=axis)

    def reduced(self, op, value, axis, keepdims=False):
        """Reduce an axis by "Sum" or "Max"."""
        return self.add(f"Reduce{op}", value, np.array([axis]), keepdims=int(keepdims))

    def scan(self, step, states, sequences, *, backwards=False):
        """Walk through the first axis of sequences with a state.

        Parameters
        ----------
        step : callable
            Takes a graph for the nodes of one step, in which all values of this graph may be used,
            a list of the states and a list of one element of each sequence; gives a list of the
            new states and a list of what is collected.
        states : list of str
            States before the first step.
        sequences : list of str
            Sequences.
        backwards : bool, default=False
            Whether to begin at the end; what is collected keeps its place.

        Returns
        -------
        values : list of str
            Last states and collected values.
        """
        declare = self.onnx.helper.make_empty_tensor_value_info
        names = [self._new_name("step") for _ in [*states, *sequences]]
        body = self._sharing(nodes=[])
        new, collected = step(body, names[: len(states)], names[len(states) :])
        graph = self.onnx.helper.make_graph(
            body.nodes,
            "step",
            [declare(name) for name in names],
            [declare(name) for name in [*new, *collected]],
        )
        return self.add(
            "Scan",
            *states,
            *sequences,
            n_outputs=len(new) + len(collected),
            body=graph,
            num_scan_inputs=len(sequences),
            scan_input_directions=[int(backwards)] * len(sequences),
            scan_output_directions=[int(backwards)] * len(collected),
        )

    def model(self, outputs, opset):
        """Close the graph.

        Parameters
        ----------
        outputs : dict of str to str
            Value of each output, by the name it gets.
        opset : int
            Version of the operators.

        Returns
        -------
        model : onnx.ModelProto
            Checked, with the shapes of its outputs inferred.
        """
        helper = self.onnx.helper
        nodes = self.nodes + [
            helper.make_node("Identity", [value], [name]) for name, value in outputs.items()
        ]
        declared = [helper.make_empty_tensor_value_info(name) for name in outputs]
        constants = list(self.initializers.values())
        graph = helper.make_graph(nodes, "sklearn_ext", self.inputs, declared, constants)
        versions = [helper.make_opsetid("", opset)]
        model = helper.make_model(graph, opset_imports=versions, producer_name="sklearn_ext")
        model.ir_version = helper.find_min_ir_version_for(versions)
        model = self.onnx.shape_inference.infer_shapes(model, strict_mode=True)
        self.onnx.checker.check_model(model, full_check=True)
        return model

    def _declared(self, name, dtype, shape):
        return self.onnx.helper.make_tensor_value_info(name, self._code(dtype), shape)

    def _code(self, dtype):
        return self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    def _new_name(self, what):
        return f"{what.lower()}_{next(self.numbers)}"


def arrays_below(arrays, prefix):
    """Arrays whose dotted names begin with a prefix, without it.

    Examples
    --------
    >>> from sklearn_ext._onnx.graph import arrays_below
    >>> arrays_below({"towers.0.bias": 1, "towers.10.bias": 2}, "towers.1")
    {}
    """
    start = f"{prefix}."
    return {name[len(start) :]: a for name, a in arrays.items() if name.startswith(start)}


def _is_text(array):
    return array.dtype.kind in "OU"
