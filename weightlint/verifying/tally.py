"""All that was seen of a checkpoint's bytes, and its one form on disk.

A state to resume from, a cache, a part of a run under some launcher: each is a tally. Merging is associative, and
a tally is whole when every job has its row.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from weightlint import strict_json
from weightlint.digest import Digest
from weightlint.errors import UsageError
from weightlint.probe import Crc, Hash, Job, Row, Span, Spot, Stats
from weightlint.strict_json import BadJsonError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

VERSION = 1
MARK = "weightlint_tally"
MAX_SIZE = 1 << 30
"""Bytes of a tally that are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Jobs of a run by key, the rows of those that are done, and what the files should hash to.

    `notes` say in words who vouches for the files.
    """

    target: str
    jobs: Mapping[str, Job]
    rows: Mapping[str, Row] = field(default_factory=dict)
    digests: tuple[Digest, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def pending(self) -> tuple[Job, ...]:
        """Return the jobs without a row."""
        return tuple(job for key, job in self.jobs.items() if key not in self.rows)

    def entries(self) -> Iterator[tuple[Job, Row]]:
        """Yield the jobs that are done with their rows, in the order of the jobs."""
        return ((job, self.rows[key]) for key, job in self.jobs.items() if key in self.rows)

    def digest_of(self, file: str) -> Sequence[Digest]:
        """Return what one file should hash to."""
        return [digest for digest in self.digests if digest.file == file]

    def merge(self, other: Tally) -> Tally:
        """Return what two tallies of the same checkpoint have seen together.

        Raises:
            UsageError: they are of different jobs.
        """
        if {*self.jobs} != {*other.jobs}:
            message = (
                f"the parts of {self.target} and {other.target} are of different runs: "
                f"{len({*self.jobs} ^ {*other.jobs}):,} jobs are not in both; run every part with the same options"
            )
            raise UsageError(message)
        return replace(self, rows={**self.rows, **other.rows})


def part(jobs: Iterable[Job], number: int, of: int) -> list[Job]:
    """Return the jobs of one of `of` parts, numbered from 1: the largest first to the part with the fewest bytes."""
    loads = [0] * of
    mine = []
    for job in sorted(jobs, key=lambda job: (job.start - job.stop, job.key)):
        least = loads.index(min(loads))
        loads[least] += job.stop - job.start
        if least == number - 1:
            mine.append(job)
    return mine


def text(tally: Tally, *, program: str) -> str:
    """Return the JSON text of a tally."""
    table = {
        MARK: VERSION,
        "weightlint": program,
        "target": tally.target,
        "notes": list(tally.notes),
        "digests": [_plain(digest, Digest) for digest in tally.digests],
        "jobs": [_plain(job, Job) for job in tally.jobs.values()],
        "rows": [_plain(row, Row) for row in tally.rows.values()],
    }
    return json.dumps(table, separators=(",", ":")).replace("\x7f", "\\u007f") + "\n"


def _plain(record: Any, kind: Any) -> list[Any]:
    return [getattr(record, name) for name in kind.__slots__]


def read(path: Path) -> Tally:
    """Read a tally.

    Raises:
        UsageError: it cannot be read or is none.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        message = f"{path}: {error.strerror}"
        raise UsageError(message) from error
    try:
        return _tally(strict_json.parse(raw) if len(raw) <= MAX_SIZE else None)
    except (BadJsonError, TypeError, ValueError, KeyError, AttributeError) as error:
        message = f"{path} holds no results of `weightlint verify`: {error}"
        raise UsageError(message) from error


def _tally(table: Any) -> Tally:
    if not isinstance(table, dict) or table.get(MARK) != VERSION:
        message = f"it does not say {MARK!r}: {VERSION}"
        raise ValueError(message)
    jobs = [_job(*fields) for fields in table["jobs"]]
    rows = [_row(*fields) for fields in table["rows"]]
    return Tally(
        target=str(table["target"]),
        jobs={job.key: job for job in jobs},
        rows={row.key: row for row in rows},
        digests=tuple(_record(Digest, fields) for fields in table["digests"]),
        notes=tuple(map(str, table["notes"])),
    )


def _record(kind: Any, fields: Sequence[Any]) -> Any:
    return kind(**dict(zip(kind.__slots__, fields, strict=True)))


def _job(*fields: Any) -> Job:
    job: Job = _record(Job, fields)
    return replace(
        job,
        spans=tuple(_span(*span) for span in job.spans),
        crcs=tuple(Crc(*crc) for crc in job.crcs),
        hashes=tuple(Hash(*hash_) for hash_ in job.hashes),
    )


def _span(*fields: Any) -> Span:
    span = Span(*fields)
    return span._replace(shape=tuple(span.shape), prints=tuple(span.prints))


def _row(*fields: Any) -> Row:
    row: Row = _record(Row, fields)
    return replace(
        row,
        stats=tuple(_stats(*stats) for stats in row.stats),
        zeros=tuple((start, stop) for start, stop in row.zeros),
        crcs=tuple(row.crcs),
        errors=tuple((at, wanted, got, why) for at, wanted, got, why in row.errors),
    )


def _stats(*fields: Any) -> Stats:
    stats = Stats(*fields)
    return stats._replace(
        counts=tuple((what, count) for what, count in stats.counts),
        spots=tuple(Spot(*spot) for spot in stats.spots),
        samples=tuple(stats.samples),
        prints=tuple(stats.prints),
    )
