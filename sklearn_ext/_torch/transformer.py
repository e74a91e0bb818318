"""What our own transformers, GPT and text encoder, have in common: tokens in, states out."""

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from sklearn_ext._torch.dropout import SharedDropout
from sklearn_ext._torch.transformer_block import (
    Block,
    embedding,
    lowest_block,
    rotations,
    token_dropout,
)

__all__ = ["Transformer", "counted"]

Tensor = torch.Tensor


def counted(states: Tensor, positions: Tensor | None = None) -> Tensor:
    """Positions, where none are given those of one text a row."""
    if positions is not None:
        return positions
    return torch.arange(states.shape[1], device=states.device).unsqueeze(0)


class Transformer(nn.Module):
    """Embedded tokens, blocks one upon another, and a normalisation.

    Parameters
    ----------
    n_tokens : int
        Size of the vocabulary.
    width : int
        Width of the states, a multiple of `n_heads`.
    n_layers : int
        Number of blocks.
    n_heads : int
        Heads of each attention.
    longest : int
        Most tokens of an input; only learned positions need it.
    positions : {"rotary", "learned"}
        How a token knows where it stands.
    dropout : float
        Probability of dropout.
    generator : torch.Generator
        Draws the weights.
    scale : float, default=1.0
        Standard deviation of the first embeddings. They are multiplied by its inverse.
    """

    def __init__(
        self,
        n_tokens: int,
        width: int,
        n_layers: int,
        n_heads: int,
        longest: int,
        positions: str,
        dropout: float,
        generator: torch.Generator,
        *,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.width, self.head_size, self.gain = width, width // n_heads, 1.0 / scale
        self.embedding = embedding(n_tokens, width, scale, generator)
        self.places = (
            embedding(longest, width, scale, generator) if positions == "learned" else None
        )
        self.blocks = nn.ModuleList(
            Block(width, n_heads, n_layers, dropout, generator) for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.dropout = SharedDropout(dropout)

    def cut_for(self, trained: Iterable[str]) -> int:
        """Lowest block with a trained parameter; see :func:`lowest_block`."""
        return lowest_block(trained, len(self.blocks))

    def embedded(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """Inputs of the first block, (n, length, width)."""
        states = self.embedding(tokens) * self.gain
        if self.places is not None:
            states = states + self.places(positions) * self.gain
        return token_dropout(self.dropout, states)

    def rotation(self, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor] | None:
        """Angles of rotary embedding, where positions are not learned."""
        return rotations(positions, self.head_size, dtype) if self.places is None else None

    def through(
        self,
        blocks: Sequence[nn.Module],
        states: Tensor,
        positions: Tensor,
        mask: Tensor | None,
        is_causal: bool = False,
    ) -> Tensor:
        """Go through some of the blocks."""
        rotation = self.rotation(positions, states.dtype)
        for block in blocks:
            states, _ = block(states, mask, rotation, None, is_causal=is_causal)
        return states
