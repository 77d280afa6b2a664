"""Where the bytes of one file differ from what a manifest or the file's own checksums say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightlint.names import span as spanned
from weightlint.verifying.advice import of_file
from weightlint.verifying.manifest import BEYOND

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.probe import Job, Row, Span, Stats
    from weightlint.verifying.tally import Tally


@dataclass(frozen=True, slots=True)
class Damage:
    """The pieces (a span and one of its slices) that a manifest contradicts, and the ZIP records that do not add up.

    `size` is that of the file in bytes. `spans` are the tensors within those records. `stats` is what the values of the first damaged tensors show.
    """

    size: int
    pieces: tuple[tuple[Span, int], ...]
    records: tuple[str, ...]
    spans: tuple[Span, ...]
    stats: tuple[tuple[Span, Stats], ...]

    @property
    def is_of_size(self) -> bool:
        """Tell whether all that differs is that the file ends too early or too late."""
        return all(span.stop > self.size or span.prints == BEYOND for span, _ in self.pieces)

    @property
    def is_of_header(self) -> bool:
        """Tell whether the table of the file differs and nothing else."""
        return all(not span.name and not span.start for span, _ in self.pieces)

    @property
    def runs(self) -> list[tuple[int, int]]:
        """Return the bytes [start, stop) of each piece."""
        out = []
        for span, which in self.pieces:
            size = (span.stop - span.start) // span.slices
            out.append((span.start + which * size, span.start + (which + 1) * size))
        return out

    @property
    def experts(self) -> str:
        """Say which of the experts that are stacked in the tensors differ."""
        hit = sorted({which for span, which in self.pieces if span.slices > 1})
        return f" (of experts {spanned(hit)})" if hit else ""

    @property
    def beside(self) -> str:
        """Say what differs that is no tensor."""
        starts = {span.start for span, _ in self.pieces if not span.name}
        named = ["the header"] if 0 in starts else []
        return " and ".join([*named, *(["bytes between tensors"] if starts - {0} else [])])

    @property
    def values(self) -> str:
        """Say what the values of the damaged tensors show."""
        for span, stats in self.stats:
            for kind, word in (("nan", "NaN"), ("inf", "infinite"), ("negative", "negative")):
                if stats.wrong(kind):
                    more = "" if len(self.pieces) == 1 else f" of {span.name}"
                    return f"; {stats.wrong(kind):,} values{more} are {word}"
        return ""


def damage(tally: Tally, file: str) -> Damage:
    """Return what differs in one file."""
    entries = [*of_file(tally, file)]
    pieces = tuple(piece for job, row in entries for piece in _pieces(job, row))
    names = {span for span, _ in pieces}
    return Damage(
        entries[0][0].size if entries else 0,
        pieces,
        tuple(record for _, row in entries for record in row.crcs),
        tuple(span for job, row in entries for span in _within(job, row)),
        tuple(
            (span, stats)
            for job, row in entries
            for span, stats in zip(job.spans, row.stats, strict=True)
            if span in names
        ),
    )


def _pieces(job: Job, row: Row) -> Iterator[tuple[Span, int]]:
    for span, stats in zip(job.spans, row.stats, strict=True):
        if span.prints and not row.errors:
            yield from ((span, which) for which in _differing(span.prints, stats.prints))


def _differing(wanted: Sequence[str], found: Sequence[str]) -> Iterator[int]:
    return (which for which, print_ in enumerate(wanted) if which >= len(found) or found[which] != print_)


def _within(job: Job, row: Row) -> Iterator[Span]:
    """Yield the tensors whose bytes are in records with a wrong checksum."""
    broken = [crc for crc in job.crcs if crc.name in row.crcs]
    for span in job.spans:
        if span.name and any(crc.start < span.stop and span.start < crc.stop for crc in broken):
            yield span


def damaged(tally: Tally) -> frozenset[tuple[str, str]]:
    """Return the file and name of every tensor of which it is known that its bytes are others."""
    files = dict.fromkeys(job.file for job, _ in tally.entries())
    return frozenset(
        (file, span.name)
        for file in files
        for hurt in (damage(tally, file),)
        for span in (*(span for span, _ in hurt.pieces), *hurt.spans)
    )
