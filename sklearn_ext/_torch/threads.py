"""One thread for torch while a net is trained, and the user's count afterwards.

The sums inside a matrix product depend on how many threads share it, so a fit on two threads and
the same fit in a worker process on one differ in the last bits. The nets here are small: one
thread also costs the least CPU time.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["one_thread"]

_lock = threading.Lock()
_active: list[int] = []  # one entry a running block: the count outside of it
_here = threading.local()  # whether the calling thread is inside a block


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit torch to one thread in the calling thread inside the block.

    torch keeps a count for every thread, and one more that new threads start from. A thread whose
    first use of torch falls inside another thread's block would read 1 and put that back, so the
    count outside is the one that the first of the running blocks found. A block inside another one
    of the same thread, as where a callback predicts, changes nothing.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ext._torch.threads import one_thread
    >>> before = torch.get_num_threads()
    >>> with one_thread():
    ...     torch.get_num_threads()
    1
    >>> torch.get_num_threads() == before
    True
    """
    if getattr(_here, "is_limited", False):
        yield
        return
    with _lock:
        outside = _active[0] if _active else torch.get_num_threads()
        _active.append(outside)
        torch.set_num_threads(1)
    _here.is_limited = True
    try:
        yield
    finally:
        _here.is_limited = False
        with _lock:
            _active.pop()
            torch.set_num_threads(outside)
