"""Hashes of runs of bytes, fed with whatever chunk comes: of a file or a part of it, of slices, CRC-32."""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING, Any

from weightlint.digest import GIT_SHA1

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weightlint.probe import Crc, Hash, Job, Span
    from weightlint.scanning.number import Bytes


class Runs:
    """The hashes and checksums that a job asks for, each over its own run of bytes."""

    def __init__(self, job: Job) -> None:
        # of a file with a hash for each tensor only a few are under way at a time
        self._waiting = sorted(job.hashes, key=lambda hash_: hash_.start, reverse=True)
        self._running: list[tuple[Hash, Any]] = []
        self._done: dict[str, str] = {}
        self._crcs = sorted(job.crcs, key=lambda crc: crc.start)
        self._sums: dict[Crc, int] = {}

    def feed(self, data: Bytes, offset: int) -> None:
        """Take the next bytes; `offset` is that of the first one in the file."""
        end = offset + len(data)
        self._begin(end)
        for hash_, state in self._running:
            state.update(data[max(0, hash_.start - offset) : max(0, hash_.stop - offset)])
        self._finish(end)
        while self._crcs and self._crcs[0].stop <= offset:
            self._crcs.pop(0)
        for crc in self._crcs:
            if crc.start >= end:
                break
            part = data[max(0, crc.start - offset) : crc.stop - offset]
            self._sums[crc] = zlib.crc32(part.data, self._sums.get(crc, 0))

    def digests(self) -> dict[str, str]:
        """Return the hashes in hex, by key."""
        self._begin(None)
        self._finish(None)
        return self._done

    def _begin(self, end: int | None) -> None:
        """Begin the hashes of runs that start before a byte, all without one."""
        while self._waiting and (end is None or self._waiting[-1].start < end):
            hash_ = self._waiting.pop()
            self._running.append((hash_, _begun(hash_)))

    def _finish(self, end: int | None) -> None:
        """Finish the hashes of runs that stop before a byte, all without one."""
        if end is None or any(hash_.stop <= end for hash_, _ in self._running):
            over = [it for it in self._running if end is None or it[0].stop <= end]
            self._done |= {hash_.key: state.hexdigest() for hash_, state in over}
            self._running = [it for it in self._running if it not in over]

    def broken(self) -> tuple[str, ...]:
        """Return the names of the records whose checksum is not what the archive says."""
        return tuple(crc.name for crc, value in self._sums.items() if value != crc.crc)


def _begun(hash_: Hash) -> Any:
    if hash_.algorithm == GIT_SHA1:
        # the object id of git is no secret, nor is anything else here
        state = hashlib.sha1(usedforsecurity=False)
        state.update(b"blob %d\0" % (hash_.stop - hash_.start))
        return state
    if hash_.algorithm == "blake3":
        from blake3 import blake3

        return blake3()
    if hash_.algorithm in {"xxh3", "xxh64"}:
        import xxhash

        return xxhash.xxh3_64() if hash_.algorithm == "xxh3" else xxhash.xxh64()
    return hashlib.new(hash_.algorithm, usedforsecurity=False)


class Prints:
    """xxh3 hashes of 128 bits of the slices of one span."""

    def __init__(self, span: Span) -> None:
        import xxhash

        self._new = xxhash.xxh3_128
        self._slice = (span.stop - span.start) // span.slices
        self._left = self._slice
        self._state = self._new()
        self._done: list[str] = []

    def feed(self, data: Bytes) -> None:
        """Take the next bytes of the span."""
        while len(data) >= self._left > 0:
            self._state.update(data[: self._left].data)
            data = data[self._left :]
            self._done.append(self._state.hexdigest())
            self._state, self._left = self._new(), self._slice
        if len(data):
            self._state.update(data.data)
            self._left -= len(data)

    def close(self) -> Sequence[str]:
        """Return the hash of each slice; a last one that ended early counts as well."""
        if not self._done or self._left < self._slice:
            self._done.append(self._state.hexdigest())
        return self._done
