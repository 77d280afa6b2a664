"""One remote file: what was read of it stays in memory while it is open, so that no byte is asked for twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.remote.answer import refused
from weightlint.remote.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from weightlint.remote.client import Part
    from weightlint.remote.site import Entry

LONG = 1 << 23
"""Bytes that are read ahead for a reader who goes on and on: the vocabulary in a GGUF header has 2 to 8 million."""

NEAR = 1 << 16
"""Bytes that are read at least, where a read is not the rest of what is held: the next one is often close by."""

MOST = 1 << 12
"""Places of one file that are asked for: a torch archive has a header before each of its storages."""


class RemoteBlob:
    """An open file; `first` bytes are asked for from its start, `held` is what is there already."""

    def __init__(
        self,
        ask: Callable[[int, int], Future[Part]],
        entry: Entry,
        *,
        first: int,
        held: tuple[Part, ...] = (),
    ) -> None:
        self._ask = ask
        self._entry = entry
        self._first = first
        self._tag = next((part.tag for part in held), "" if entry.fixed else entry.version)
        self._stream: Stream | None = None
        self._last = (0, 0)
        self._row = 0
        self.held = [*held]
        size = entry.size if entry.size is not None else next((part.total for part in held), None)
        self.size = self._told_size() if size is None else size

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes [start, stop); fewer when the file ends before."""
        stop = min(stop, self.size)
        follows = self._last[0] < start <= self._last[1] + NEAR
        self._row, self._last = (self._row + 1 if follows else 0), (start, stop)
        parts = []
        while start < stop:
            part = self._holding(start) or self._fetch(start, stop)
            piece = memoryview(part.data)[start - part.start : stop - part.start]
            parts.append(piece)
            start += len(piece)
        return b"".join(parts)

    def prepare(self, spans: Iterable[tuple[int, int]]) -> None:
        """Fetch what will be read in many places, several at a time; what is close together in one piece."""
        inside = sorted((start, min(stop, self.size)) for start, stop in spans if 0 <= start < self.size)
        runs = list(_joined(span for span in inside if not self._holds(span)))
        if len(runs) > MOST:
            message = (
                f"its table lies in {len(runs):,} places, more than the {MOST:,} that are asked a server for"
            )
            raise refused(message)
        for asked in [self._ask(*run) for run in runs]:
            part = asked.result()
            self._check(part)
            self._keep(part)

    @property
    def version(self) -> str:
        """Return what the listing calls this content, else what the server calls it."""
        if not self._entry.version and not self._tag and self.size:
            self._fetch(0, min(self._first, self.size))
        return self._entry.version or self._tag

    def read_into(self, buffer: memoryview, start: int) -> int:
        """Fill a buffer from `start` on; return how many bytes there were. Reads in a row cost few requests."""
        if self._stream is None or self._stream.at != start:
            self.close()
            self._stream = Stream(self._ask, self._check, start, self.size)
        return self._stream.fill(buffer)

    def close(self) -> None:
        """Give up what is on its way."""
        if self._stream is not None:
            self._stream.close()

    def _holding(self, at: int) -> Part | None:
        return next((part for part in self.held if part.start <= at < part.start + len(part.data)), None)

    def _holds(self, span: tuple[int, int]) -> bool:
        part = self._holding(span[0])
        return part is not None and span[1] <= part.start + len(part.data)

    def _told_size(self) -> int:
        part = self._ask(0, self._first).result()
        self._keep(part)
        return part.total

    def _fetch(self, start: int, stop: int) -> Part:
        """Ask for bytes that are not held, and for those that will be wanted next."""
        if start == 0:
            stop = max(stop, self._first)
        elif self._row >= 2:
            stop = max(stop, start + LONG)
        elif self._holding(start - 1) is None:
            stop = max(stop, start + NEAR)
        later = (part.start for part in self.held if part.start > start)
        part = self._ask(start, min(stop, self.size, *later)).result()
        self._check(part)
        if not part.data:
            message = f"the server has no byte {start:,} of {self.size:,}"
            raise refused(message)
        self._keep(part)
        return part

    def _keep(self, part: Part) -> None:
        self._tag = self._tag or part.tag
        self.held.append(part)

    def _check(self, part: Part) -> None:
        """Refuse bytes of another file than the one that was opened."""
        if part.total != self.size:
            message = f"has changed on the server: {part.total:,} bytes now, {self.size:,} before"
            raise refused(message)
        tags = {tag.strip('"') for tag in (self._tag, part.tag) if tag and not tag.startswith("W/")}
        if len(tags) > 1 and not self._entry.fixed:
            message = "has changed on the server while it was read"
            raise refused(message)


def _joined(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Join sorted spans that are so close that one request for both is cheaper than two."""
    start = stop = 0
    for begin, end in spans:
        if stop and begin > stop + NEAR:
            yield start, stop
            stop = 0
        start, stop = (start, max(stop, end)) if stop else (begin, end)
    if stop:
        yield start, stop
