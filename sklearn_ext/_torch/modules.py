"""The feed-forward net: a fixed encoding of table columns, then packed linear layers.

All members of an ensemble are trained in one module: the weights of a layer are stacked on a
leading axis and multiplied in one batched product. A single member is made of plain
:class:`torch.nn.Linear` layers.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import sqrt

import numpy as np
import torch
from torch import nn

from sklearn_ext._torch.activations import activation_function
from sklearn_ext._torch.dropout import SharedDropout
from sklearn_ext._torch.initialization import normal

__all__ = ["FeedForward", "PackedLinear", "TableEncoding"]

Tensor = torch.Tensor


class PackedLinear(nn.Module):
    """One linear layer for each member: (k, n, n_in) -> (k, n, n_out).

    Parameters
    ----------
    weight : torch.Tensor of shape (k, n_in, n_out)
        Weights.
    bias : torch.Tensor of shape (k, 1, n_out)
        Biases.
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Multiply each member's rows by its own weights."""
        return torch.baddbmm(self.bias, inputs, self.weight)

    def extra_repr(self) -> str:
        """Describe the shape for printing."""
        members, n_inputs, n_outputs = self.weight.shape
        return f"n_members={members}, in_features={n_inputs}, out_features={n_outputs}"


def linear_layer(
    members: int, n_inputs: int, n_outputs: int, scale: float, generator: torch.Generator
) -> nn.Module:
    """Build a layer with normal weights of standard deviation `scale` and biases of 0."""
    weight = normal((members, n_inputs, n_outputs), scale, generator)
    if members > 1:
        return PackedLinear(weight, torch.zeros(members, 1, n_outputs, dtype=torch.float64))
    # skip_init leaves the global generator alone, which the constructor of nn.Linear does not.
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, n_inputs, n_outputs, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(weight[0].T)
        layer.bias.zero_()
    return layer


class TableEncoding(nn.Module):
    """Fixed encoding of raw columns: robust scale, smooth clip, piecewise linear bins, one-hot.

    Parameters
    ----------
    columns : dict of ndarray
        What :func:`sklearn_ext.neural_network._tables.fit_encoding` found.
    """

    def __init__(self, columns: dict[str, np.ndarray]) -> None:
        super().__init__()
        for name, values in columns.items():
            self.register_buffer(name, torch.from_numpy(np.array(values)))

    @property
    def n_outputs(self) -> int:
        """Number of encoded columns."""
        return sum(
            len(self.get_buffer(name))
            for name in ("numeric", "missing", "bin_column", "hot_column")
        )

    def forward(self, X: Tensor) -> Tensor:
        """Encode raw rows, (n, n_features) to (n, n_outputs)."""
        numeric = X[:, self.get_buffer("numeric")]
        centred = (numeric - self.get_buffer("center").to(X.dtype)) * self.get_buffer("scale").to(
            X.dtype
        )
        scaled = torch.nan_to_num(centred, nan=0.0)
        clipped = scaled / (1.0 + (scaled / 3.0).square()).sqrt()  # smooth clip to (-3, 3)
        absent = X[:, self.get_buffer("missing")].isnan().to(X.dtype)
        return torch.cat([clipped, absent, self._bins(X), self._one_hot(X)], dim=1)

    def _bins(self, X: Tensor) -> Tensor:
        """Share of each bin that lies below the value; a missing value is below none."""
        left, width = self.get_buffer("bin_left"), self.get_buffer("bin_width")
        values = X[:, self.get_buffer("bin_column")]
        shares = ((values - left.to(X.dtype)) / width.to(X.dtype)).clamp(0.0, 1.0)
        return torch.nan_to_num(shares, nan=0.0)

    def _one_hot(self, X: Tensor) -> Tensor:
        """One column a category; an unknown or missing one sets none."""
        values = X[:, self.get_buffer("hot_column")]
        return (values == self.get_buffer("hot_value").to(X.dtype)).to(X.dtype)


class FeedForward(nn.Module):
    """Encoding, hidden layers, one linear layer of outputs; `n_members` such nets side by side.

    Parameters
    ----------
    encoding : TableEncoding
        Fixed first part.
    hidden_layer_sizes : sequence of int
        Widths.
    n_outputs : int
        Raw outputs of one member.
    activation : str
        Name of the activation function.
    dropout : float
        Probability of dropout behind every hidden layer.
    n_members : int
        Size of the ensemble.
    generator : torch.Generator
        Draws the weights.
    """

    def __init__(
        self,
        encoding: TableEncoding,
        hidden_layer_sizes: Sequence[int],
        n_outputs: int,
        *,
        activation: str,
        dropout: float,
        n_members: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.n_members = n_members
        self.encoding = encoding
        self.activation: Callable[[Tensor], Tensor] = activation_function(activation)
        widths = [encoding.n_outputs, *hidden_layer_sizes]
        self.hidden = nn.ModuleList(
            linear_layer(n_members, a, b, sqrt(2.0 / max(a, 1)), generator)
            for a, b in pairwise(widths)
        )
        self.dropout = SharedDropout(dropout)
        # A small start of the outputs: the first predictions are near the mean.
        last = 0.1 / sqrt(max(widths[-1], 1))
        self.output = linear_layer(n_members, widths[-1], n_outputs, last, generator)

    def encode(self, X: Tensor) -> Tensor:
        """Apply the fixed part, (n, n_features) to (n, n_encoded)."""
        encoded: Tensor = self.encoding(X)
        return encoded

    def members(self, encoded: Tensor) -> Tensor:
        """Raw outputs, (n, n_outputs) or (n_members, n, n_outputs), of encoded rows."""
        values = encoded.to(next(self.output.parameters()).dtype)
        if self.n_members > 1 and values.ndim == 2:
            values = values.expand(self.n_members, *values.shape)
        for layer in self.hidden:
            values = self.dropout(self.activation(layer(values)))
        raw: Tensor = self.output(values)
        return raw

    def forward(self, X: Tensor) -> Tensor:
        """Raw outputs of raw rows, (n, n_members, n_outputs)."""
        raw = self.members(self.encode(X))
        return raw.unsqueeze(1) if raw.ndim == 2 else raw.transpose(0, 1)
