"""Learning-rate schedules as factors of the initial rate."""

from math import cos, pi

__all__ = ["SCHEDULES", "UNTIMED", "rate_factor"]

SCHEDULES = ("constant", "adaptive", "invscaling", "cosine", "flat_cosine", "one_cycle")
# Those that do not know the time once the rate has risen: only what happens moves their rate.
UNTIMED = ("constant", "adaptive")

# The shape of torch.optim.lr_scheduler.OneCycleLR: start, length of the rise, end.
CYCLE_START, CYCLE_RISE, CYCLE_END = 1 / 25, 0.3, 1e-4


def rate_factor(
    schedule: str, step: int, n_steps: int, *, warmup: float = 0.0, power_t: float = 0.5
) -> float:
    r"""Factor of the learning rate at one step of a training run.

    With t = (step + 1/2) / n_steps in (0, 1) the "cosine" factor is

    .. math:: \tfrac{1}{2} (1 + \cos \pi t)

    "flat_cosine" is 1 in the first half of the run and that factor of 2 t - 1 in the second; every
    schedule but "one_cycle", which has a rise of its own, is multiplied by min(1, t / warmup) [1]_.

    Parameters
    ----------
    schedule : {"constant", "adaptive", "invscaling", "cosine", "flat_cosine", "one_cycle"}
        Name. "adaptive" is constant here; it is lowered by what happens, see
        :meth:`sklearn_ext._torch.training.GradientSteps.lower_rates`.
    step : int
        Number of steps before this one.
    n_steps : int
        Length of the whole run.
    warmup : float, default=0.0
        Share of the run, in [0, 1), in which the rate rises linearly from 0.
    power_t : float, default=0.5
        Exponent of "invscaling": (step + 1) ** -power_t.

    Returns
    -------
    factor : float
        In [0, 1].

    References
    ----------
    .. [1] I. Loshchilov and F. Hutter, "SGDR: Stochastic gradient descent with warm restarts",
       ICLR 2017, arXiv:1608.03983; eq. 5.

    Examples
    --------
    >>> from sklearn_ext._torch.schedules import rate_factor
    >>> [round(rate_factor("cosine", step, 4), 2) for step in range(4)]
    [0.96, 0.69, 0.31, 0.04]
    """
    time = min((step + 0.5) / n_steps, 1.0)
    if schedule == "one_cycle":
        return _one_cycle(time)
    rise = min(1.0, time / warmup) if warmup else 1.0
    if schedule == "cosine":
        return rise * 0.5 * (1.0 + cos(pi * time))
    if schedule == "flat_cosine":
        return rise * 0.5 * (1.0 + cos(pi * max(0.0, 2.0 * time - 1.0)))
    if schedule == "invscaling":
        return rise * float((step + 1) ** -power_t)
    return rise


def _one_cycle(time: float) -> float:
    """Up by a half cosine, down by another."""
    if time < CYCLE_RISE:
        return _between(CYCLE_START, 1.0, time / CYCLE_RISE)
    return _between(1.0, CYCLE_END, (time - CYCLE_RISE) / (1.0 - CYCLE_RISE))


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) * 0.5 * (1.0 + cos(pi * share))
