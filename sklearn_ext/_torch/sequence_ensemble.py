"""Nets for sequences side by side, and the scaling of sequences in front of them.

All padded values have their steps on the first axis, (n_steps, n, width).
"""

from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
from torch import nn

from sklearn_ext._torch.sequence_net import Architecture, Position, SequenceNet, step_mask

__all__ = ["SequenceEnsemble", "changes", "series_scaled"]

# Where scaled values end: their squares would overflow.
FARTHEST = 1e9

Tensor = torch.Tensor


def series_scaled(values: Tensor, mask: Tensor | None, lengths: Tensor) -> Tensor:
    """Bring each channel of each sequence to mean 0 and standard deviation 1.

    Parameters
    ----------
    values : torch.Tensor of shape (..., n_steps, n, n_channels)
        Padded sequences.
    mask : torch.Tensor of shape (..., n_steps, n, 1) or None
        Which steps exist.
    lengths : torch.Tensor of shape (..., n)
        How many do.

    Returns
    -------
    scaled : torch.Tensor of shape (..., n_steps, n, n_channels)
        Zero where a channel is constant, and where there is no step.
    """
    count = lengths.to(values.dtype).unsqueeze(-2).unsqueeze(-1)  # (..., 1, n, 1)
    inside = values if mask is None else values * mask
    centred = values - inside.sum(-3, keepdim=True) / count
    if mask is not None:
        centred = centred * mask
    deviation = (centred.square().sum(-3, keepdim=True) / count).sqrt()
    size = inside.abs().amax(-3, keepdim=True)
    constant = deviation <= 1e-5 * size  # what is left by rounding
    return torch.where(constant, 0.0, centred / torch.where(constant, 1.0, deviation))


def changes(values: Tensor) -> Tensor:
    """Subtract from each step of (..., n_steps, n, n_channels) the last one; the first gives 0."""
    return values - torch.cat([values[..., :1, :, :], values[..., :-1, :, :]], dim=-3)


class SequenceEnsemble(nn.Module):
    """Members side by side behind one scaling of the channels.

    Inputs are a dictionary of padded "values" (n, n_steps, n_channels) and "lengths" (n,); with a
    leading axis of members each of them sees sequences of its own.

    Parameters
    ----------
    plan : Architecture
        What each member is made of.
    n_members : int
        Size of the ensemble.
    center, scale : torch.Tensor of shape (n_channels,)
        Subtracted from each channel, then multiplied by it.
    generator : torch.Generator
        Draws the weights.
    """

    center: Tensor
    scale: Tensor

    def __init__(
        self,
        plan: Architecture,
        n_members: int,
        center: Tensor,
        scale: Tensor,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.n_members = n_members
        # A way ahead only may not look at the whole sequence.
        self.scales_series = plan.bidirectional
        self.register_buffer("center", center)
        self.register_buffer("scale", scale)
        self.nets = nn.ModuleList(SequenceNet(plan, generator) for _ in range(n_members))

    def parameter_members(self) -> list[slice]:
        """Members that each parameter belongs to, in the order of `parameters`."""
        return [slice(i, i + 1) for i, net in enumerate(self.nets) for _ in net.parameters()]

    def scaled(self, values: Tensor) -> Tensor:
        """Scale channels and put steps first, (..., n_steps, n, n_channels)."""
        scaled = (values - self.center.to(values.dtype)) * self.scale.to(values.dtype)
        scaled = scaled.clamp(-FARTHEST, FARTHEST)
        return scaled.to(next(self.parameters()).dtype).transpose(-2, -3).contiguous()

    def prepared(self, inputs: dict[str, Tensor]) -> Tensor:
        """Inputs of the nets, (..., n_steps, n, width): for all members at once."""
        values, lengths = self.scaled(inputs["values"]), inputs["lengths"]
        if not self.scales_series:
            return values
        views = torch.cat([values, changes(values)], dim=-1)
        scaled = series_scaled(views, step_mask(lengths, values.shape[-3]), lengths)
        return torch.cat([values, scaled], dim=-1)

    def of_each(self, inputs: dict[str, Tensor], what: str = "forward", *further: Any) -> list[Any]:
        """Call a method of each member's net with its sequences and further arguments."""
        values, lengths = self.prepared(inputs), inputs["lengths"]
        shared = lengths.ndim == 1
        return [
            getattr(net, what)(
                values if shared else values[member],
                lengths if shared else lengths[member],
                *further,
            )
            for member, net in enumerate(self.nets)
        ]

    def members(self, inputs: dict[str, Tensor]) -> Tensor:
        """Raw outputs of each member, (n_members, n, n_outputs)."""
        return torch.stack(self.of_each(inputs))

    def pooled(self, inputs: dict[str, Tensor]) -> Tensor:
        """Pooled values of all members side by side, (n, n_members * n_pooled)."""
        return torch.cat(self.of_each(inputs, "pooled"), dim=-1)

    # In two parts, for :mod:`sklearn_ext._torch.frozen_states`

    def cut_for(self, trained: Iterable[str]) -> int | None:
        """Lowest cut of the nets, see :meth:`SequenceNet.cut_for`; None for nothing below."""
        nets = cast(Sequence[SequenceNet], self.nets)
        own: list[list[str]] = [[] for _ in nets]
        for name in trained:
            _, number, local = name.split(".", 2)
            own[int(number)].append(local)
        cut = min(net.cut_for(names) for net, names in zip(nets, own, strict=True))
        lowest = 1 if nets[0].stem is None else 0  # to scale the inputs is hardly anything
        return cut if cut > lowest else None

    def below(self, inputs: dict[str, Tensor], cut: int) -> list[Any]:
        """What goes into the upper part of each member."""
        return self.of_each(inputs, "below", cut)

    def above(self, inputs: dict[str, Tensor], states: Sequence[Any], cut: int) -> Tensor:
        """Raw outputs of each member, (n_members, n, n_outputs), of what `below` gives."""
        nets = cast(Sequence[SequenceNet], self.nets)
        pairs = zip(nets, states, strict=True)
        return torch.stack([net.above(own, cut) for net, own in pairs])

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Raw outputs of raw sequences, (n, n_members, n_outputs)."""
        return self.members(inputs).transpose(0, 1)

    def follow(
        self, values: Tensor, positions: Sequence[Position] | None
    ) -> tuple[Tensor, list[Position]]:
        """Go on with new steps; pooled values of each member and its position then.

        Parameters
        ----------
        values : torch.Tensor of shape (n, n_steps, n_channels)
            New steps of all sequences.
        positions : sequence of Position, or None
            What the last call gave; None at the beginning.

        Returns
        -------
        pooled : torch.Tensor of shape (n_members, n, n_pooled)
            Pooled values of all steps so far.
        positions : list of Position
            How far each member has come.
        """
        scaled = self.scaled(values)
        before = [Position()] * self.n_members if positions is None else positions
        nets = cast(Sequence[SequenceNet], self.nets)
        found = [net.follow(scaled, old) for net, old in zip(nets, before, strict=True)]
        return torch.stack([pooled for pooled, _ in found]), [position for _, position in found]

    def judged(self, pooled: Tensor) -> Tensor:
        """Raw outputs of each member, of its pooled values (n_members, n, n_pooled)."""
        nets = cast(Sequence[SequenceNet], self.nets)
        return torch.stack([net.judged(own) for net, own in zip(nets, pooled, strict=True)])
