"""The way through a verification: jobs, what is known already, the runner, the tally."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from weightlint.errors import UsageError
from weightlint.scanning.scan import Scan
from weightlint.store import alike
from weightlint.verifying.copies import suspects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from weightlint.probe import Job, Probe, Row, Runner
    from weightlint.store import Store
    from weightlint.verifying.tally import Tally

EVERY = 15.0
"""Seconds between two savings of what was seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ears:
    """Who is told how a run goes: `begun` of the bytes to read, `read` of each chunk, `saved` of a tally to keep."""

    begun: Callable[[int], None] = lambda _: None
    read: Callable[[int], None] = lambda _: None
    saved: Callable[[Tally], None] = lambda _: None


def known(tally: Tally, rows: Iterable[Row], store: Store) -> Tally:
    """Return a tally with rows of an earlier run, as far as their files have not changed since."""
    versions: dict[str, str] = {}
    kept = dict(tally.rows)
    for row in rows:
        job = tally.jobs.get(row.key)
        if job is None or row.errors or not row.version:
            continue
        if job.file not in versions:
            versions[job.file] = version_of(store, job.file)
        if versions[job.file] == row.version:
            kept[row.key] = row
    return replace(tally, rows=kept)


def version_of(store: Store, file: str) -> str:
    """Return the version of a file, "" where it cannot be opened."""
    try:
        with store.open(file) as blob:
            return blob.version
    except OSError:
        return ""


def run(tally: Tally, jobs: Iterable[Job], runner: Runner, store: Store, ears: Ears) -> tuple[Tally, bool]:
    """Do jobs of a tally; return it with their rows, and whether all of them were done.

    Ctrl-C ends the run, what was seen until then stays.
    """
    probe, rows = Scan(store), dict(tally.rows)
    left = [job for job in jobs if job.key not in rows]
    ears.begun(sum(job.stop - job.start for job in left))
    saved = time.monotonic()
    versions: dict[str, str] = {}
    try:
        for row in runner.run(left, probe, ears.read):
            rows[row.key] = _adopted(row, tally.jobs[row.key].file, store, versions)
            if time.monotonic() - saved > EVERY:
                ears.saved(replace(tally, rows=rows))
                saved = time.monotonic()
    except KeyboardInterrupt:
        return replace(tally, rows=rows), False
    finally:
        ears.saved(replace(tally, rows=rows))
    return confirmed(replace(tally, rows=rows), probe), True


def _adopted(row: Row, file: str, store: Store, versions: dict[str, str]) -> Row:
    """Return a row from another machine with the version that its file has here.

    Raises:
        UsageError: what lies under this path is another file on that machine, or none.
    """
    if row.node in {"", platform.node()}:
        return row
    if file not in versions:
        versions[file] = version_of(store, file)
    here = versions[file]
    seen, *changed = row.version.partition(" ")
    if not here or alike(seen, here):
        return replace(row, version="".join((here or seen, *changed)))
    why = "it has another size or date" if seen else f"it cannot be opened: {row.errors[0][3]}"
    message = (
        f"node {row.node} does not see the {file} that is here: {why}; give a path that all nodes share, "
        "or let each look at its own copy with --every-node"
    )
    raise UsageError(message)


def confirmed(tally: Tally, probe: Probe) -> Tally:
    """Read again the tensors whose samples are equal, and keep the hashes of all their bytes."""
    rows = dict(tally.rows)
    for job in suspects(tally):
        whole = rows[job.key]
        seen = {span: stats.prints for span, stats in zip(job.spans, probe(job, _unheard).stats, strict=True)}
        stats = tuple(
            each._replace(prints=seen.get(span, each.prints))
            for span, each in zip(tally.jobs[job.key].spans, whole.stats, strict=True)
        )
        rows[job.key] = replace(whole, stats=stats)
    return replace(tally, rows=rows)


def _unheard(count: int) -> None:
    """Tell nobody of bytes that are read a second time."""
