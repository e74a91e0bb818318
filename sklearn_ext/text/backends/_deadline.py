"""A limit on the whole time of a call, which no read timeout of a library gives."""

import contextvars
import threading
from collections.abc import Callable
from typing import TypeVar

from sklearn_ext.exceptions import BackendError

__all__ = ["call_within"]

T = TypeVar("T")


def call_within(seconds: float, function: Callable[[], T]) -> T:
    """Call a function, and wait for it only so long.

    A server that sends one byte a second never trips a read timeout. The call therefore runs in
    a thread of its own, which is left behind when its time is over; it is a daemon, so it does
    not hold up the end of the process.

    Parameters
    ----------
    seconds : float
        Longest time to wait, above 0.
    function : callable
        Function without arguments.

    Returns
    -------
    result : object
        What the function returned; what it raised is raised here.

    Raises
    ------
    BackendError
        Of kind ``"timeout"``, when the time is over.

    Examples
    --------
    >>> from sklearn_ext.text.backends._deadline import call_within
    >>> call_within(5.0, lambda: "done")
    'done'
    """
    results: list[T] = []
    errors: list[BaseException] = []
    context = contextvars.copy_context()

    def run() -> None:
        try:
            results.append(context.run(function))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="sklearn_ext-request", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise BackendError(f"No answer within timeout={seconds:g} seconds.", kind="timeout")
    return results[0]
