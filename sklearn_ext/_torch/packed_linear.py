"""Linear layers of an ensemble side by side."""

import torch
from torch import nn

from sklearn_ext._torch.initialization import normal

__all__ = ["PackedLinear", "linear_layer"]

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
    # The constructor of nn.Linear draws from the global generator, and skip_init, which does not,
    # imports sympy by way of the meta device.
    layer = nn.Linear.__new__(nn.Linear)
    nn.Module.__init__(layer)
    layer.in_features, layer.out_features = n_inputs, n_outputs
    layer.weight = nn.Parameter(weight[0].T.contiguous())
    layer.bias = nn.Parameter(torch.zeros(n_outputs, dtype=torch.float64))
    return layer
