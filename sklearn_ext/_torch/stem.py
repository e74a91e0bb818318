"""Convolutions in front of a recurrent net: local shapes of several widths, in fewer steps."""

from collections.abc import Sequence
from math import sqrt
from typing import cast

import torch
from torch import nn
from torch.nn import functional

from sklearn_ext._torch.convolution import step_convolution
from sklearn_ext._torch.initialization import normal

__all__ = ["ConvStem", "DilatedConv", "pooled_lengths"]

Tensor = torch.Tensor

KERNEL = 9
DILATIONS = (1, 2, 4, 8)


class DilatedConv(nn.Module):
    """Convolution over steps that keeps their number; nothing comes before them or behind.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Channels.
    dilation : int
        Distance of the steps that it looks at.
    causal : bool
        Whether a step sees only itself and earlier ones; else as many on both sides.
    generator : torch.Generator
        Draws the weights.

    Attributes
    ----------
    reach : int
        Number of earlier steps that a causal step sees.
    """

    def __init__(
        self, n_inputs: int, n_outputs: int, dilation: int, causal: bool, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.n_inputs = n_inputs
        self.dilation, self.reach = dilation, dilation * (KERNEL - 1)
        self.before = self.reach if causal else self.reach // 2
        scale = sqrt(2.0 / (n_inputs * KERNEL))
        self.weight = nn.Parameter(normal((KERNEL, n_inputs, n_outputs), scale, generator))
        self.bias = nn.Parameter(torch.zeros(n_outputs, dtype=torch.float64))

    def forward(self, values: Tensor, past: Tensor | None = None) -> Tensor:
        """Convolve (n_steps, n, n_inputs), with `reach` earlier steps or zeros before them."""
        before, n_steps = self.before, len(values)
        if past is not None:
            values, before = torch.cat([past, values]), 0
        return step_convolution(
            values, self.weight, self.bias, dilation=self.dilation, before=before, n_steps=n_steps
        )


class ConvStem(nn.Module):
    """Dilated convolutions one upon another, then the maximum over windows of steps.

    Four layers of kernel 9 and dilations 1, 2, 4 and 8, each with layer normalisation [1]_ over
    the channels of a step, let a step see 60 steps on both sides.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Channels.
    window : int
        Steps that become one.
    causal : bool
        Whether a step sees only itself and earlier ones.
    generator : torch.Generator
        Draws the weights.

    References
    ----------
    .. [1] J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization", arXiv:1607.06450, 2016;
       eq. 4.
    """

    def __init__(
        self, n_inputs: int, n_outputs: int, window: int, causal: bool, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.window, self.n_outputs = window, n_outputs
        sizes = [n_inputs] + [n_outputs] * (len(DILATIONS) - 1)
        self.layers = nn.ModuleList(
            DilatedConv(size, n_outputs, dilation, causal, generator)
            for size, dilation in zip(sizes, DILATIONS, strict=True)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(n_outputs, dtype=torch.float64) for _ in DILATIONS)

    def forward(self, values: Tensor, mask: Tensor | None) -> Tensor:
        """Turn steps (n_steps, n, n_inputs) into (ceil(n_steps / window), n, n_outputs).

        Padded steps, where `mask` (n_steps, n, 1) is False, count as zeros, as if the sequence
        ended before them; what is given for them has no meaning.
        """
        for layer, norm in zip(self.layers, self.norms, strict=True):
            if mask is not None:
                values = values * mask
            values = torch.relu(norm(layer(values)))
        # After relu a zero is never larger than what a window has.
        return self.shortened(values if mask is None else values * mask)

    def shortened(self, values: Tensor) -> Tensor:
        """Take the maximum of each window, the last of which may be incomplete."""
        if self.window == 1:
            return values
        missing = -len(values) % self.window
        values = functional.pad(values, (0, 0, 0, 0, 0, missing))
        largest: Tensor = values.unflatten(0, (-1, self.window)).amax(1)
        return largest

    def follow(
        self, values: Tensor, pasts: Sequence[Tensor] | None
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """Go on with new steps, if causal; what they give, not shortened, and the new past.

        Parameters
        ----------
        values : torch.Tensor of shape (n_steps, n, n_inputs)
            New steps.
        pasts : sequence of torch.Tensor, or None
            What the last call gave; None at the beginning.

        Returns
        -------
        outputs : torch.Tensor of shape (n_steps, n, n_outputs)
            Outputs of the new steps.
        pasts : list of torch.Tensor
            Last inputs of each layer.
        """
        layers = cast(Sequence[DilatedConv], self.layers)
        if pasts is None:
            n = values.shape[1]
            pasts = [values.new_zeros(layer.reach, n, layer.n_inputs) for layer in layers]
        found = []
        for layer, norm, past in zip(layers, self.norms, pasts, strict=True):
            found.append(torch.cat([past, values])[-layer.reach :])
            values = torch.relu(norm(layer(values, past)))
        return values, found


def pooled_lengths(lengths: Tensor, window: int) -> Tensor:
    """Count windows, the last of which may be incomplete."""
    return (lengths + window - 1) // window
