"""What our own transformers share, GPT and text encoder: from tokens to the first block."""

import torch
from torch import nn

from sklearn_ext._torch.dropout import SharedDropout
from sklearn_ext._torch.transformer_block import (
    Block,
    Rotation,
    embedding,
    rotations,
    token_dropout,
)

__all__ = ["TokenNet"]

Tensor = torch.Tensor


class TokenNet(nn.Module):
    """Embedded tokens with their places, blocks and a last norm; a subclass says who sees whom.

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
    """

    is_tied = False  # whether the embeddings are the weights of a head too

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
    ) -> None:
        super().__init__()
        # Those of a head give logits and, times the gain, inputs of deviation 1.
        scale = width**-0.5 if self.is_tied else 1.0
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

    def _first_states(
        self, tokens: Tensor, positions: Tensor | None = None
    ) -> tuple[Tensor, Rotation | None]:
        """States (n, length, width) in front of the blocks; the rotation of queries and keys."""
        if positions is None:
            positions = torch.arange(tokens.shape[1], device=tokens.device).unsqueeze(0)
        states, rotation = self.embedding(tokens) * self.gain, None
        if self.places is not None:
            states = states + self.places(positions) * self.gain
        else:
            rotation = rotations(positions, self.head_size, states.dtype)
        return token_dropout(self.dropout, states), rotation
