"""Tensors, experts and layers with equal bytes.

Samples tell which may be equal, hashes of all bytes whether they are. Only weights of two dimensions count: norms and biases
are often all one number, and zeros are another finding.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from weightlint.names import fold

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.names import Coord, Template
    from weightlint.probe import Job
    from weightlint.verifying.tally import Tally

MIN_BYTES = 4096
"""Bytes of the smallest tensor, or expert within one, that is compared."""


class Part(NamedTuple):
    """A tensor or an expert within one, by family and numbers; `file` and `name` say where it is."""

    template: Template
    coord: Coord
    name: str
    file: str


@dataclass(frozen=True, slots=True)
class Copies:
    """Parts of one family whose bytes are equal."""

    template: Template
    parts: tuple[Part, ...]


def copies(tally: Tally) -> list[Copies]:
    """Return the parts whose bytes are equal, as far as hashes of all bytes tell."""
    return [Copies(parts[0].template, tuple(parts)) for parts in _alike(tally, whole=True)]


def suspects(tally: Tally) -> Iterator[Job]:
    """Yield jobs that hash the tensors whose samples are equal to those of another, and have no hash yet."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for parts in _alike(tally, whole=False):
        for part in parts:
            wanted[part.file].add(part.name)
    for job, row in tally.entries():
        names = wanted.get(job.file, set())
        lacking = [
            span
            for span, stats in zip(job.spans, row.stats, strict=True)
            if span.name in names and span.dtype is not None and not stats.prints
        ]
        if lacking:
            yield replace(
                job,
                start=lacking[0].start,
                stop=lacking[-1].stop,
                spans=tuple(lacking),
                hashes=(),
                crcs=(),
                prints=True,
                values=False,
            )


def _alike(tally: Tally, *, whole: bool) -> Iterator[Sequence[Part]]:
    groups: dict[tuple[object, ...], list[Part]] = defaultdict(list)
    for job, row in tally.entries():
        for span, stats in zip(job.spans, row.stats, strict=True):
            if span.dtype is None or len(span.shape) < 2 or not any(stats.samples):
                continue
            template, coord = fold(span.name)
            size = (span.stop - span.start) // span.slices
            seen = stats.prints if whole else stats.samples
            for which, digest in enumerate(seen) if size >= MIN_BYTES else ():
                if which >= len(stats.samples) or not stats.samples[which]:
                    continue
                place = (*coord, which) if span.slices > 1 else coord
                groups[template, size, digest].append(Part(template, place, span.name, job.file))
    # one name in two files is another finding
    return (parts for parts in groups.values() if len({part.coord for part in parts}) > 1)
