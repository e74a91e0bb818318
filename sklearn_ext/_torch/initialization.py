"""Initial weights, drawn from an explicit generator; all of them float64 on the CPU."""

import torch

__all__ = ["chrono_logits", "normal", "orthogonal", "uniform"]


def normal(shape: tuple[int, ...], scale: float, generator: torch.Generator) -> torch.Tensor:
    """Draw from the normal distribution of standard deviation `scale`."""
    return torch.randn(shape, generator=generator, dtype=torch.float64) * scale


def uniform(shape: tuple[int, ...], bound: float, generator: torch.Generator) -> torch.Tensor:
    """Draw from the uniform distribution on (-bound, bound)."""
    return (torch.rand(shape, generator=generator, dtype=torch.float64) * 2.0 - 1.0) * bound


def orthogonal(width: int, generator: torch.Generator) -> torch.Tensor:
    """Draw a square orthogonal matrix from the uniform (Haar) distribution [1]_.

    References
    ----------
    .. [1] F. Mezzadri, "How to generate random matrices from the classical compact groups",
       Notices of the AMS 54(5), 592-604, 2007; section 5.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ext._torch.initialization import orthogonal
    >>> Q = orthogonal(3, torch.Generator().manual_seed(0))
    >>> torch.allclose(Q @ Q.T, torch.eye(3, dtype=Q.dtype))
    True
    """
    found, triangle = torch.linalg.qr(normal((width, width), 1.0, generator))
    signs = torch.where(triangle.diagonal() < 0, -1.0, 1.0)
    return torch.mul(found, signs)


def chrono_logits(width: int, longest: int, generator: torch.Generator) -> torch.Tensor:
    """Draw biases of gates that keep: log u with u uniform on [1, longest - 1].

    A unit whose gate keeps the share σ(b) of its state a step forgets within 1 + exp(b) steps, so
    the units remember for 2 up to `longest` steps [1]_.

    Parameters
    ----------
    width : int
        Number of units.
    longest : int
        Length of the longest sequence.
    generator : torch.Generator
        Draws them.

    Returns
    -------
    logits : torch.Tensor of shape (width,)
        Biases, >= 0.

    References
    ----------
    .. [1] C. Tallec and Y. Ollivier, "Can recurrent neural networks warp time?", ICLR 2018,
       arXiv:1804.11188; eq. 16.
    """
    draws = torch.rand(width, generator=generator, dtype=torch.float64)
    return (1.0 + draws * max(longest - 2, 0)).log()
