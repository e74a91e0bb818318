"""The weights of the best epoch."""

from itertools import groupby
from operator import itemgetter

import torch

__all__ = ["BestWeights"]

Tensor = torch.Tensor


class BestWeights:
    """Keeps the weights of the smallest losses, each member's of its own best epoch.

    Parameters
    ----------
    parameters : list of torch.Tensor
        Parameters that are watched.
    members : list of slice or None, default=None
        Members that each parameter belongs to; those of several have them on their leading axis.
        None watches the mean loss of all.
    tol : float, default=0.0
        By how much a loss has to fall to reset the count of epochs.
    n_counted : int or None, default=None
        First members whose mean loss counts; None stands for all.

    Attributes
    ----------
    losses : torch.Tensor of shape (n_members,)
        Smallest loss of each member so far.
    loss : float
        Mean of `losses` of the members that count.
    epoch : int
        Epoch of the smallest mean loss.
    n_without : int
        Epochs since the mean loss last fell by more than `tol`.
    """

    def __init__(
        self,
        parameters: list[Tensor],
        members: list[slice] | None = None,
        tol: float = 0.0,
        n_counted: int | None = None,
    ) -> None:
        self.parameters, self.members, self.tol = parameters, members, tol
        self.n_counted = n_counted
        self.losses = torch.full((1,), float("inf"), dtype=torch.float64)
        self.epoch, self.n_without = 0, 0
        self._smallest_mean = self._reference = float("inf")
        self._kept: list[Tensor] = []

    @property
    def loss(self) -> float:
        """Mean of the smallest losses."""
        return float(self.losses[: self.n_counted].mean())

    def check(self) -> None:
        """Raise an error if no epoch had a finite loss."""
        if not self.epoch:
            raise ValueError(
                "The watched loss was not finite in any epoch. Look for extreme values in the "
                "validation rows and their targets."
            )

    def look(self, losses: Tensor, epoch: int) -> None:
        """Take notice of the losses, (n_members,) or of no axis, after an epoch."""
        losses = losses.detach().cpu().double().reshape(-1)
        mean = float(losses[: self.n_counted].mean())
        if self.members is None:
            losses = losses.mean(0, keepdim=True)
        if mean < self._smallest_mean:
            self._smallest_mean, self.epoch = mean, epoch
        better = losses < self.losses
        self._keep(better)
        self.losses = torch.where(better, losses, self.losses)
        improved = mean < self._reference - self.tol
        self.n_without = 0 if improved else self.n_without + 1
        self._reference = mean if improved else self._reference

    @torch.no_grad()
    def _keep(self, better: Tensor) -> None:
        """Copy the weights of members that are better than ever."""
        if not self._kept:
            self._kept = [parameter.detach().clone() for parameter in self.parameters]
            return
        members = self.members or [slice(0, 1)] * len(self.parameters)
        pairs = zip(members, self._kept, self.parameters, strict=True)
        for owners, of_owners in groupby(pairs, itemgetter(0)):
            chosen = better[owners] if len(better) > 1 else better
            if not bool(chosen.any()):
                continue
            whole = bool(chosen.all())
            for _, kept, parameter in of_owners:
                if whole:
                    kept.copy_(parameter)
                else:
                    kept[chosen.to(kept.device)] = parameter[chosen.to(parameter.device)]

    @torch.no_grad()
    def restore(self) -> None:
        """Put the best weights back."""
        for parameter, kept in zip(self.parameters, self._kept, strict=False):
            parameter.copy_(kept)
