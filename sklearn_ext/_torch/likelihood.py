"""Log-likelihood of texts under a net that predicts next tokens, as a module of the one engine."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from sklearn_ext._torch.decoding import Decoding, decoded
from sklearn_ext._torch.losses import Loss
from sklearn_ext._torch.packing import pack

__all__ = ["NextTokenLoss", "TextLikelihood"]

Tensor = torch.Tensor

UNCOUNTED = -1  # target of a token whose successor is not predicted


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
        lengths, longest = inputs["lengths"].reshape(-1), inputs["values"].shape[-2]
        n_rows = len(lengths)
        values = inputs["values"].reshape(n_rows, longest, 2)
        packed = pack(values[..., 0], lengths, together=bool(self.body.packs))
        logits = self.body(packed.tokens, packed.positions).flatten(0, 1)
        target = values[..., 1].reshape(-1)[packed.source]
        counted = target != UNCOUNTED
        losses = functional.cross_entropy(
            logits[packed.place[counted]], target[counted], reduction="none"
        )
        row = packed.source[counted] // longest
        return losses.new_zeros(n_rows).index_add(0, row, losses).view(1, n_rows, 1)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Negative log-likelihoods, (n, 1, 1)."""
        return self.members(inputs).transpose(0, 1)

    def continued(self, tokens: Tensor, decoding: Decoding, **rules: Any) -> list[list[int]]:
        """Draw what follows; see :func:`sklearn_ext._torch.decoding.decoded`."""
        return decoded(self.body.step, tokens, decoding, **rules)  # type: ignore[arg-type]
