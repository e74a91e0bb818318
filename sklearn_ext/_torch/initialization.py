"""Initial weights, drawn from an explicit generator."""

import torch

__all__ = ["normal"]


def normal(shape: tuple[int, ...], scale: float, generator: torch.Generator) -> torch.Tensor:
    """Draw from the normal distribution of standard deviation `scale`; float64 on the CPU."""
    return torch.randn(shape, generator=generator, dtype=torch.float64) * scale
