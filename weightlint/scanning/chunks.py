"""The bytes of a job in chunks that stay in cache, each read once into one buffer; a chunk never cuts a unit."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.probe import Job
    from weightlint.scanning.number import Bytes
    from weightlint.store import Blob

CHUNK = 1 << 20
"""Bytes of a chunk: it is read, hashed and looked at before it leaves the caches, and long beside what Python adds."""

STEP = 1 << 16
"""Bytes of a chunk where a longer one could not be read: a disk fails by sectors, a network file system by pages."""

ENDS = "the file ends"


class Chunk(NamedTuple):
    """The next bytes of a file, or why they could not be had: then `data` is empty.

    `wanted` is how many were asked for.
    """

    offset: int
    wanted: int
    data: Bytes
    why: str = ""


def chunks(blob: Blob, job: Job) -> Iterator[Chunk]:
    """Yield the bytes of a job; `data` is overwritten by the next chunk."""
    buffer = np.empty(CHUNK, np.uint8)
    starts = [span.start for span in job.spans]
    at = steps = job.start
    while at < job.stop:
        end = _end(job, starts, at, STEP if at < steps else CHUNK)
        if end - at > len(buffer):
            buffer = np.empty(end - at, np.uint8)
        try:
            chunk = _read(blob, buffer, at, end - at)
        except ConnectionError as error:
            # a server that was asked in vain so often has no better bytes further on
            yield Chunk(at, job.stop - at, buffer[:0], error.strerror or str(error))
            return
        if chunk.why and chunk.why != ENDS and at >= steps:
            steps = end
            continue
        yield chunk
        if chunk.why == ENDS:
            return
        at = end


def _end(job: Job, starts: list[int], at: int, size: int) -> int:
    """Return where the chunk of about `size` bytes from `at` on ends: never within a unit."""
    end = min(at + size, job.stop)
    place = bisect_right(starts, end) - 1
    if place < 0:
        return end
    span = job.spans[place]
    if not span.start < end < span.stop:
        return end
    whole = end - (end - span.start) % span.unit
    return whole if whole > at else min(span.stop, whole + span.unit)


def _read(blob: Blob, buffer: Bytes, at: int, wanted: int) -> Chunk:
    view = buffer[:wanted]
    try:
        got = blob.read_into(view.data, at)
    except ConnectionError:
        raise
    except OSError as error:
        return Chunk(at, wanted, view[:0], error.strerror or str(error) or type(error).__name__)
    return Chunk(at, wanted, view[:got], "" if got == wanted else ENDS)
