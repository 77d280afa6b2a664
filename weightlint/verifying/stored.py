"""The one form of a tally on disk: a state to resume from, a cache, a part of a run under some launcher."""

from __future__ import annotations

import json
from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING, Any

from weightlint import strict_json
from weightlint.digest import Digest
from weightlint.errors import UsageError
from weightlint.probe import MOST_SQUARES, Job, Row
from weightlint.strict_json import BadJsonError
from weightlint.verifying.tally import Tally
from weightlint.verifying.typed import reader
from weightlint.weight_map import unsafe

if TYPE_CHECKING:
    from pathlib import Path

    from weightlint.probe import Span, Stats

VERSION = 1
MARK = "weightlint_tally"
MAX_SIZE = 1 << 30
"""Bytes of a tally that are read."""

MAX_PARTS = 999_999


def text(tally: Tally, *, program: str) -> str:
    """Return the JSON text of a tally; `program` is our version."""
    table = {
        MARK: VERSION,
        "weightlint": program,
        "target": tally.target,
        "parts": [list(part) for part in tally.parts],
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
        with path.open("rb") as stream:
            raw = stream.read(MAX_SIZE + 1)
    except (OSError, ValueError) as error:
        message = f"{path}: {getattr(error, 'strerror', None) or error}"
        raise UsageError(message) from error
    try:
        return _tally(strict_json.parse(raw) if len(raw) <= MAX_SIZE else None)
    except (BadJsonError, ValueError, KeyError, RecursionError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else error
        message = f"{path} holds no results of `weightlint verify`: {why}; remove it, or give another file"
        raise UsageError(message) from error


def _tally(table: Any) -> Tally:
    _ask(isinstance(table, dict) and table.get(MARK) == VERSION, f"it does not say {MARK!r}: {VERSION}")
    jobs = {job.key: job for job in reader(tuple[Job, ...])(table["jobs"])}
    rows = {row.key: row for row in reader(tuple[Row, ...])(table["rows"])}
    tally = Tally(
        target=reader(str)(table["target"]),
        jobs=jobs,
        rows={key: _tamed(row) for key, row in rows.items()},
        digests=reader(tuple[Digest, ...])(table["digests"]),
        notes=reader(tuple[str, ...])(table["notes"]),
        parts=reader(tuple[tuple[int, int], ...])(table["parts"]),
        program=reader(str)(table["weightlint"]),
    )
    _check(tally)
    return tally


def _tamed(row: Row) -> Row:
    """Keep sums of squares, which alone may be too large for a float, where they can be added."""
    return replace(
        row, stats=tuple(each._replace(squares=min(each.squares, MOST_SQUARES)) for each in row.stats)
    )


def _check(tally: Tally) -> None:
    """Refuse what is of the right types and still cannot be.

    Raises:
        ValueError: numbers contradict each other.
    """
    for number, of in tally.parts:
        _ask(0 < number <= of <= MAX_PARTS, f"part {number:,} of {of:,} cannot be")
    for job in tally.jobs.values():
        _ask(not unsafe(job.file), f"{job.file!r} leads out of the folder")
        _ask(_adds_up(job), f"the job {job.key!r} does not add up")
    for key, row in tally.rows.items():
        of_row = tally.jobs.get(key)
        _ask(of_row is not None and _is_of(row, of_row), f"the result {key!r} is not of its job")


def _adds_up(job: Job) -> bool:
    ends = [0, *(span.stop for span in job.spans)]
    ordered = all(end <= span.start <= span.stop for end, span in zip(ends, job.spans, strict=False))
    places = [
        *((crc.start, crc.stop) for crc in job.crcs),
        *((each.start, each.stop) for each in job.hashes),
    ]
    return (
        job.start <= job.stop <= job.size
        and ordered
        and all(map(_is_sliced, job.spans))
        and all(start <= stop for start, stop in places)
    )


def _is_sliced(span: Span) -> bool:
    whole = span.unit > 0 and span.slices > 0 and (span.stop - span.start) % span.slices == 0
    return whole and (span.slices == 1 or span.slices <= span.stop - span.start)


def _is_of(row: Row, job: Job) -> bool:
    numbers = [number for run in row.zeros for number in run]
    return (
        len(row.stats) == len(job.spans)
        and all(_is_sound(stats, span) for stats, span in zip(row.stats, job.spans, strict=True))
        and numbers == sorted(numbers)
        and all(got <= wanted for _, wanted, got, _ in row.errors)
        and row.read <= job.stop - job.start
        and isfinite(row.seconds)
    )


def _is_sound(stats: Stats, span: Span) -> bool:
    few = max(len(stats.samples), len(stats.prints)) <= span.slices
    here = all(span.start <= spot.offset < span.stop for spot in stats.spots)
    return few and here and isfinite(stats.absmax) and isfinite(stats.median)


def _ask(sound: bool, why: str) -> None:  # noqa: FBT001 -- it is the one thing that is asked
    if not sound:
        raise ValueError(why)
