"""Requests, tokens and money of one call, and the budget they are kept within."""

import threading
from numbers import Real

from sklearn_ext.exceptions import BackendError
from sklearn_ext.text._run_log import Usage

__all__ = ["BUDGET_KEYS", "Ledger", "check_budget", "price"]

BUDGET_KEYS = ("requests", "tokens", "cost")
# Failures after which the vendor may have done, and charged for, the work.
MAYBE_CHARGED = ("timeout", "connection", "malformed", "empty", "length")


def price(tokens_in, tokens_out, prices):
    """Price tokens.

    Parameters
    ----------
    tokens_in, tokens_out : int
        Tokens read and generated.
    prices : tuple of two floats or None
        Prices of a million of each.

    Returns
    -------
    cost : float or None
        Their price; None without prices.

    Examples
    --------
    >>> from sklearn_ext.text._ledger import price
    >>> price(2_000_000, 1_000_000, (0.5, 2.0))
    3.0
    """
    if prices is None:
        return None
    return (tokens_in * prices[0] + tokens_out * prices[1]) / 1e6


def check_budget(budget, prices):
    """Refuse a budget or prices that say nothing.

    Parameters
    ----------
    budget : dict or None
        Largest numbers of "requests", "tokens" and "cost".
    prices : tuple of two floats or None
        Prices of a million tokens read and generated.

    Raises
    ------
    ValueError
        If a key is unknown, a value is not a number of at least 0, or cost is without prices.

    Examples
    --------
    >>> from sklearn_ext.text._ledger import check_budget
    >>> check_budget({"requests": 100}, None)
    """
    if prices is not None and not (len(prices) == 2 and all(map(_is_amount, prices))):
        raise ValueError(
            "prices must be two numbers of at least 0, the prices of a million tokens read and "
            f"generated, got {prices!r}."
        )
    for key, value in (budget or {}).items():
        if key not in BUDGET_KEYS or not _is_amount(value):
            raise ValueError(
                f"budget must map some of {BUDGET_KEYS} to numbers of at least 0, got {budget!r}."
            )
    if budget and "cost" in budget and prices is None:
        raise ValueError(f"budget={budget!r} limits the cost: pass prices as well.")


def _is_amount(value):
    return isinstance(value, Real) and not isinstance(value, bool) and value >= 0


def _sum(*parts):
    """Add pairs of numbers of tokens."""
    return [sum(values) for values in zip(*parts, strict=True)]


class Ledger:
    """Account of one call: reserves before each request, settles after it.

    Parameters
    ----------
    budget : dict or None
        Largest numbers of "requests", "tokens" and "cost".
    prices : tuple of two floats or None
        Prices of a million tokens read and generated.

    Examples
    --------
    >>> from sklearn_ext.text._ledger import Ledger
    >>> ledger = Ledger({"requests": 1}, None)
    >>> ledger.reserve(100, 20)
    >>> ledger.settle((100, 20), (90, 12))
    >>> ledger.usage()
    Usage(requests=1, tokens_in=90, tokens_out=12, cached=0, cost=None)
    """

    def __init__(self, budget, prices):
        self._budget, self._prices = budget or {}, prices
        self._changed = threading.Condition()
        self._requests = self._cached = 0
        self._tokens = [0, 0]  # spent
        self._lost = [0, 0]  # reserved for requests that may be charged, but had no answer
        self._held = [0, 0]  # reserved for what is under way

    def reserve(self, tokens_in, tokens_out):
        """Set aside what a request may use; wait where that depends on what is under way.

        Parameters
        ----------
        tokens_in, tokens_out : int
            Upper estimates.

        Raises
        ------
        BackendError
            Of kind ``"budget"``, if the request could exceed the budget. Nothing is set aside.
        """
        needed = tokens_in, tokens_out
        with self._changed:
            # Requests under way mostly use less than was set aside for them.
            while self._excess(self._tokens, self._lost, self._held, needed):
                excess = self._excess(self._tokens, self._lost, needed)
                if excess:
                    raise BackendError(
                        f"The next request could exceed budget={self._budget!r}: {excess}.",
                        kind="budget",
                    )
                self._changed.wait()
            self._requests += 1
            self._held = _sum(self._held, needed)

    def _excess(self, *parts):
        """Tell what one more request, with which tokens are the sum of the parts, would exceed."""
        read, made = _sum(*parts)
        after = {
            "requests": self._requests + 1,
            "tokens": read + made,
            "cost": price(read, made, self._prices),
        }
        over = [key for key, limit in self._budget.items() if after[key] > limit]
        return f"{over[0]} would reach {after[over[0]]:g}" if over else ""

    def settle(self, reserved, used):
        """Replace what was set aside by what was used.

        Parameters
        ----------
        reserved : tuple of two ints
            Arguments of `reserve`.
        used : tuple of two ints
            Tokens that were read and generated.
        """
        with self._changed:
            self._release(reserved)
            self._tokens = _sum(self._tokens, used)

    def _release(self, reserved):
        """Take off what was set aside, and wake those who wait for it."""
        self._held = [held - part for held, part in zip(self._held, reserved, strict=True)]
        self._changed.notify_all()

    def fail(self, reserved, error):
        """Give back what was set aside for a request that failed, unless it may be charged.

        Parameters
        ----------
        reserved : tuple of two ints
            Arguments of `reserve`.
        error : BaseException
            Why it failed; what is no :class:`~sklearn_ext.exceptions.BackendError` may be charged.
        """
        with self._changed:
            self._release(reserved)
            if getattr(error, "kind", "timeout") in MAYBE_CHARGED:
                self._lost = _sum(self._lost, reserved)

    def count_cached(self):
        """Count an answer that came from the cache."""
        with self._changed:
            self._cached += 1

    def usage(self):
        """Tell what was used so far.

        Returns
        -------
        usage : Usage
            Requests, tokens and cost.
        """
        with self._changed:
            cost = price(*self._tokens, self._prices)
            return Usage(self._requests, *self._tokens, self._cached, cost)
