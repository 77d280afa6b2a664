"""The probe of `weightlint verify`: one pass over the bytes of a job, everything asked for in it."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightlint.probe import CHANGED, Row, Spot, Stats
from weightlint.scanning.blocked import Blocked
from weightlint.scanning.blocks import BLOCKS, ROWS
from weightlint.scanning.chunks import chunks
from weightlint.scanning.hashing import Prints, Runs
from weightlint.scanning.number import NUMBERS
from weightlint.scanning.plain import Plain
from weightlint.scanning.sampling import Samples
from weightlint.scanning.zeros import ZeroRuns

if TYPE_CHECKING:
    from collections.abc import Callable

    from weightlint.probe import Job, Span
    from weightlint.scanning.number import Bytes
    from weightlint.store import Blob, Store


@dataclass(frozen=True, slots=True)
class Scan:
    """Reads jobs from a store."""

    store: Store

    def __call__(self, job: Job, told: Callable[[int], None], /) -> Row:
        """Read the bytes of a job once; what cannot be read is among the errors of the row."""
        began = time.perf_counter()
        try:
            with self.store.open(job.file) as blob:
                return _pass(blob, job, told, began)
        except OSError as error:
            why = error.strerror or str(error)
            lost = ((job.start, job.stop - job.start, 0, why),)
            nothing = (Stats(),) * len(job.spans)
            spent, here = time.perf_counter() - began, platform.node()
            return Row(key=job.key, version="", read=0, seconds=spent, stats=nothing, errors=lost, node=here)


def _pass(blob: Blob, job: Job, told: Callable[[int], None], began: float) -> Row:
    version, read = blob.version, 0
    runs, zeros, spans = Runs(job), ZeroRuns(), _Spans(job)
    errors = []
    for chunk in chunks(blob, job):
        if chunk.why:
            errors.append((chunk.offset, chunk.wanted, len(chunk.data), chunk.why))
        if len(chunk.data):
            # hashing takes its time with each byte anyway, so it comes when the caches hold other ones
            spans.feed(chunk.data, chunk.offset)
            if job.values:
                zeros.feed(chunk.data, chunk.offset)
            runs.feed(chunk.data, chunk.offset)
            read += len(chunk.data)
            told(len(chunk.data))
    return Row(
        key=job.key,
        version=version if version == blob.version else version + CHANGED,
        read=read,
        seconds=time.perf_counter() - began,
        digests={} if errors else runs.digests(),
        stats=spans.close(),
        zeros=zeros.close(),
        crcs=() if errors else runs.broken(),
        errors=tuple(errors),
        node=platform.node(),
    )


class _Spans:
    """Gives every span of a job its bytes."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._at = 0
        self._watches: dict[int, _Watch] = {}
        self._stats = [Stats()] * len(job.spans)

    def feed(self, data: Bytes, offset: int) -> None:
        end = offset + len(data)
        spans = self._job.spans
        while self._at < len(spans) and spans[self._at].start < end:
            span = spans[self._at]
            start, stop = max(span.start, offset), min(span.stop, end)
            if start < stop:
                watch = self._watches.get(self._at) or self._watches.setdefault(
                    self._at, _Watch(span, self._job)
                )
                watch.feed(data[start - offset : stop - offset], start)
            if span.stop > end:
                return
            self._finish()

    def close(self) -> tuple[Stats, ...]:
        if self._watches:
            self._finish()
        return tuple(self._stats)

    def _finish(self) -> None:
        watch = self._watches.pop(self._at, None)
        if watch is not None:
            self._stats[self._at] = watch.stats()
        self._at += 1


class _Watch:
    """Everything that is followed within one span."""

    def __init__(self, span: Span, job: Job) -> None:
        self._prints = Prints(span) if job.prints else None
        self._numbers = _numbers(span) if job.values else None
        self._samples = Samples(span) if job.values and span.dtype else None

    def feed(self, data: Bytes, offset: int) -> None:
        if self._prints is not None:
            self._prints.feed(data)
        if self._numbers is not None:
            self._numbers.feed(data, offset)
        if self._samples is not None:
            for part in self._samples.feed(data, offset):
                if self._numbers is not None:
                    self._numbers.sample(part)

    def stats(self) -> Stats:
        prints = tuple(self._prints.close()) if self._prints is not None else ()
        samples = self._samples.close() if self._samples is not None else ()
        seen = self._numbers
        if seen is None:
            return Stats(prints=prints, samples=samples)
        seen.weigh()
        return Stats(
            absmax=seen.absmax,
            peak=seen.peak,
            squares=seen.squares,
            sampled=seen.sampled,
            median=seen.median,
            counts=tuple(seen.wrong.counts.items()),
            spots=tuple(Spot(*spot) for spot in seen.wrong.spots),
            samples=samples,
            prints=prints,
        )


def _numbers(span: Span) -> Plain | Blocked | None:
    """Return what watches the numbers of a span, None where every pattern of bits is sound."""
    dtype = span.dtype or ""
    if dtype in NUMBERS:
        return Plain(span, NUMBERS[dtype])
    if dtype in BLOCKS:
        return Blocked(span, BLOCKS[dtype])
    return Blocked(span, (ROWS[dtype],)) if dtype in ROWS else None
