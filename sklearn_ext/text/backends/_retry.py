"""Sending again what failed for a moment, with all workers slowing down together."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from sklearn_ext.exceptions import BackendError

__all__ = ["Allowance", "Gate", "with_retries"]

T = TypeVar("T")


class Gate:
    """What all workers pass before a request; one full server closes it for all of them.

    Parameters
    ----------
    clock : callable, default=time.monotonic
        Function that gives the time in seconds.
    sleep : callable, default=time.sleep
        Function that waits for so many seconds.

    Examples
    --------
    >>> from sklearn_ext.text.backends._retry import Gate
    >>> waits = []
    >>> gate = Gate(clock=lambda: sum(waits), sleep=waits.append)
    >>> gate.close_for(3.0)
    >>> gate.wait()
    >>> waits
    [3.0]
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock, self.sleep = clock, sleep
        self._lock = threading.Lock()
        self._opens_at = clock()

    def close_for(self, seconds: float) -> None:
        """Let nobody pass for so long.

        Parameters
        ----------
        seconds : float
            Time from now on. A later opening that is already set stays.
        """
        with self._lock:
            self._opens_at = max(self._opens_at, self._clock() + seconds)

    def wait(self) -> None:
        """Return when the gate is open."""
        while (left := self._time_left()) > 0:
            self.sleep(left)

    def _time_left(self) -> float:
        with self._lock:
            return self._opens_at - self._clock()


@dataclass
class Allowance:
    """How often the requests of one document may be sent again, in all.

    Parameters
    ----------
    retries : int
        Number of further requests that are left.
    backoff : float, default=1.0
        Seconds before the first of them, on average; each later wait is twice as long.
    max_wait : float, default=60.0
        Longest wait in seconds. A server that asks for a longer one is not asked again.
    sent : int, default=0
        Requests that were sent for the document; whoever sends one counts it here.
    jitter : random.Random
        Source of the spread of waits, of its own: no global generator is touched.

    Examples
    --------
    >>> from sklearn_ext.text.backends._retry import Allowance
    >>> Allowance(retries=2).retries
    2
    """

    retries: int
    backoff: float = 1.0
    max_wait: float = 60.0
    sent: int = 0
    jitter: random.Random = field(default_factory=random.Random, repr=False)
    _failures: int = 0

    def next_wait(self, error: BackendError) -> float | None:
        """Take one retry, and tell how long to wait before it.

        Parameters
        ----------
        error : BackendError
            What went wrong.

        Returns
        -------
        seconds : float or None
            Time to wait; None where the request is not to be sent again.
        """
        if not error.is_transient or self.retries <= 0:
            return None
        if error.retry_after is not None and error.retry_after > self.max_wait:
            return None
        self.retries -= 1
        wait: float = min(self.backoff * 2.0**self._failures, self.max_wait)
        self._failures += 1
        spread = wait * self.jitter.uniform(0.5, 1.5)
        if error.retry_after is None:
            return min(spread, self.max_wait)
        return error.retry_after + min(spread, self.backoff) * self.jitter.random()


def with_retries(send: Callable[[], T], allowance: Allowance, gate: Gate) -> T:
    """Send a request until it is answered or the allowance is used up.

    Parameters
    ----------
    send : callable
        Function without arguments that sends the request once.
    allowance : Allowance
        What the document has left.
    gate : Gate
        Shared by all workers.

    Returns
    -------
    reply : object
        What `send` returned.

    Raises
    ------
    BackendError
        The last one, where no request was answered.

    Examples
    --------
    >>> from sklearn_ext.text.backends._retry import Allowance, Gate, with_retries
    >>> with_retries(lambda: "done", Allowance(retries=3), Gate())
    'done'
    """
    while True:
        gate.wait()
        try:
            return send()
        except BackendError as error:
            wait = allowance.next_wait(error)
            if wait is None:
                raise
            if error.kind == "rate_limit" or error.retry_after is not None:
                gate.close_for(wait)
        gate.sleep(wait)
