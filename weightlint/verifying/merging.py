"""Parts of a run put together: are they of one run, is something missing, what only all of them together can tell."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from weightlint.errors import UsageError
from weightlint.finding import counted, printable
from weightlint.names import span as spanned
from weightlint.scanning.scan import Scan
from weightlint.store import alike
from weightlint.target import open_target
from weightlint.verifying import stored
from weightlint.verifying.run import confirmed, version_of
from weightlint.verifying.tally import shares

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from weightlint.checkpoint import Checkpoint
    from weightlint.probe import Job, Row
    from weightlint.store import Store
    from weightlint.verifying.tally import Tally

MAX_GAPS = 8
"""Lines about parts that are missing."""


class Seen(NamedTuple):
    """What a part says of a file, and which part it was."""

    path: Path
    version: str


def merged(paths: Sequence[Path]) -> Tally:
    """Read parts and return what they have seen together.

    Raises:
        UsageError: one cannot be read, or two are not of the same run.
    """
    whole: Tally | None = None
    files: dict[str, Seen] = {}
    for path in paths:
        one = stored.read(path)
        if whole is not None:
            _refuse_strangers(paths[0], whole, path, one)
        _refuse_changed(path, one, files)
        whole = one if whole is None else _joined(whole, one, path)
    assert whole is not None
    return whole


def _joined(whole: Tally, one: Tally, path: Path) -> Tally:
    rows = dict(whole.rows)
    for key, row in one.rows.items():
        other = rows.get(key)
        if other is None or other.errors:
            rows[key] = row
        elif not row.errors and _told(other) != _told(row):
            message = (
                f"{path} and a part before it read the same bytes of {one.jobs[key].file} and saw others: a disk or memory "
                f"that cannot be trusted (nodes {other.node or '?'} and {row.node or '?'}); read these bytes again"
            )
            raise UsageError(message)
    return replace(whole, rows=rows, parts=tuple(sorted({*whole.parts, *one.parts})))


def _told(row: Row) -> tuple[object, ...]:
    """Return what two readings of the same bytes must agree in; a hash that only one of them was asked for is no difference."""
    return row.digests, row.zeros, row.crcs, tuple(stats._replace(prints=()) for stats in row.stats)


def _refuse_strangers(first: Path, whole: Tally, path: Path, one: Tally) -> None:
    """Refuse a part of another version, checkpoint or run than the first."""
    if whole.program != one.program:
        why = f"were written by weightlint {whole.program} and {one.program}; run every part with the same version"
    elif (sizes := _other_size(whole, one)) is not None:
        file, here, there = sizes
        why = f"are of different checkpoints: {file} has {here:,} and {there:,} bytes; run every part on the same files"
    elif strange := {*whole.jobs} ^ {*one.jobs}:
        why = f"are of different runs: {counted(len(strange), 'job')} are not in both; run every part with the same options"
    else:
        return
    message = f"{first} and {path} {why}"
    raise UsageError(message)


def _other_size(one: Tally, other: Tally) -> tuple[str, int, int] | None:
    sizes = {job.file: job.size for job in one.jobs.values()}
    for job in other.jobs.values():
        if sizes.get(job.file, job.size) != job.size:
            return job.file, sizes[job.file], job.size
    return None


def _refuse_changed(path: Path, one: Tally, files: dict[str, Seen]) -> None:
    """Refuse a part that read another file than a part before it."""
    for file, version in _versions(one):
        known = files.setdefault(file, Seen(path, version))
        if not alike(known.version, version):
            message = (
                f"{known.path} and {path} read different files as {file}: it was changed between them, or lies apart on their "
                "nodes; run every part on the same files"
            )
            raise UsageError(message)


def _versions(tally: Tally) -> Iterator[tuple[str, str]]:
    for job, row in tally.entries():
        if version := row.version.partition(" ")[0]:
            yield job.file, version


def gaps(tally: Tally) -> Iterator[str]:
    """Say which parts are not there, or not to their end."""
    counts = {of for _, of in tally.parts}
    if len(counts) != 1 or not tally.pending:
        return
    (of,) = counts
    there = {number for number, _ in tally.parts}
    share = shares(tally.jobs.values(), of)
    if absent := {*range(1, of + 1)} - there:
        lost = [job for job in tally.pending if share[job.key] in absent]
        what = "part {} of {:,} is missing" if len(absent) == 1 else "parts {} of {:,} are missing"
        yield f"{what.format(spanned(absent), of)}: {_sum(lost)}"
    left: dict[int, list[Job]] = defaultdict(list)
    for job in tally.pending:
        if share[job.key] in there:
            left[share[job.key]].append(job)
    for number, jobs in sorted(left.items())[:MAX_GAPS]:
        yield f"part {number:,} of {of:,} was broken off: {_sum(jobs)}"


def _sum(jobs: Iterable[Job]) -> str:
    listed = [*jobs]
    size = sum(job.stop - job.start for job in listed)
    files = [printable(file) for file in dict.fromkeys(job.file for job in listed)]
    more = f" and {len(files) - 3:,} more" if len(files) > 3 else ""
    return f"{counted(len(listed), 'job')}, {counted(size, 'byte')} of {', '.join(files[:3])}{more}"


def beheld(tally: Tally, target: str | None) -> tuple[Tally, Checkpoint | None, str]:
    """Read the headers of the checkpoint again and compare what only all parts together can tell.

    Returns the tally, the checkpoint, and why there is none. `target` says where it is, else the parts do. Raises:
        UsageError: it is not what the parts have read, or cannot be opened where the user says it is.
    """
    if target is None and "://" in tally.target:
        return tally, None, f"{tally.target} is an address, which only --target may name"
    try:
        checkpoint = open_target(target or tally.target)
    except UsageError as error:
        if target is not None:
            raise
        return tally, None, str(error)
    if checkpoint.store is None:
        return tally, None, f"{checkpoint.target} holds no files"
    _refuse_other(tally, checkpoint.store)
    return confirmed(tally, Scan(checkpoint.store)), checkpoint, ""


def _refuse_other(tally: Tally, store: Store) -> None:
    for file, version in dict(_versions(tally)).items():
        here = version_of(store, file)
        if here and not alike(here, version):
            message = f"{file} is not the one that the parts have read: it has another size or date now; read them again"
            raise UsageError(message)
