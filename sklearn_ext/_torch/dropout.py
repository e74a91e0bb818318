"""Dropout that draws from the generator of a fit, never from torch's global one."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

__all__ = ["SharedDropout", "dropout_from"]

Tensor = torch.Tensor


class SharedDropout(nn.Module):
    """Dropout [1]_ with an explicit generator and one mask for everything in front of the rows.

    Of inputs (..., n_rows, n_units) the axes in front are members of an ensemble, or the steps of
    sequences [2]_: they share the mask.

    Parameters
    ----------
    p : float
        Probability that a unit is set to 0, in [0, 1).

    References
    ----------
    .. [1] N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
       overfitting", JMLR 15, 1929-1958, 2014; section 4.
    .. [2] Y. Gal and Z. Ghahramani, "A theoretically grounded application of dropout in recurrent
       neural networks", NeurIPS 2016, arXiv:1512.05287; section 4.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.generator: torch.Generator | None = None  # set while a fit runs
        # One mask for all rows, so that a row given twice is the same as a row of weight 2.
        self.shared_by_rows = False

    def forward(self, inputs: Tensor) -> Tensor:
        """Zero units while training, scale the others up."""
        if not self.training or self.p == 0.0:
            return inputs
        n_rows, n_units = (1 if self.shared_by_rows else inputs.shape[-2]), inputs.shape[-1]
        kept = _kept(n_rows, n_units, self.p, self.generator).to(inputs.device, inputs.dtype)
        return inputs * kept.mul_(1.0 / (1.0 - self.p))

    def extra_repr(self) -> str:
        """Describe the probability for printing."""
        return f"p={self.p}"


class _DrawnDropout(nn.Dropout):
    """torch's own dropout of single units, drawn from the generator of a fit."""

    generator: torch.Generator

    def forward(self, input: Tensor) -> Tensor:
        """Zero units while training, scale the others up; the argument is named as in torch."""
        if not self.training or self.p == 0.0:
            return input
        if self.p == 1.0:
            return input * 0.0
        kept = _kept(1, input.numel(), self.p, self.generator).view(input.shape)
        return input * kept.to(input.device, input.dtype).mul_(1.0 / (1.0 - self.p))


def _kept(n_rows: int, n_units: int, p: float, generator: torch.Generator | None) -> Tensor:
    """Units that stay, true with probability 1 - p up to 2^-17.

    Each number that the generator draws, on the CPU where it lives, is cut into four of 16 bits:
    drawing is what dropout costs most.
    """
    count = n_rows * n_units
    words = torch.empty((count + 3) // 4, dtype=torch.int64)
    draws = words.random_(-(2**63), None, generator=generator).view(torch.int16)
    return draws[:count].view(n_rows, n_units) >= round(p * 2**16) - 2**15


@contextmanager
def dropout_from(
    generator: torch.Generator, module: nn.Module, *, shared_by_rows: bool
) -> Iterator[None]:
    """Let all dropout of a module draw from `generator` inside the block.

    Parameters
    ----------
    generator : torch.Generator
        On the CPU.
    module : torch.nn.Module
        Module with :class:`SharedDropout`, or torch's own `Dropout`, anywhere in it.
    shared_by_rows : bool
        Whether all rows of a step get the same mask; torch's own has one for each unit always.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, SharedDropout)]
    of_torch = [layer for layer in module.modules() if type(layer) is nn.Dropout]
    for layer in layers:
        layer.generator, layer.shared_by_rows = generator, shared_by_rows
    for other in of_torch:
        other.__dict__["generator"] = generator
        other.__class__ = _DrawnDropout
    try:
        yield
    finally:
        for layer in layers:
            layer.generator = None
        for other in of_torch:
            other.__class__ = nn.Dropout
            del other.__dict__["generator"]
