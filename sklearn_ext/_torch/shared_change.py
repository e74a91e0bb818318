"""A change of an object that threads make one after the other, or share where it is the same."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Condition, get_ident

__all__ = ["SharedChange"]


class SharedChange:
    """Lets one thread change an object for a while, or several that want the same change.

    The first of several makes the change and the last of them takes it back. A thread that wants
    another change waits until nobody needs the present one.

    Examples
    --------
    >>> from contextlib import ExitStack
    >>> from sklearn_ext._torch.shared_change import SharedChange
    >>> def change():
    ...     stack = ExitStack()
    ...     stack.callback(print, "taken back")
    ...     print("changed")
    ...     return stack
    >>> shared = SharedChange()
    >>> with shared.made(change, "same"), shared.made(change, "same"):
    ...     print("used")
    changed
    used
    taken back
    """

    def __init__(self) -> None:
        self._condition = Condition()
        self._n_users = 0
        self._what: Hashable = None
        self._only_user: int | None = None
        self._taking_back = ExitStack()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return type(self), ()  # a copy is of another object

    @contextmanager
    def made(self, change: Callable[[], ExitStack], what: Hashable = None) -> Iterator[None]:
        """Have a change made inside the block.

        Parameters
        ----------
        change : callable
            Makes it, and gives what takes it back.
        what : hashable, default=None
            Changes of equal descriptions are the same. None is like no other: the thread is alone
            with the object. It finds its change still made where it comes again from inside.
        """
        self._enter(change, what)
        try:
            yield
        finally:
            self._leave()

    def _enter(self, change: Callable[[], ExitStack], what: Hashable) -> None:
        with self._condition:
            if self._only_user != get_ident():
                self._condition.wait_for(lambda: self._is_free_for(what))
            if not self._n_users:
                self._taking_back = change()
                self._what, self._only_user = what, get_ident() if what is None else None
            self._n_users += 1

    def _is_free_for(self, what: Hashable) -> bool:
        return not self._n_users or (what is not None and what == self._what)

    def _leave(self) -> None:
        with self._condition:
            self._n_users -= 1
            if not self._n_users:
                self._what = self._only_user = None
                self._taking_back.close()
                self._condition.notify_all()
