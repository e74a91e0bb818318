"""Linear layers and activations one upon another, on an encoded table."""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from math import sqrt

import torch
from torch import nn

from sklearn_ext._torch.activations import activation_function
from sklearn_ext._torch.dropout import SharedDropout
from sklearn_ext._torch.encoding import PackedEmbedding, PeriodicFeatures, TableEncoding
from sklearn_ext._torch.packed_linear import linear_layer

__all__ = ["Tower"]

Tensor = torch.Tensor

WAVE_SIZE = 4  # outputs of the waves of one column
EMBEDDING_SIZE = 16


class Tower(nn.Module):
    """Members of one kind: they see the same encoded columns, each with weights of its own.

    Parameters
    ----------
    encoding : TableEncoding
        What the inputs went through.
    hidden_layer_sizes : sequence of int
        Widths.
    n_outputs : int
        Raw outputs of one member.
    n_members : int
        Number of members.
    sees_bins : bool
        Whether they see the bins.
    n_frequencies : int
        Waves a numeric column; 0 for none.
    activation : str
        Name of the activation function.
    dropout : float
        Probability of dropout behind every hidden layer.
    generator : torch.Generator
        Draws the weights.
    gain : float, default=1.0
        Factor of all inputs.
    sees_straight : bool, default=False
        Whether they see numeric columns as they are, in the place of the clipped ones.
    """

    def __init__(
        self,
        encoding: TableEncoding,
        hidden_layer_sizes: Sequence[int],
        n_outputs: int,
        *,
        n_members: int,
        sees_bins: bool,
        n_frequencies: int,
        activation: str,
        dropout: float,
        generator: torch.Generator,
        gain: float = 1.0,
        sees_straight: bool = False,
    ) -> None:
        super().__init__()
        self.n_members, self.gain = n_members, gain
        self.n_numeric, self.n_embedded = encoding.n_numeric, encoding.n_embedded
        self.n_seen = encoding.n_plain + (encoding.n_bins if sees_bins else 0)
        start = encoding.n_plain + encoding.n_bins
        self.straight = slice(start, start + encoding.n_numeric) if sees_straight else None
        self.waves = self.embedding = None
        if n_frequencies:
            self.waves = PeriodicFeatures(
                n_members, encoding.n_numeric, n_frequencies, WAVE_SIZE, generator
            )
        if self.n_embedded:
            self.embedding = PackedEmbedding(
                n_members, encoding.n_embeddings, EMBEDDING_SIZE, generator
            )
        self.learns_inputs = self.waves is not None or self.embedding is not None
        self.activation: Callable[[Tensor], Tensor] = activation_function(activation)
        self.dropout = SharedDropout(dropout)
        widths = [self._n_inputs(), *hidden_layer_sizes]
        self.hidden = nn.ModuleList(
            linear_layer(n_members, a, b, sqrt(2.0 / max(a, 1)), generator)
            for a, b in pairwise(widths)
        )
        # A small start of the outputs: the first predictions are near the mean.
        last = 0.1 / sqrt(max(widths[-1], 1))
        self.output = linear_layer(n_members, widths[-1], n_outputs, last, generator)

    def _n_inputs(self) -> int:
        waves = 0 if self.waves is None else self.waves.n_outputs
        return self.n_seen + waves + self.n_embedded * EMBEDDING_SIZE

    def forward(self, encoded: Tensor) -> Tensor:
        """Raw outputs, (k, n, n_outputs), of encoded rows (n, n_encoded) or (k, n, n_encoded)."""
        return self._raw(self._through(self.hidden, self._first(encoded)))

    def _first(self, encoded: Tensor) -> Tensor:
        """Inputs of the first layer, (k, n, width), or (n, width) of a single member."""
        if encoded.ndim == 2 and (self.n_members > 1 or self.learns_inputs):
            encoded = encoded.expand(self.n_members, *encoded.shape)
        values = self._inputs(encoded)
        # The layers of a single member are plain ones.
        return values[0] if self.n_members == 1 and values.ndim == 3 else values

    def _through(self, layers: Iterable[nn.Module], values: Tensor) -> Tensor:
        for layer in layers:
            values = self.dropout(self.activation(layer(values)))
        return values

    def _raw(self, values: Tensor) -> Tensor:
        raw: Tensor = self.output(values)
        return raw.unsqueeze(0) if self.n_members == 1 else raw

    # In two parts, for :mod:`sklearn_ext._torch.frozen_states`

    def cut_for(self, trained: Iterable[str]) -> int:
        """First of these that has a trained parameter: waves and embeddings, 0; layers, from 1.

        Parameters
        ----------
        trained : iterable of str
            Names of trained parameters. Without any it is the output layer.
        """
        cut = len(self.hidden) + 1
        for name in trained:
            part, number, *_ = name.split(".")
            if part != "output":
                cut = min(cut, int(number) + 1 if part == "hidden" else 0)
        return cut

    def has_below(self, cut: int) -> bool:
        """Whether anything is computed below a cut."""
        return cut > 1 or (cut == 1 and self.learns_inputs)

    def below(self, encoded: Tensor, cut: int) -> list[Tensor]:
        """What goes into the upper part, (n, width) of each member."""
        if cut > 0:
            encoded = self._through(list(self.hidden)[: cut - 1], self._first(encoded))
        elif encoded.ndim == 2:
            encoded = encoded.expand(self.n_members, *encoded.shape)
        return [encoded] if encoded.ndim == 2 else list(encoded)

    def above(self, states: Sequence[Tensor], cut: int) -> Tensor:
        """Raw outputs, (k, n, n_outputs), of what `below` gives."""
        values = states[0] if self.n_members == 1 else torch.stack(list(states))
        if cut == 0:
            return self(values)  # type: ignore[no-any-return]
        return self._raw(self._through(list(self.hidden)[cut - 1 :], values))

    def _inputs(self, encoded: Tensor) -> Tensor:
        """Encoded columns that are seen, waves and embeddings."""
        parts = [encoded[..., : self.n_seen]]
        if self.straight is not None:
            parts = [encoded[..., self.straight], encoded[..., self.n_numeric : self.n_seen]]
        if self.waves is not None:
            parts.append(self.waves(encoded[..., : self.n_numeric]))
        if self.embedding is not None:
            parts.append(self.embedding(encoded[..., -self.n_embedded :]))
        inputs = torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]
        return inputs if self.gain == 1.0 else inputs * self.gain
