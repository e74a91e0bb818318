"""Summaries kept in a directory, so that nothing is paid for twice."""

import contextlib
import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from sklearn_ext.text._prompts import INSTRUCTIONS_VERSION
from sklearn_ext.text.backends._protocol import SummaryReply, SummaryRequest

__all__ = ["Cache", "request_key"]


def request_key(request: SummaryRequest, backend_id: str) -> str:
    """Name an answer by all that it depends on.

    Parameters
    ----------
    request : SummaryRequest
        What is asked for; its random fence plays no part.
    backend_id : str
        Name of the backend with its model and settings. No key of a vendor is part of it.

    Returns
    -------
    key : str
        64 hexadecimal digits, from which nothing can be read back.

    Examples
    --------
    >>> from sklearn_ext.text import SummaryRequest
    >>> from sklearn_ext.text.backends._cache import request_key
    >>> request_key(SummaryRequest("a"), "m") == request_key(SummaryRequest("a"), "m")
    True
    """
    content = asdict(request)
    del content["fence"]
    text = json.dumps([INSTRUCTIONS_VERSION, backend_id, content], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class Cache:
    """Answers in small JSON files, one for each request.

    A file is written under another name first and then renamed, so that processes can share the
    directory, and an interrupted run leaves whole files only. What cannot be read is a miss.

    Parameters
    ----------
    directory : str or path
        Folder, made by `open`.

    Attributes
    ----------
    failure : OSError or None
        Why an answer could not be stored: it is given all the same.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn_ext.text import SummaryReply
    >>> from sklearn_ext.text.backends._cache import Cache
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cache = Cache(folder)
    ...     reply, was_stored = cache.answer("ab12", lambda: SummaryReply("Short."))
    ...     cache.get("ab12").text, was_stored
    ('Short.', False)
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        self.failure: OSError | None = None

    def open(self) -> None:
        """Make the folder, before anything is paid for.

        Raises
        ------
        ValueError
            If there can be no such folder.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"cache={str(self.directory)!r} is no folder, and none can be made: {error}. Name "
                "a folder that can be written to, or set cache=None."
            ) from error

    def answer(self, key: str, ask: Callable[[], SummaryReply]) -> tuple[SummaryReply, bool]:
        """Give the stored answer, or ask for it and store it.

        Threads that want the same answer at the same time ask once.

        Parameters
        ----------
        key : str
            Result of `request_key`.
        ask : callable
            Function without arguments that gets the answer.

        Returns
        -------
        reply : SummaryReply
            The answer.
        was_stored : bool
            Whether it was there already.
        """
        with one_at_a_time(f"{self.directory.absolute()}:{key}"):
            stored = self.get(key)
            if stored is not None:
                return stored, True
            reply = ask()
            try:
                self._put(key, reply)
            except OSError as error:
                self.failure = error
            return reply, False

    def get(self, key: str) -> SummaryReply | None:
        """Read an answer.

        Parameters
        ----------
        key : str
            Result of `request_key`.

        Returns
        -------
        reply : SummaryReply or None
            The answer, or None where there is none or it cannot be read.
        """
        try:
            content = json.loads(self._path(key).read_text("utf-8"))
            text, *tokens = content["text"], content["tokens_in"], content["tokens_out"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        is_sound = isinstance(text, str) and all(type(count) is int for count in tokens)
        return SummaryReply(text, *tokens) if is_sound else None

    def _put(self, key: str, reply: SummaryReply) -> None:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = json.dumps(
            {"text": reply.text, "tokens_in": reply.tokens_in, "tokens_out": reply.tokens_out}
        )
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with open(handle, "w", encoding="utf-8") as file:
                file.write(content)
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise

    def _path(self, key: str) -> Path:
        return self.directory / key[:2] / f"{key[2:]}.json"


# Locks of requests under way in this process, with the number of threads that want each.
_UNDER_WAY: dict[str, tuple[threading.Lock, int]] = {}
_UNDER_WAY_LOCK = threading.Lock()


@contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    """Let one thread of the process at a time do what has this name.

    Parameters
    ----------
    name : str
        Any name.

    Yields
    ------
    None
        While this thread has its turn.

    Examples
    --------
    >>> from sklearn_ext.text.backends._cache import one_at_a_time
    >>> with one_at_a_time("this"):
    ...     pass
    """
    with _UNDER_WAY_LOCK:
        lock, users = _UNDER_WAY.get(name, (threading.Lock(), 0))
        _UNDER_WAY[name] = lock, users + 1
    try:
        with lock:
            yield
    finally:
        with _UNDER_WAY_LOCK:
            users = _UNDER_WAY[name][1]
            if users == 1:
                del _UNDER_WAY[name]
            else:
                _UNDER_WAY[name] = lock, users - 1
