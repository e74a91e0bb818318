"""A small GPT: causal attention, tied head."""

import torch
from torch.nn import functional

from sklearn_ext._torch.packing import segments
from sklearn_ext._torch.token_net import TokenNet
from sklearn_ext._torch.transformer_block import Memory

__all__ = ["GPT"]

Tensor = torch.Tensor


class GPT(TokenNet):
    """Transformer that predicts each next token from those before [1]_.

    Parameters are those of :class:`~sklearn_ext._torch.token_net.TokenNet`.

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
    is_tied = True

    def forward(self, tokens: Tensor, positions: Tensor | None = None) -> Tensor:
        """Compute logits (n, length, n_tokens) of what follows each of the tokens (n, length).

        Of packed texts, with `positions` that start anew, none sees another.
        """
        mask = None
        if positions is not None:
            number = segments(positions)
            mask = (number.unsqueeze(-1) == number.unsqueeze(-2)).tril().unsqueeze(1)
        states, _ = self._states(tokens, positions, mask, None)
        return self._logits(states)

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
        positions = torch.arange(start, start + tokens.shape[1], device=tokens.device)
        states, memory = self._states(tokens, positions.unsqueeze(0), None, memory)
        return self._logits(states[:, -1]), memory

    def _states(
        self,
        tokens: Tensor,
        positions: Tensor | None,
        mask: Tensor | None,
        memory: list[Memory] | None,
    ) -> tuple[Tensor, list[Memory]]:
        """States of the last layer and all keys and values; without a mask all tokens before."""
        states, rotation = self._first_states(tokens, positions)
        found, causal = [], mask is None and memory is None
        for number, block in enumerate(self.blocks):
            kept = None if memory is None else memory[number]
            states, kept = block(states, mask, rotation, kept, is_causal=causal)
            found.append(kept)
        return self.norm(states), found

    def _logits(self, states: Tensor) -> Tensor:
        return functional.linear(states, self.embedding.weight)
