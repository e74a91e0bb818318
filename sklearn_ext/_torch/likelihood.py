"""Log-likelihood of texts under a net that predicts next tokens, as a module of the one engine."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from sklearn_ext._torch.decoding import Decoding, decoded
from sklearn_ext._torch.losses import Loss
from sklearn_ext._torch.packing import Packed, pack

__all__ = ["NextTokenLoss", "TextLikelihood"]

Tensor = torch.Tensor

UNCOUNTED = -1  # target of a token whose successor is not predicted
LOGITS_AT_ONCE = 2**21  # whose losses are computed together


class NextTokenLoss(Loss):
    """Negative log-likelihood a token: raw outputs are sums over a text, targets the counts.

    With weights that are proportional to the counts the mean over texts is the mean over tokens.
    """

    def forward(self, raw: Tensor, target: Tensor) -> Tensor:
        """Give one loss a row."""
        return (raw / target).squeeze(-1)

    def response(self, raw: Tensor) -> Tensor:
        """Give log-likelihoods."""
        return -raw


class TextLikelihood(nn.Module):
    r"""Sums over t of :math:`-\log P(y_t \mid y_{<t})`.

    Parameters
    ----------
    body : torch.nn.Module
        Maps tokens (n, length), and positions of packed ones or None, to logits (n, length,
        n_tokens); its method ``step(tokens, memory)`` reads further tokens; ``packs`` says
        whether positions that start anew keep texts apart.
    """

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def members(self, inputs: dict[str, Tensor]) -> Tensor:
        """Negative log-likelihoods, (1, n, 1), of a batch.

        Parameters
        ----------
        inputs : dict
            "values" (n, longest, 2), also with an axis of length 1 in front: each token and the
            one that follows it, -1 where that is not counted; "lengths" (n,).
        """
        values, packed = self._packed(inputs)
        return _summed(self.body(packed.tokens, packed.positions), values, packed)

    def _packed(self, inputs: dict[str, Tensor]) -> tuple[Tensor, Packed]:
        """Padded pairs of tokens, (n, longest, 2), and the tokens packed."""
        lengths, longest = inputs["lengths"].reshape(-1), inputs["values"].shape[-2]
        values = inputs["values"].reshape(len(lengths), longest, 2)
        return values, pack(values[..., 0], lengths, together=bool(self.body.packs))

    # In two parts, for :mod:`sklearn_ext._torch.frozen_states`

    def cut_for(self, trained: Iterable[str]) -> int | None:
        """Lowest block with a trained parameter; None for the first, or what lies below it."""
        return self.body.cut_for([n.partition(".")[2] for n in trained]) or None  # type: ignore[operator]

    def below(self, inputs: dict[str, Tensor], cut: int) -> dict[str, Tensor]:
        """States that go into the upper part as "values" (n, longest, width), with "lengths"."""
        values, packed = self._packed(inputs)
        states = self.body.below(packed.tokens, packed.positions, cut)  # type: ignore[operator]
        found = states.new_zeros(values.shape[:2].numel(), states.shape[-1])
        found[packed.source] = states.flatten(0, 1)[packed.place]
        return {
            "values": found.unflatten(0, values.shape[:2]),
            "lengths": inputs["lengths"].reshape(-1),
        }

    def above(self, inputs: dict[str, Tensor], states: dict[str, Tensor], cut: int) -> Tensor:
        """Negative log-likelihoods, (1, n, 1), of what `below` gives."""
        values, packed = self._packed(inputs)
        padded = states["values"].reshape(values.shape[:2].numel(), -1)
        found = padded.new_zeros(packed.tokens.numel(), padded.shape[-1])
        found[packed.place] = padded[packed.source]
        found = found.unflatten(0, packed.tokens.shape)
        logits = self.body.above(packed.tokens, packed.positions, found, cut)  # type: ignore[operator]
        return _summed(logits, values, packed)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Negative log-likelihoods, (n, 1, 1)."""
        return self.members(inputs).transpose(0, 1)

    def continued(self, tokens: Tensor, decoding: Decoding, **rules: Any) -> list[list[int]]:
        """Draw what follows; see :func:`sklearn_ext._torch.decoding.decoded`."""
        return decoded(self.body.step, tokens, decoding, **rules)  # type: ignore[arg-type]


def _summed(logits: Tensor, values: Tensor, packed: Packed) -> Tensor:
    """Add up the negative log-likelihoods of each row, (1, n, 1)."""
    n_rows, longest = values.shape[:2]
    target = values[..., 1].reshape(-1)[packed.source]
    counted = target != UNCOUNTED
    losses = _losses(logits.flatten(0, 1), packed.place[counted], target[counted])
    row = packed.source[counted] // longest
    return losses.new_zeros(n_rows).index_add(0, row, losses).view(1, n_rows, 1)


def _losses(logits: Tensor, place: Tensor, target: Tensor) -> Tensor:
    """Negative log-likelihood of the target at each place of logits (n_places, n_tokens).

    Logits are the largest tensor of all: they are gathered where few of them count only.
    """
    if 2 * len(place) < len(logits):
        return functional.cross_entropy(logits[place], target, reduction="none")
    every = target.new_full((len(logits),), UNCOUNTED)
    every[place] = target
    # Some places at a time, so that the gradient needs two tensors of that size, not three.
    at_once = max(1, LOGITS_AT_ONCE // logits.shape[-1])
    parts = zip(logits.split(at_once), every.split(at_once), strict=True)
    found = [
        functional.cross_entropy(part, own, ignore_index=UNCOUNTED, reduction="none")
        for part, own in parts
    ]
    return torch.cat(found)[place]
