"""A change of an object that threads make one after the other, or share where it is the same."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Condition, get_ident

__all__ = ["SharedChange"]


class SharedChange:
    """Lets one thread change an object for a while, or several that want the same change.

    The first of several makes the change and the last of them takes it back. A thread that wants
    another change waits until nobody needs the present one; while one waits to be alone, no
    further thread joins those that share.

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
        self._users: dict[int, int] = {}  # how often each thread is inside
        self._n_waiting = 0  # to be alone
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

        Raises
        ------
        RuntimeError
            If this thread is inside of another change already: it would wait for itself.
        """
        self._enter(change, what)
        try:
            yield
        finally:
            self._leave()

    def _enter(self, change: Callable[[], ExitStack], what: Hashable) -> None:
        user = get_ident()
        with self._condition:
            if self._only_user != user:
                self._wait(what, user)
            if not self._users:
                self._taking_back = change()
                self._what, self._only_user = what, user if what is None else None
            self._users[user] = self._users.get(user, 0) + 1

    def _wait(self, what: Hashable, user: int) -> None:
        if user in self._users:
            if not self._shares(what):
                raise RuntimeError(
                    "This thread is in the middle of a prediction of the adapted net. What needs "
                    "its weights alone, such as gradients or its state, has to come after that."
                )
            return
        alone = what is None
        self._n_waiting += alone
        try:
            self._condition.wait_for(
                lambda: (
                    not self._users
                    if alone
                    else not self._n_waiting and (not self._users or self._shares(what))
                )
            )
        finally:
            self._n_waiting -= alone
            self._condition.notify_all()

    def _shares(self, what: Hashable) -> bool:
        return what is not None and what == self._what

    def _leave(self) -> None:
        user = get_ident()
        with self._condition:
            self._users[user] -= 1
            if not self._users[user]:
                del self._users[user]
            if not self._users:
                self._what = self._only_user = None
                self._taking_back.close()
                self._condition.notify_all()
