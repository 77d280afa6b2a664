"""All that was seen of a checkpoint's bytes, and its one form on disk.

A state to resume from, a cache, a part of a run under some launcher: each is a tally. Merging is associative, and
a tally is whole when every job has its row.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from weightlint import small_file, strict_json
from weightlint.checkpoint import collector_off
from weightlint.digest import Digest
from weightlint.errors import UsageError
from weightlint.finding import printable
from weightlint.probe import Job, Row, Spot
from weightlint.strict_json import BadJsonError
from weightlint.verifying.records import fields, lack, reader
from weightlint.verifying.spans import MAX_SLICES

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
        if self.jobs != other.jobs:
            apart = [key for key in {**self.jobs, **other.jobs} if self.jobs.get(key) != other.jobs.get(key)]
            message = (
                f"the parts of {self.target} and {other.target} are of different runs: "
                f"{len(apart):,} jobs are not in both; run every part with the same options"
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
    return [getattr(record, name) for name in fields(kind)]


def read(path: Path) -> Tally:
    """Read a tally.

    Raises:
        UsageError: it cannot be read or is none.
    """
    try:
        with collector_off():
            return _tally(strict_json.parse(small_file.read_all(path, limit=MAX_SIZE)))
    except OSError as error:
        message = f"{path}: {error.strerror or error}"
        raise UsageError(message) from error
    except (BadJsonError, TypeError, ValueError, KeyError, OverflowError) as error:
        message = f"{path} holds no results of `weightlint verify`: {lack(error)}; remove it and verify again"
        raise UsageError(message) from error


def _tally(table: Any) -> Tally:
    if not isinstance(table, dict) or table.get(MARK) != VERSION:
        message = f"it does not say {MARK!r}: {VERSION}"
        raise ValueError(message)
    jobs = {job.key: job for job in reader(tuple[Job, ...])(table["jobs"])}
    rows = {row.key: row for row in reader(tuple[Row, ...])(table["rows"])}
    for key, job in jobs.items():
        if not _is_sound(job) or (key in rows and not fits(job, rows[key])):
            message = f"the entry of {printable(key)} does not add up"
            raise ValueError(message)
    return Tally(
        target=reader(str)(table["target"]),
        jobs=jobs,
        rows=rows,
        digests=reader(tuple[Digest, ...])(table["digests"]),
        notes=reader(tuple[str, ...])(table["notes"]),
    )


def _is_sound(job: Job) -> bool:
    """Tell whether the spans of a job come one after the other and can be divided.

    Those that a manifest gives may lie beyond the end of the file.
    """
    ends = [job.start, *(span.stop for span in job.spans)]
    ordered = all(end <= span.start <= span.stop for end, span in zip(ends, job.spans, strict=False))
    sizes = all(
        span.unit > 0 and 0 < span.slices <= MAX_SLICES and min(span.shape, default=0) >= 0
        for span in job.spans
    )
    return 0 <= job.start <= job.stop <= job.size and ordered and sizes


def fits(job: Job, row: Row) -> bool:
    """Tell whether a row may be of a job: it says something of each span, and of bytes that the job has."""
    if len(row.stats) != len(job.spans):
        return False
    spots = all(
        span.start <= spot.offset < span.stop
        for span, stats in zip(job.spans, row.stats, strict=True)
        for spot in (*stats.spots, *([Spot("", stats.peak)] if stats.absmax else []))
    )
    counted = all(
        {what for what, _ in stats.counts} == {spot.what for spot in stats.spots} for stats in row.stats
    )
    zeros = all(job.start <= start < stop <= job.stop for start, stop in row.zeros)
    return spots and counted and zeros
