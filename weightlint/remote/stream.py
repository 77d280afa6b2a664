"""A file from one byte on, for a reader who takes all of it: a window in use, the next one on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.remote.answer import refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from weightlint.remote.client import Part

WINDOW = 1 << 23
"""Bytes of a window: few requests, and two windows a thread in memory."""


class Stream:
    """Bytes from `start` on, in order; `ask` asks for a range, `check` looks at what came."""

    def __init__(
        self, ask: Callable[[int, int], Future[Part]], check: Callable[[Part], None], start: int, size: int
    ) -> None:
        self.at = start
        self._ask, self._check, self._size = ask, check, size
        self._window = memoryview(b"")
        self._asked = start
        self._next: Future[Part] | None = None
        self._broken: OSError | None = None

    def fill(self, buffer: memoryview) -> int:
        """Fill a buffer with the next bytes; return how many there were.

        Raises:
            ConnectionError: the bytes cannot be had; once is enough to give up.
        """
        done = 0
        while done < len(buffer) and self.at < self._size:
            if not self._window:
                self._turn()
            part = self._window[: len(buffer) - done]
            buffer[done : done + len(part)] = part
            self._window = self._window[len(part) :]
            self.at += len(part)
            done += len(part)
        return done

    def close(self) -> None:
        """Give up what is on its way."""
        if self._next is not None:
            self._next.cancel()

    def _turn(self) -> None:
        """Take the next window and ask for the one behind it."""
        if self._broken is not None:
            raise self._broken
        try:
            part = (self._next or self._asking()).result()
            self._check(part)
        except OSError as error:
            self._broken = refused(error.strerror or str(error))
            raise self._broken from error
        if not part.data:
            self._broken = refused("the server sends nothing")
            raise self._broken
        self._window = memoryview(part.data)
        self._next = self._asking() if self._asked < self._size else None

    def _asking(self) -> Future[Part]:
        start, self._asked = self._asked, min(self._asked + WINDOW, self._size)
        return self._ask(start, self._asked)
