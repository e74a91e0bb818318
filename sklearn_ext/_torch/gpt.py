"""A small GPT: causal attention, tied head."""

from collections.abc import Iterable, Sequence

import torch
from torch import nn
from torch.nn import functional

from sklearn_ext._torch.dropout import SharedDropout
from sklearn_ext._torch.packing import segments
from sklearn_ext._torch.transformer_block import (
    Block,
    Memory,
    Rotation,
    embedding,
    lowest_block,
    rotations,
    token_dropout,
)

__all__ = ["GPT"]

Tensor = torch.Tensor


class GPT(nn.Module):
    """Transformer that predicts each next token from those before [1]_.

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

    References
    ----------
    .. [1] A. Radford, K. Narasimhan, T. Salimans and I. Sutskever, "Improving language
       understanding by generative pre-training", 2018; section 3.1.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ext._torch.gpt import GPT
    >>> net = GPT(11, 8, 2, 2, 16, "rotary", 0.0, torch.Generator().manual_seed(0)).double()
    >>> net(torch.tensor([[1, 2, 3]])).shape
    torch.Size([1, 3, 11])
    """

    packs = True  # several texts may share a row

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
        # The head is tied to them: logits and, times the gain, inputs of deviation 1.
        scale = width**-0.5
        self.embedding = embedding(n_tokens, width, scale, generator)
        self.places = (
            embedding(longest, width, scale, generator) if positions == "learned" else None
        )
        self.gain = 1.0 / scale
        self.head_size = width // n_heads
        self.blocks = nn.ModuleList(
            Block(width, n_heads, n_layers, dropout, generator) for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.dropout = SharedDropout(dropout)

    def forward(self, tokens: Tensor, positions: Tensor | None = None) -> Tensor:
        """Compute logits (n, length, n_tokens) of what follows each of the tokens (n, length).

        Of packed texts, with `positions` that start anew, none sees another.
        """
        return self.above(tokens, positions, self.below(tokens, positions, 0), 0)

    # In two parts, for :mod:`sklearn_ext._torch.frozen_states`

    def cut_for(self, trained: Iterable[str]) -> int:
        """Lowest block with a trained parameter; see :func:`lowest_block`."""
        return lowest_block(trained, len(self.blocks))

    def below(self, tokens: Tensor, positions: Tensor | None, cut: int) -> Tensor:
        """States that go into block `cut`, (n, length, width)."""
        states = self._embedded(tokens, _counted(tokens, positions))
        return self._causal(list(self.blocks)[:cut], states, positions)

    def above(self, tokens: Tensor, positions: Tensor | None, states: Tensor, cut: int) -> Tensor:
        """Logits (n, length, n_tokens) of what `below` gives."""
        return self._logits(self._causal(list(self.blocks)[cut:], states, positions))

    def _causal(
        self, blocks: Sequence[nn.Module], states: Tensor, positions: Tensor | None
    ) -> Tensor:
        """Go through blocks, in which no token sees later ones or another text."""
        if not blocks:
            return states
        mask = None
        if positions is not None:
            number = segments(positions)
            mask = (number.unsqueeze(-1) == number.unsqueeze(-2)).tril().unsqueeze(1)
        rotation = self._rotation(_counted(states, positions), states.dtype)
        for block in blocks:
            states, _ = block(states, mask, rotation, None, is_causal=mask is None)
        return states

    def step(self, tokens: Tensor, memory: list[Memory] | None) -> tuple[Tensor, list[Memory]]:
        """Read further tokens (n, new) of texts; logits (n, n_tokens) of what follows the last.

        Parameters
        ----------
        tokens : torch.Tensor of shape (n, new)
            One new token a text, or any number of first tokens.
        memory : list of tuple or None
            What the call before returned; None at the beginning.
        """
        start = 0 if memory is None else memory[0][0].shape[2]
        positions = torch.arange(start, start + tokens.shape[1], device=tokens.device).unsqueeze(0)
        states = self._embedded(tokens, positions)
        rotation, found = self._rotation(positions, states.dtype), []
        for number, block in enumerate(self.blocks):
            kept = None if memory is None else memory[number]
            states, kept = block(states, None, rotation, kept, is_causal=memory is None)
            found.append(kept)
        return self._logits(states[:, -1]), found

    def _embedded(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """Inputs of the first block."""
        states = self.embedding(tokens) * self.gain
        if self.places is not None:
            states = states + self.places(positions) * self.gain
        return token_dropout(self.dropout, states)

    def _rotation(self, positions: Tensor, dtype: torch.dtype) -> Rotation | None:
        return rotations(positions, self.head_size, dtype) if self.places is None else None

    def _logits(self, states: Tensor) -> Tensor:
        return functional.linear(self.norm(states), self.embedding.weight)


def _counted(states: Tensor, positions: Tensor | None) -> Tensor:
    """Positions, where none are given those of one text a row."""
    if positions is not None:
        return positions
    return torch.arange(states.shape[1], device=states.device).unsqueeze(0)
