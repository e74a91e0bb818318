"""A small GPT: causal attention, tied head."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from sklearn_ext._torch.packing import segments
from sklearn_ext._torch.transformer import Transformer, counted
from sklearn_ext._torch.transformer_block import Memory

__all__ = ["GPT"]

Tensor = torch.Tensor


class GPT(Transformer):
    """Transformer that predicts each next token from those before [1]_.

    Parameters
    ----------
    n_tokens, width, n_layers, n_heads, longest, positions, dropout, generator
        See :class:`~sklearn_ext._torch.transformer.Transformer`.

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

    def __init__(self, n_tokens: int, width: int, *others: Any, **named: Any) -> None:
        # The head is tied to the embeddings: logits and, times the gain, inputs of deviation 1.
        super().__init__(n_tokens, width, *others, scale=width**-0.5, **named)

    def forward(self, tokens: Tensor, positions: Tensor | None = None) -> Tensor:
        """Compute logits (n, length, n_tokens) of what follows each of the tokens (n, length).

        Of packed texts, with `positions` that start anew, none sees another.
        """
        return self.above(tokens, positions, self.below(tokens, positions, 0), 0)

    # In two parts, for :mod:`sklearn_ext._torch.frozen_states`

    def below(self, tokens: Tensor, positions: Tensor | None, cut: int) -> Tensor:
        """States that go into block `cut`, (n, length, width)."""
        states = self.embedded(tokens, counted(tokens, positions))
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
        return self.through(blocks, states, counted(states, positions), mask, mask is None)

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
        states = self.embedded(tokens, positions)
        rotation, found = self.rotation(positions, states.dtype), []
        for number, block in enumerate(self.blocks):
            kept = None if memory is None else memory[number]
            states, kept = block(states, None, rotation, kept, is_causal=memory is None)
            found.append(kept)
        return self._logits(states[:, -1]), found

    def _logits(self, states: Tensor) -> Tensor:
        return functional.linear(self.norm(states), self.embedding.weight)
