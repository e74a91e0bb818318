"""Attention and feed-forward blocks of our own transformers, GPT and text encoder."""

from collections.abc import Iterable
from math import sqrt

import torch
from torch import nn
from torch.nn import functional

from sklearn_ext._torch.dropout import SharedDropout
from sklearn_ext._torch.initialization import normal
from sklearn_ext._torch.packed_linear import linear_layer

__all__ = [
    "Attention",
    "Block",
    "Rotation",
    "embedding",
    "lowest_block",
    "rotations",
    "token_dropout",
]

Tensor = torch.Tensor
Rotation = tuple[Tensor, Tensor]  # cosines and sines, each (n or 1, 1, length, head_size)
Memory = tuple[Tensor, Tensor]  # keys and values so far, each (n, n_heads, length, head_size)

ROTARY_BASE = 10000.0


def rotations(positions: Tensor, head_size: int, dtype: torch.dtype) -> Rotation:
    r"""Angles by which rotary embedding [1]_ turns queries and keys.

    The pair (i, i + head_size / 2) of a head at position m is turned by
    :math:`m \, 10000^{-2 i / head\_size}`.

    Parameters
    ----------
    positions : torch.Tensor of shape (n, length)
        Positions.
    head_size : int
        Width of a head, even.
    dtype : torch.dtype
        Of what is returned.

    Returns
    -------
    cosines, sines : torch.Tensor of shape (n, 1, length, head_size)
        Of the angles.

    References
    ----------
    .. [1] J. Su et al., "RoFormer: Enhanced transformer with rotary position embedding",
       Neurocomputing 568, 2024, arXiv:2104.09864; eq. 34.
    """
    exponents = torch.arange(0, head_size, 2, device=positions.device, dtype=torch.float64)
    angles = positions.unsqueeze(-1) * ROTARY_BASE ** (-exponents / head_size)
    angles = torch.cat([angles, angles], dim=-1).unsqueeze(1)
    return angles.cos().to(dtype), angles.sin().to(dtype)


def _turned(values: Tensor, rotation: Rotation | None) -> Tensor:
    """Turn each pair of a head, (n, n_heads, length, head_size)."""
    if rotation is None:
        return values
    first, second = values.chunk(2, dim=-1)
    cosines, sines = rotation
    return values * cosines + torch.cat([-second, first], dim=-1) * sines


class Attention(nn.Module):
    """Multi-head self-attention [1]_.

    Parameters
    ----------
    width : int
        Width of the states, a multiple of `n_heads`.
    n_heads : int
        Number of heads.
    out_scale : float
        Standard deviation of the first output weights.
    generator : torch.Generator
        Draws the weights.

    References
    ----------
    .. [1] A. Vaswani et al., "Attention is all you need", NeurIPS 2017, arXiv:1706.03762; eq. 1.
    """

    def __init__(
        self, width: int, n_heads: int, out_scale: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.n_heads = n_heads
        scale = 1.0 / sqrt(width)
        self.queries_keys_values = linear_layer(1, width, 3 * width, scale, generator)
        self.out = linear_layer(1, width, width, out_scale, generator)

    def forward(
        self,
        states: Tensor,
        mask: Tensor | None,
        rotation: Rotation | None,
        memory: Memory | None = None,
        *,
        is_causal: bool = False,
    ) -> tuple[Tensor, Memory]:
        """Attend; the new states (n, length, width) and all keys and values."""
        n, length, width = states.shape
        parts = self.queries_keys_values(states).view(n, length, 3, self.n_heads, -1)
        queries, keys, values = parts.permute(2, 0, 3, 1, 4)  # (n, n_heads, length, head_size)
        queries, keys = _turned(queries, rotation), _turned(keys, rotation)
        if memory is not None:
            keys = torch.cat([memory[0], keys], dim=2)
            values = torch.cat([memory[1], values], dim=2)
        mixed = functional.scaled_dot_product_attention(
            queries, keys, values, attn_mask=mask, is_causal=is_causal
        )
        found: Tensor = self.out(mixed.transpose(1, 2).reshape(n, length, width))
        return found, (keys, values)


def embedding(rows: int, width: int, scale: float, generator: torch.Generator) -> nn.Embedding:
    """Make an embedding without drawing from torch's global generator."""
    return nn.Embedding(rows, width, _weight=normal((rows, width), scale, generator))


def lowest_block(trained: Iterable[str], n_blocks: int) -> int:
    """Find the lowest block of a transformer of ours that has a trained parameter.

    Parameters
    ----------
    trained : iterable of str
        Names of trained parameters.
    n_blocks : int
        Number of blocks.

    Returns
    -------
    number : int
        From 0, also for what lies in front of the blocks; `n_blocks` if only what lies behind them
        is trained.

    Examples
    --------
    >>> from sklearn_ext._torch.transformer_block import lowest_block
    >>> lowest_block(["norm.bias", "blocks.2.up.weight"], 4)
    2
    """
    number = n_blocks
    for name in trained:
        part, local, *_ = name.split(".")
        if part != "norm":
            number = min(number, int(local) if part == "blocks" else 0)
    return number


def token_dropout(dropout: nn.Module, states: Tensor) -> Tensor:
    """Drop units of every token of (n, length, width) on its own."""
    found: Tensor = dropout(states.reshape(-1, states.shape[-1]))
    return found.view_as(states)


class Block(nn.Module):
    """Pre-norm block: x + attention(norm(x)), then x + feed-forward(norm(x)) with GELU [1]_.

    Parameters
    ----------
    width, n_heads : int
        See :class:`Attention`.
    depth : int
        Number of blocks of the net: the first output weights of each are smaller by
        (2 depth)^(-1/2), so that the states do not grow with it.
    dropout : float
        Probability of dropout behind attention and feed-forward layer.
    generator : torch.Generator
        Draws the weights.

    References
    ----------
    .. [1] A. Radford et al., "Language models are unsupervised multitask learners", 2019;
       section 2.3.
    """

    def __init__(
        self, width: int, n_heads: int, depth: int, dropout: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        scale, small = 1.0 / sqrt(width), 1.0 / sqrt(width * 2.0 * depth)
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, n_heads, small, generator)
        self.up = linear_layer(1, width, 4 * width, scale, generator)
        self.down = linear_layer(1, 4 * width, width, 0.5 * small, generator)
        self.dropout = SharedDropout(dropout)

    def forward(
        self,
        states: Tensor,
        mask: Tensor | None,
        rotation: Rotation | None,
        memory: Memory | None = None,
        *,
        is_causal: bool = False,
    ) -> tuple[Tensor, Memory]:
        """Give the new states, (n, length, width), and all keys and values."""
        mixed, memory = self.attention(
            self.attention_norm(states), mask, rotation, memory, is_causal=is_causal
        )
        states = states + token_dropout(self.dropout, mixed)
        hidden = functional.gelu(self.up(self.mlp_norm(states)))
        return states + token_dropout(self.dropout, self.down(hidden)), memory
