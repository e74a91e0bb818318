"""Losses of one row, and what the raw outputs of a net stand for under each of them.

Shapes: raw outputs are (..., n_rows, n_outputs), where the leading axis of an ensemble is its
members; targets are (..., n_rows, n_targets), class labels (..., n_rows). A loss keeps one value a
row, (..., n_rows): weighting and averaging belong to the training loop.
"""

import torch
from torch import nn
from torch.nn import functional

__all__ = [
    "AbsoluteError",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Huber",
    "Loss",
    "Poisson",
    "Quantile",
    "SquaredError",
]

Tensor = torch.Tensor


class Loss(nn.Module):
    """A loss of single rows.

    Subclasses define `forward`; those whose raw outputs are not yet predictions also define
    `response`, and those that need several outputs a target define `n_outputs`.
    """

    def n_outputs(self, n_targets: int) -> int:
        """Count the raw outputs for so many targets."""
        return n_targets

    def response(self, raw: Tensor) -> Tensor:
        """Turn raw outputs into predictions or probabilities."""
        return raw


class SquaredError(Loss):
    """(y - f)², the mean over targets."""

    def forward(self, raw: Tensor, target: Tensor) -> Tensor:
        """Give one loss a row."""
        squares = (raw - target).square()
        return squares.squeeze(-1) if squares.shape[-1] == 1 else squares.mean(-1)


class AbsoluteError(Loss):
    """\\|y - f\\|, the mean over targets."""

    def forward(self, raw: Tensor, target: Tensor) -> Tensor:
        """Give one loss a row."""
        return (raw - target).abs().mean(-1)


class Huber(Loss):
    """Squared near 0, linear beyond `delta` [1]_.

    Parameters
    ----------
    delta : float
        Where the loss becomes linear, in the units of the targets that it is given.

    References
    ----------
    .. [1] P. J. Huber, "Robust estimation of a location parameter", Ann. Math. Statist. 35(1),
       73-101, 1964; p. 75.
    """

    def __init__(self, delta: float) -> None:
        super().__init__()
        self.delta = delta

    def forward(self, raw: Tensor, target: Tensor) -> Tensor:
        """Give one loss a row."""
        target = target.expand_as(raw)  # torch warns of shapes that only broadcast
        raw = raw.to(target.dtype)  # torch does not promote half precision here
        return functional.huber_loss(raw, target, reduction="none", delta=self.delta).mean(-1)


class Quantile(Loss):
    r"""Pinball loss of one or more quantiles that never cross.

    For the quantile q the loss is :math:`\max(q u, (q - 1) u)` with u = y - f [1]_. The outputs of
    one target are the lowest quantile and the steps from each to the next, which a softplus makes
    positive.

    Parameters
    ----------
    quantiles : list of float
        In (0, 1), increasing.

    References
    ----------
    .. [1] R. Koenker and G. Bassett, "Regression quantiles", Econometrica 46(1), 33-50, 1978;
       eq. 3.1.
    """

    quantiles: Tensor

    def __init__(self, quantiles: list[float]) -> None:
        super().__init__()
        levels = torch.tensor(quantiles, dtype=torch.float64)
        self.register_buffer("quantiles", levels, persistent=False)

    def n_outputs(self, n_targets: int) -> int:
        """Count the raw outputs for so many targets."""
        return n_targets * len(self.quantiles)

    def response(self, raw: Tensor) -> Tensor:
        """Turn the lowest quantile and steps into quantiles, target by target."""
        steps = raw.unflatten(-1, (-1, len(self.quantiles)))  # (..., n_targets, n_quantiles)
        first, rest = steps[..., :1], functional.softplus(steps[..., 1:])
        return torch.cat([first, rest], dim=-1).cumsum(-1).flatten(-2)

    def forward(self, raw: Tensor, target: Tensor) -> Tensor:
        """Give one loss a row, the mean over quantiles and targets."""
        predicted = self.response(raw).unflatten(-1, (-1, len(self.quantiles)))
        level = self.quantiles.to(raw.dtype)
        above = target.unsqueeze(-1) - predicted
        return torch.maximum(level * above, (level - 1.0) * above).mean((-2, -1))


class Poisson(Loss):
    """Half the Poisson deviance of counts under a log link, up to a constant: exp(f) - y f."""

    def forward(self, raw: Tensor, target: Tensor) -> Tensor:
        """Give one loss a row."""
        return (raw.exp() - target * raw).mean(-1)

    def response(self, raw: Tensor) -> Tensor:
        """Give the mean of the counts."""
        return raw.exp()


class CrossEntropy(Loss):
    """-log softmax(f)[y] of class labels y.

    Parameters
    ----------
    label_smoothing : float, default=0.0
        Probability, in [0, 1), that is taken from the label and spread over all classes.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, raw: Tensor, target: Tensor) -> Tensor:
        """Give one loss a row."""
        log_probability = raw.log_softmax(-1)
        # The same labels stand for all members where these share their rows.
        labels = target.expand(raw.shape[:-1]).unsqueeze(-1)
        chosen = log_probability.gather(-1, labels).squeeze(-1)
        if not self.label_smoothing:
            return -chosen
        spread = log_probability.mean(-1)
        return -(1.0 - self.label_smoothing) * chosen - self.label_smoothing * spread

    def response(self, raw: Tensor) -> Tensor:
        """Give log-probabilities."""
        return raw.log_softmax(-1)


class BinaryCrossEntropy(Loss):
    """Log-loss of yes-no targets, one logit each, the mean over targets.

    Parameters
    ----------
    label_smoothing : float, default=0.0
        Probability, in [0, 1), that is taken from the label and spread over both answers.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, raw: Tensor, target: Tensor) -> Tensor:
        """Give one loss a row."""
        smoothed = target * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
        # log(1 + e^f) - y f, which is the log-loss of both answers
        return (functional.softplus(raw) - smoothed * raw).mean(-1)

    def response(self, raw: Tensor) -> Tensor:
        """Give the log-probabilities of no and yes in a last axis of 2."""
        return torch.stack([functional.logsigmoid(-raw), functional.logsigmoid(raw)], dim=-1)
