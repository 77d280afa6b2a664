"""Layout: the byte ranges of tensors stand in one row, without overlap, up to the end of the file.

Works on positions; knows nothing of how a format writes them down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from weightlint.finding import counted, printable
from weightlint.index import Fault, FaultKind
from weightlint.names import patterns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REWRITE = "write the file again with the safetensors library, or download it again"


class Span(NamedTuple):
    """Where one tensor lies, in bytes from the start of the data."""

    start: int
    stop: int
    name: str


@dataclass(frozen=True, slots=True)
class Layout:
    """Spans in order and the file that they are to fill: `size` bytes, the data from `data` on."""

    path: str
    spans: Sequence[Span]
    data: int
    size: int

    @property
    def end(self) -> int:
        """Where the file should end."""
        return self.data + max((span.stop for span in self.spans), default=0)


def layout_faults(layout: Layout, *, explained: bool) -> Iterator[Fault]:
    """Say where the spans leave the row from 0 to the end of the file, one fault per cause.

    With `explained`, entries that are wrong by themselves are left out of the spans or a name has
    several: the holes and overlaps that this leaves are not told again, a file cut short is.
    """
    if layout.end > layout.size:
        yield _short(layout)
    if explained:
        return
    overlaps = list(_overlaps(layout.spans))
    holes = list(_holes(layout.spans))
    if overlaps:
        yield _overlap(layout, overlaps)
        return
    if holes:
        yield _hole(layout, holes)
    if layout.end < layout.size:
        yield _long(layout)


def shown(name: str) -> str:
    """Return a tensor name as it stands in a message."""
    return printable(name, limit=120) if name else "the tensor without a name"


def _overlaps(spans: Sequence[Span]) -> Iterator[tuple[Span, Span]]:
    last = None
    for span in spans:
        if last is not None and span.start < last.stop:
            yield last, span
        if last is None or span.stop >= last.stop:
            last = span


def _holes(spans: Sequence[Span]) -> Iterator[tuple[int, str]]:
    at = 0
    for span in spans:
        if span.start > at:
            yield span.start - at, span.name
        at = max(at, span.stop)


def _hole(layout: Layout, holes: Sequence[tuple[int, str]]) -> Fault:
    missing = sum(size for size, _ in holes)
    return Fault(
        kind=FaultKind.MALFORMED,
        file=layout.path,
        message=f"{missing:,} bytes of {layout.path} belong to no tensor, before {shown(holes[0][1])}",
        tensors=tuple(patterns(name for _, name in holes)),
        cure=REWRITE,
    )


def _overlap(layout: Layout, overlaps: Sequence[tuple[Span, Span]]) -> Fault:
    a, b = overlaps[0]
    shared = min(a.stop, b.stop) - b.start
    message = f"{shown(a.name)} and {shown(b.name)} of {layout.path} share {shared:,} bytes"
    more = f", and {len(overlaps) - 1:,} more pairs do" if len(overlaps) > 1 else ""
    return Fault(
        kind=FaultKind.MALFORMED,
        file=layout.path,
        message=message + more + ": one of them holds the other's values",
        tensors=tuple(patterns({span.name for pair in overlaps for span in pair})),
        expected="every byte belongs to one tensor",
        found=f"data_offsets [{a.start}, {a.stop}] and [{b.start}, {b.stop}]",
        cure=REWRITE,
    )


def _short(layout: Layout) -> Fault:
    hit = [span.name for span in layout.spans if layout.data + span.stop > layout.size]
    return cut_short(layout.path, hit, end=layout.end, size=layout.size)


def cut_short(path: str, hit: Sequence[str], *, end: int, size: int) -> Fault:
    """Say that a file of `size` bytes should end at byte `end`, and which tensors that hits."""
    return Fault(
        kind=FaultKind.TORN,
        file=path,
        message=f"{path} ends {counted(end - size, 'byte')} too early; "
        f"{counted(len(hit), 'tensor')} cut off or absent",
        tensors=tuple(patterns(hit)),
        expected=f"{end:,} bytes, as its header declares",
        found=f"{size:,} bytes",
        cure="download the file again: it was cut short",
    )


def _long(layout: Layout) -> Fault:
    return Fault(
        kind=FaultKind.TORN,
        file=layout.path,
        message=f"{layout.path} has {layout.size - layout.end:,} bytes after its last tensor",
        expected=f"{layout.end:,} bytes, as its header declares",
        found=f"{layout.size:,} bytes",
        cure="download the file again: something was appended to it, or two files were joined",
    )
