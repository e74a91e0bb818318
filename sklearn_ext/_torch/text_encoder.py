"""A text encoder of our own, and pooled states of any encoder with a linear head."""

from collections.abc import Callable, Iterable, Sequence
from math import sqrt
from typing import Any

import torch
from torch import nn

from sklearn_ext._torch.dropout import SharedDropout
from sklearn_ext._torch.packed_linear import linear_layer
from sklearn_ext._torch.transformer import Transformer, counted

__all__ = ["PooledClassifier", "TextEncoder", "length_parts"]

Tensor = torch.Tensor
Index = Tensor | slice  # numbers of some texts, or all

ONLY_HEAD = -1  # cut in front of the head
PART_COST = 40  # in tokens: what it costs a step on a CPU to go through the layers once more


def length_parts(lengths: Tensor, part_cost: int = PART_COST) -> list[Tensor]:
    """Share texts out to parts of about the same length, each padded to its own longest.

    Parameters
    ----------
    lengths : torch.Tensor of shape (n,)
        Lengths, at least one.
    part_cost : int, default=PART_COST
        Padding, in tokens, that has to be saved by one part more.

    Returns
    -------
    parts : list of torch.Tensor
        Numbers of texts; those of equal length are in one part.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ext._torch.text_encoder import length_parts
    >>> length_parts(torch.tensor([9, 3, 80, 5, 70]))
    [tensor([1, 3, 0]), tensor([4, 2])]
    """
    order = lengths.argsort(stable=True)
    rising = lengths[order]
    # The first b texts would be padded to length rising[b - 1] and no more to the longest.
    saved = torch.arange(1, len(order), device=order.device) * (rising[-1] - rising[:-1])
    if len(order) < 2 or int(saved.max()) <= part_cost:
        return [order]
    first, others = order.tensor_split([int(saved.argmax()) + 1])
    parts = length_parts(lengths[first], part_cost), length_parts(lengths[others], part_cost)
    return [first[p] for p in parts[0]] + [others[p] for p in parts[1]]


class TextEncoder(Transformer):
    """Transformer whose tokens see each other both ways.

    Parameters
    ----------
    n_tokens, width, n_layers, n_heads, longest, positions, dropout, generator
        See :class:`~sklearn_ext._torch.transformer.Transformer`.
    """

    def forward(self, tokens: Tensor, inside: Tensor) -> Tensor:
        """Compute states (n, length, width) of tokens (n, length), of which some are `inside`."""
        return self.above(tokens, inside, self.below(tokens, inside, 0), 0)

    # In two parts, for :mod:`sklearn_ext._torch.frozen_states`

    def below(self, tokens: Tensor, inside: Tensor, cut: int) -> Tensor:
        """States that go into block `cut`, (n, length, width)."""
        return self._among(list(self.blocks)[:cut], self.embedded(tokens, counted(tokens)), inside)

    def above(self, tokens: Tensor, inside: Tensor, states: Tensor, cut: int) -> Tensor:
        """States of the last block, of what `below` gives."""
        found: Tensor = self.norm(self._among(list(self.blocks)[cut:], states, inside))
        return found

    def _among(self, blocks: Sequence[nn.Module], states: Tensor, inside: Tensor) -> Tensor:
        """Go through blocks, in which a token sees all tokens inside."""
        if not blocks:
            return states
        mask = None if bool(inside.all()) else inside[:, None, None, :]
        return self.through(blocks, states, counted(states), mask)


def _is_head(name: str) -> bool:
    """Whether a parameter of a classifier, compiled or not, is one of its head."""
    return name.removeprefix("_orig_mod.").startswith("head.")


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
    head_ratio : float, default=1.0
        Learning rate of the head over that of the encoder.
    head_ratio_beside_changes : float, default=1.0
        The same where the encoder learns by low-rank changes.
    head_scale : float, default=0.1
        Standard deviation of the head's weights, times the square root of the width.
    """

    def __init__(
        self,
        encoder: nn.Module,
        pooling: str,
        n_outputs: int,
        dropout: float,
        generator: torch.Generator,
        head_ratio: float = 1.0,
        head_ratio_beside_changes: float = 1.0,
        head_scale: float = 0.1,
    ) -> None:
        super().__init__()
        width = int(encoder.width)  # type: ignore[arg-type]
        self.encoder, self.pooling = encoder, pooling
        self.dropout = SharedDropout(dropout)
        self.head = linear_layer(1, width, n_outputs, head_scale / sqrt(width), generator)
        self.head_ratio, self.head_ratio_beside_changes = head_ratio, head_ratio_beside_changes

    def rate_ratio(self, name: str) -> float:
        """Learning rate of a parameter over that of most: a head that is new has its own."""
        return self.head_ratio if _is_head(name) else 1.0

    def rate_ratio_of_whole(self, name: str) -> float:
        """Learning rate of a parameter that is trained whole over that of low-rank changes."""
        return self.head_ratio_beside_changes if _is_head(name) else 1.0

    def pooled(self, inputs: dict[str, Tensor]) -> Tensor:
        """Pooled states (n, width) of "values" (n, longest), padded tokens, with "lengths" (n,).

        Both may have an axis of length 1 in front.
        """

        def encoded(index: Index, tokens: Tensor, inside: Tensor) -> Tensor:
            states: Tensor = self.encoder(tokens, inside)
            return states

        return self._pooled_in_parts(inputs, encoded)

    def _pooled_in_parts(
        self, inputs: dict[str, Tensor], states_of: Callable[[Index, Tensor, Tensor], Tensor]
    ) -> Tensor:
        """Pool the states of each part of texts of about the same length."""
        tokens, inside = _padded(inputs)
        lengths = inputs["lengths"].reshape(-1)
        parts = self._parts(lengths)
        if len(parts) == 1:
            return self._pooled(states_of(slice(None), tokens, inside), inside)
        pooled = []
        for index in parts:
            longest = int(lengths[index].max())
            part = tokens[index, :longest], inside[index, :longest]
            pooled.append(self._pooled(states_of(index, *part), part[1]))
        return torch.cat(pooled)[torch.cat(parts).argsort()]

    def _parts(self, lengths: Tensor) -> list[Tensor]:
        """All texts at once where parts cost more, and where all have to share their dropout."""
        if not getattr(self.encoder, "hides_padding", True):
            return length_parts(lengths, 0)  # each of one length
        shares = self.training and self.dropout.shared_by_rows
        if shares or lengths.device.type != "cpu" or torch.compiler.is_compiling():
            return [torch.arange(len(lengths), device=lengths.device)]
        return length_parts(lengths)

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
        values = states["values"].flatten(0, -3)  # (n, longest, width)

        def upper(index: Index, tokens: Tensor, inside: Tensor) -> Tensor:
            below = values[index, : tokens.shape[1]]
            found: Tensor = self.encoder.above(tokens, inside, below, cut)  # type: ignore[operator]
            return found

        return self._judged(self._pooled_in_parts(inputs, upper))

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Raw outputs, (n, 1, n_outputs)."""
        return self.members(inputs).transpose(0, 1)


def _padded(inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Tokens (n, longest), and what of them is no padding."""
    lengths = inputs["lengths"].reshape(-1)
    tokens = inputs["values"].reshape(len(lengths), -1)
    steps = torch.arange(tokens.shape[1], device=tokens.device)
    return tokens.clamp_min(0), steps < lengths.unsqueeze(-1)
