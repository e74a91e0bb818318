"""The method `to_onnx`, once for all estimators."""

from sklearn_ext._onnx.graph import LOWEST_OPSET, Graph
from sklearn_ext._validation import check_is_fitted

__all__ = ["OnnxExportMixin"]


class OnnxExportMixin:
    """Adds `to_onnx` to an estimator.

    The estimator defines ``_add_to_graph(graph)``: it declares the inputs, adds the nodes, and
    gives the values of the outputs by their names, in their order.
    """

    def to_onnx(self, *, dtype="float32", opset=LOWEST_OPSET):
        """Write the fitted model as a graph in the format ONNX.

        Runtimes such as onnxruntime predict by it without Python, scikit-learn or torch. Names are
        those of skl2onnx: the input is "X"; a regressor gives "variable", always with two axes or
        more, a classifier "label" and "probabilities". Nets for sequences take "X" of shape
        (n_samples, n_timesteps, n_channels) and "lengths" (n_samples,), int64, the number of steps
        of each; whatever X holds behind them is not looked at.

        Parameters
        ----------
        dtype : {"float32", "float64"}, default="float32"
            Of X and of numbers in the outputs. Nets are computed in it, polynomials always in
            float64.
        opset : int, default=18
            Version of ONNX's operators, from 18 to that of the installed package onnx.

        Returns
        -------
        model : onnx.ModelProto
            The checked model; ``model.SerializeToString()`` are the bytes of its file.

        Raises
        ------
        MissingDependencyError
            If onnx is not installed.
        NotImplementedError
            If the model has a part that is not there in ONNX; it names the parameter.
        """
        check_is_fitted(self)
        graph = Graph(_checked_dtype(dtype))
        newest = graph.onnx.defs.onnx_opset_version()
        if not LOWEST_OPSET <= opset <= newest:
            raise ValueError(f"opset must be from {LOWEST_OPSET} to {newest}, got {opset!r}.")
        return graph.model(self._add_to_graph(graph), opset)


def _checked_dtype(dtype):
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}.")
    return dtype
