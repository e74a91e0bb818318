"""A text encoder of our own, and pooled states of any encoder with a linear head."""

from collections.abc import Iterable, Sequence
from math import sqrt
from typing import Any

import torch
from torch import nn

from sklearn_ext._torch.dropout import SharedDropout
from sklearn_ext._torch.modules import linear_layer
from sklearn_ext._torch.transformer_block import (
    Block,
    embedding,
    lowest_block,
    rotations,
    token_dropout,
)

__all__ = ["PooledClassifier", "TextEncoder"]

Tensor = torch.Tensor

ONLY_HEAD = -1  # cut in front of the head


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
        return self.above(tokens, inside, self.below(tokens, inside, 0), 0)

    # In two parts, for :mod:`sklearn_ext._torch.frozen_states`

    def cut_for(self, trained: Iterable[str]) -> int:
        """Lowest block with a trained parameter; see :func:`lowest_block`."""
        return lowest_block(trained, len(self.blocks))

    def below(self, tokens: Tensor, inside: Tensor, cut: int) -> Tensor:
        """States that go into block `cut`, (n, length, width)."""
        states = self.embedding(tokens)
        if self.places is not None:
            states = states + self.places(torch.arange(tokens.shape[1], device=tokens.device))
        states = token_dropout(self.dropout, states)
        return self._through(list(self.blocks)[:cut], states, inside)

    def above(self, tokens: Tensor, inside: Tensor, states: Tensor, cut: int) -> Tensor:
        """States of the last block, of what `below` gives."""
        found: Tensor = self.norm(self._through(list(self.blocks)[cut:], states, inside))
        return found

    def _through(self, blocks: Sequence[nn.Module], states: Tensor, inside: Tensor) -> Tensor:
        if not blocks:
            return states
        rotation = None
        if self.places is None:
            positions = torch.arange(states.shape[1], device=states.device).unsqueeze(0)
            rotation = rotations(positions, self.head_size, states.dtype)
        mask = None if bool(inside.all()) else inside[:, None, None, :]
        for block in blocks:
            states, _ = block(states, mask, rotation)
        return states


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
        tokens, inside = _padded(inputs)
        return self._pooled(self.encoder(tokens, inside), inside)

    def _pooled(self, states: Tensor, inside: Tensor) -> Tensor:
        if self.pooling == "first":
            return states[:, 0]
        masked = states * inside.unsqueeze(-1)
        return masked.sum(1) / inside.sum(1, keepdim=True).to(states.dtype)

    def members(self, inputs: dict[str, Tensor]) -> Tensor:
        """Raw outputs, (1, n, n_outputs)."""
        return self._judged(self.pooled(inputs))

    def _judged(self, pooled: Tensor) -> Tensor:
        raw: Tensor = self.head(self.dropout(pooled))
        return raw.unsqueeze(0)

    # In two parts, for :mod:`sklearn_ext._torch.frozen_states`

    def cut_for(self, trained: Iterable[str]) -> int | None:
        """Lowest block with a trained parameter; -1 if only the head has one.

        None for the first block, as embeddings alone are not worth keeping.
        """
        inner = [n.partition(".")[2] for n in trained if n.startswith("encoder.")]
        if not inner:
            return ONLY_HEAD
        return self.encoder.cut_for(inner) or None  # type: ignore[operator]

    def below(self, inputs: dict[str, Tensor], cut: int) -> Tensor | dict[str, Tensor]:
        """What goes into the upper part: states as "values" with "lengths", or pooled states."""
        if cut == ONLY_HEAD:
            return self.pooled(inputs)
        states = self.encoder.below(*_padded(inputs), cut)  # type: ignore[operator]
        return {"values": states, "lengths": inputs["lengths"].reshape(-1)}

    def above(self, inputs: dict[str, Tensor], states: Any, cut: int) -> Tensor:
        """Raw outputs, (1, n, n_outputs), of what `below` gives."""
        if cut == ONLY_HEAD:
            return self._judged(states.reshape(-1, states.shape[-1]))
        tokens, inside = _padded(inputs)
        values = states["values"].reshape(*tokens.shape, -1)
        values = self.encoder.above(tokens, inside, values, cut)  # type: ignore[operator]
        return self._judged(self._pooled(values, inside))

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Raw outputs, (n, 1, n_outputs)."""
        return self.members(inputs).transpose(0, 1)


def _padded(inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Tokens (n, longest), and what of them is no padding."""
    lengths = inputs["lengths"].reshape(-1)
    tokens = inputs["values"].reshape(len(lengths), -1)
    steps = torch.arange(tokens.shape[1], device=tokens.device)
    return tokens.clamp_min(0), steps < lengths.unsqueeze(-1)
