"""Do the byte ranges of tensors cover a file exactly once, and what to say where they do not.

Works on positions in a file; knows nothing of how a format writes them down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from weightlint.finding import printable
from weightlint.index import Fault, FaultKind
from weightlint.names import patterns

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

_AGAIN = "download the file again, or write it again with safetensors' save_file"


class Span(NamedTuple):
    """The bytes [start, stop) of a file that one tensor claims."""

    start: int
    stop: int
    name: str


class Cover(NamedTuple):
    """What a set of spans leaves out or takes twice.

    `clashes` are pairs that share bytes (or a span without bytes inside another); `holes` are
    byte ranges before `end` that nobody claims; `end` is where the last span stops.
    """

    clashes: list[tuple[Span, Span]]
    holes: list[tuple[int, int]]
    end: int


def cover(spans: Iterable[Span], begin: int) -> Cover:
    """Compare spans in any order with an area that begins at a byte position."""
    clashes, holes = [], []
    last = Span(begin, begin, "")
    for span in sorted(spans):
        if span.start > last.stop:
            holes.append((last.stop, span.start))
        elif span.start < last.stop:
            clashes.append((last, span))
        if span.stop >= last.stop:
            last = span
    return Cover(clashes, holes, last.stop)


def range_faults(
    path: str, spans: Collection[Span], *, begin: int, size: int, explained: bool = False
) -> Iterator[Fault]:
    """Tell where spans do not cover [begin, size) exactly once, one fault per cause.

    With `explained` an entry is known to be wrong by itself and left out of the spans, or a name
    stands for several: what that leaves uncovered or covered twice is not told again.
    """
    seen = cover(spans, begin)
    if seen.end > size:
        yield _short(path, spans, end=seen.end, size=size)
    if explained:
        return
    if seen.clashes:
        yield _clash(path, seen, size=size)
    elif seen.holes:
        yield _hole(path, seen)
    elif seen.end < size:
        yield _long(path, seen.end, size=size)


def _short(path: str, spans: Collection[Span], *, end: int, size: int) -> Fault:
    hit = [span for span in spans if span.stop > size]
    gone = sum(span.start >= size for span in hit)
    return Fault(
        kind=FaultKind.TORN,
        file=path,
        message=f"the file ends {end - size:,} bytes too early: {len(hit) - gone:,} tensors are"
        f" cut, {gone:,} are not there at all",
        tensors=tuple(patterns(span.name for span in hit)),
        expected=f"{end:,} bytes",
        found=f"{size:,} bytes",
        cure="download the file again: it is not complete",
    )


def _long(path: str, end: int, *, size: int) -> Fault:
    return Fault(
        kind=FaultKind.TORN,
        file=path,
        message=f"{size - end:,} bytes follow the last tensor",
        expected=f"{end:,} bytes",
        found=f"{size:,} bytes",
        cure=_AGAIN,
    )


def _hole(path: str, seen: Cover) -> Fault:
    total = sum(stop - start for start, stop in seen.holes)
    start, stop = seen.holes[0]
    return Fault(
        kind=FaultKind.MALFORMED,
        file=path,
        message=f"{total:,} bytes belong to no tensor, the first of them at {start:,}..{stop:,}",
        expected="tensors without gaps",
        found=f"{len(seen.holes):,} gaps",
        cure=_AGAIN,
    )


def _clash(path: str, seen: Cover, *, size: int) -> Fault:
    one, two = seen.clashes[0]
    same = "exactly the same " if one[:2] == two[:2] else ""
    shared = f"bytes {max(one.start, two.start):,}..{min(one.stop, two.stop):,}"
    more = f", and {len(seen.clashes) - 1:,} more pairs" if len(seen.clashes) > 1 else ""
    lost = sum(stop - start for start, stop in seen.holes) + max(0, size - seen.end)
    left = f"; {lost:,} other bytes belong to no tensor" if lost else ""
    names = " and ".join(printable(span.name, limit=120) for span in (one, two))
    return Fault(
        kind=FaultKind.MALFORMED,
        file=path,
        message=f"{names} lie on {same}{shared}{more}{left}",
        tensors=tuple(patterns({span.name for pair in seen.clashes for span in pair})),
        expected="each byte in one tensor",
        found=f"{len(seen.clashes):,} overlaps",
        cure="write the file again with safetensors' save_file; store tied weights once",
    )
