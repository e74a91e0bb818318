"""A text encoder of our own, and pooled states of any encoder with a linear head."""

from math import sqrt

import torch
from torch import nn

from sklearn_ext._torch.dropout import SharedDropout
from sklearn_ext._torch.modules import linear_layer
from sklearn_ext._torch.transformer_block import Block, embedding, rotations, token_dropout

__all__ = ["PooledClassifier", "TextEncoder"]

Tensor = torch.Tensor


class TextEncoder(nn.Module):
    """Transformer whose tokens see each other both ways.

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
        self.width, self.head_size = width, width // n_heads
        self.embedding = embedding(n_tokens, width, 1.0, generator)
        self.places = embedding(longest, width, 1.0, generator) if positions == "learned" else None
        self.blocks = nn.ModuleList(
            Block(width, n_heads, n_layers, dropout, generator) for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.dropout = SharedDropout(dropout)

    def forward(self, tokens: Tensor, inside: Tensor) -> Tensor:
        """Compute states (n, length, width) of tokens (n, length), of which some are `inside`."""
        positions = torch.arange(tokens.shape[1], device=tokens.device).unsqueeze(0)
        states, rotation = self.embedding(tokens), None
        if self.places is not None:
            states = states + self.places(positions)
        else:
            rotation = rotations(positions, self.head_size, states.dtype)
        states = token_dropout(self.dropout, states)
        mask = None if bool(inside.all()) else inside[:, None, None, :]
        for block in self.blocks:
            states, _ = block(states, mask, rotation)
        found: Tensor = self.norm(states)
        return found


class PooledClassifier(nn.Module):
    """Pooled states of an encoder and a linear head.

    Parameters
    ----------
    encoder : torch.nn.Module
        Maps tokens (n, length) and what of them is no padding, (n, length) bool, to states
        (n, length, width); `width` is its attribute.
    pooling : {"mean", "first"}
        Mean of the states of a text, or the state of its first token.
    n_outputs : int
        Raw outputs.
    dropout : float
        Probability of dropout in front of the head.
    generator : torch.Generator
        Draws the head.
    """

    def __init__(
        self,
        encoder: nn.Module,
        pooling: str,
        n_outputs: int,
        dropout: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        width = int(encoder.width)  # type: ignore[arg-type]
        self.encoder, self.pooling = encoder, pooling
        self.dropout = SharedDropout(dropout)
        self.head = linear_layer(1, width, n_outputs, 0.1 / sqrt(width), generator)

    def pooled(self, inputs: dict[str, Tensor]) -> Tensor:
        """Pooled states (n, width) of "values" (n, longest), padded tokens, with "lengths" (n,).

        Both may have an axis of length 1 in front.
        """
        lengths = inputs["lengths"].reshape(-1)
        tokens = inputs["values"].reshape(len(lengths), -1)
        steps = torch.arange(tokens.shape[1], device=tokens.device)
        inside = steps < lengths.unsqueeze(-1)
        states: Tensor = self.encoder(tokens.clamp_min(0), inside)
        if self.pooling == "first":
            return states[:, 0]
        masked = states * inside.unsqueeze(-1)
        return masked.sum(1) / lengths.unsqueeze(-1).to(states.dtype)

    def members(self, inputs: dict[str, Tensor]) -> Tensor:
        """Raw outputs, (1, n, n_outputs)."""
        raw: Tensor = self.head(self.dropout(self.pooled(inputs)))
        return raw.unsqueeze(0)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Raw outputs, (n, 1, n_outputs)."""
        return self.members(inputs).transpose(0, 1)
