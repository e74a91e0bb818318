"""One vector for a whole sequence, from the outputs of all its steps.

Every pooling first sums up some steps and can join two such sums, so that a sequence may come in
parts. Outputs have shape (n_steps, n, width); masks (n_steps, n, 1) tell which steps exist, and
None stands for all of them.
"""

import torch
from torch import nn

from sklearn_ext._torch.initialization import normal

__all__ = ["POOLINGS", "Attention", "Last", "Max", "Mean", "Pooling", "Summary", "make_pooling"]

Tensor = torch.Tensor
Summary = tuple[Tensor, ...]

POOLINGS = ("last", "mean", "max", "attention")


class Pooling(nn.Module):
    """What all poolings can do."""

    def sum_up(self, outputs: Tensor, mask: Tensor | None) -> Summary:
        """Say all that is needed of some steps."""
        raise NotImplementedError

    def join(self, first: Summary, second: Summary) -> Summary:
        """Put together what is known of some steps and of those that follow."""
        raise NotImplementedError

    def value(self, summary: Summary) -> Tensor:
        """Give the pooled vector, (n, width)."""
        raise NotImplementedError


class Last(Pooling):
    """Outputs at the last step of each direction: the end, and the beginning for the way back.

    Parameters
    ----------
    n_ahead : int
        Number of outputs, the first ones, that belong to the way ahead.
    """

    def __init__(self, n_ahead: int) -> None:
        super().__init__()
        self.n_ahead = n_ahead

    def sum_up(self, outputs: Tensor, mask: Tensor | None) -> Summary:
        """Find them."""
        if mask is None:
            end = outputs[-1]
        else:
            last = mask.sum(0, dtype=torch.int64) - 1  # (n, 1)
            end = outputs.gather(0, last.expand(1, -1, outputs.shape[-1]))[0]
        return (torch.cat([end[:, : self.n_ahead], outputs[0, :, self.n_ahead :]], dim=-1),)

    def join(self, first: Summary, second: Summary) -> Summary:
        """Take the later one."""
        return second

    def value(self, summary: Summary) -> Tensor:
        """Give the pooled vector."""
        return summary[0]


class Mean(Pooling):
    """Mean over steps."""

    def sum_up(self, outputs: Tensor, mask: Tensor | None) -> Summary:
        """Add and count."""
        if mask is None:
            count = outputs.new_full((1, 1), len(outputs))
            return outputs.sum(0), count
        return (outputs * mask).sum(0), mask.sum(0).to(outputs.dtype)

    def join(self, first: Summary, second: Summary) -> Summary:
        """Add sums and counts."""
        return first[0] + second[0], first[1] + second[1]

    def value(self, summary: Summary) -> Tensor:
        """Give the pooled vector."""
        return summary[0] / summary[1]


class Max(Pooling):
    """Maximum over steps."""

    def sum_up(self, outputs: Tensor, mask: Tensor | None) -> Summary:
        """Find it."""
        if mask is not None:
            outputs = outputs.masked_fill(~mask, float("-inf"))
        return (outputs.amax(0),)

    def join(self, first: Summary, second: Summary) -> Summary:
        """Take the larger."""
        return (torch.maximum(first[0], second[0]),)

    def value(self, summary: Summary) -> Tensor:
        """Give the pooled vector."""
        return summary[0]


class Attention(Pooling):
    r"""Mean over steps with weights that the net learns: softmax over t of v · h_t [1]_.

    Parameters
    ----------
    width : int
        Number of outputs.
    generator : torch.Generator
        Draws v.

    References
    ----------
    .. [1] C. Raffel and D. P. W. Ellis, "Feed-forward networks with attention can solve some
       long-term memory problems", arXiv:1512.08756, 2015; eq. 1.
    """

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        # A row vector, so that it counts as a weight and decays.
        self.weight = nn.Parameter(normal((1, width), width**-0.5, generator))

    def sum_up(self, outputs: Tensor, mask: Tensor | None) -> Summary:
        """Sum weighted outputs and weights, relative to the largest weight."""
        scores = nn.functional.linear(outputs, self.weight)  # (n_steps, n, 1)
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        highest = scores.detach().amax(0)
        weights = (scores - highest).exp()
        return (weights * outputs).sum(0), weights.sum(0), highest

    def join(self, first: Summary, second: Summary) -> Summary:
        """Bring both to the larger of the largest weights, then add."""
        highest = torch.maximum(first[2], second[2])
        shares = (first[2] - highest).exp(), (second[2] - highest).exp()
        sums = shares[0] * first[0] + shares[1] * second[0]
        return sums, shares[0] * first[1] + shares[1] * second[1], highest

    def value(self, summary: Summary) -> Tensor:
        """Give the pooled vector."""
        return summary[0] / summary[1]


def make_pooling(kind: str, width: int, n_ahead: int, generator: torch.Generator) -> Pooling:
    """Build a pooling by its name.

    Parameters
    ----------
    kind : {"last", "mean", "max", "attention"}
        Which.
    width : int
        Number of outputs of a step.
    n_ahead : int
        How many of them belong to the way ahead; the others to the way back.
    generator : torch.Generator
        Draws the weights of "attention".

    Returns
    -------
    pooling : Pooling
        The pooling.
    """
    if kind == "last":
        return Last(n_ahead)
    if kind == "attention":
        return Attention(width, generator)
    return Mean() if kind == "mean" else Max()
