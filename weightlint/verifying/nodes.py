"""The copies that several machines have of one checkpoint: read where they lie, compared file by file.

Hashes of tensors travel, never their bytes. What somebody vouches for is right, else what most machines hold; where neither
tells, nothing is called right.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from weightlint.names import natural
from weightlint.verifying.advice import judge
from weightlint.verifying.damage import Damage, damage
from weightlint.verifying.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from weightlint.probe import Job, Row, Span, Widespread
    from weightlint.verifying.run import Ears

ABSENT = os.strerror(2)


@dataclass(frozen=True, slots=True)
class OwnCopy:
    """Reads jobs from what lies under one path on the machine where it runs; `$NAME` in it is that machine's."""

    path: str

    def __call__(self, job: Job, told: Callable[[int], None], /) -> Row:
        """Read the bytes of a job of this machine's copy."""
        from weightlint.scanning.scan import Scan
        from weightlint.stores.local import LocalStore

        return Scan(LocalStore(Path(os.path.expandvars(self.path))))(job, told)


def own_copy(target: str, root: Path) -> OwnCopy:
    """Return the probe for a target, of which the files were found in `root` here."""
    here = Path(os.path.expandvars(target))
    for known, said in ((here, Path(target)), (here.parent, Path(target).parent)):
        if root.is_relative_to(known):
            path = said / root.relative_to(known)
            return OwnCopy(str(path) if target.startswith("$") else str(path.absolute()))
    return OwnCopy(str(root.absolute()))


def read(tally: Tally, runner: Widespread, probe: OwnCopy, ears: Ears) -> tuple[Tally, bool]:
    """Do all jobs on every machine; return the tally with all rows, and whether all were done.

    Of each file the tally's own rows are those of a copy that is right, as far as can be told.
    """
    rows: dict[str, dict[str, Row]] = defaultdict(dict)
    whole = True
    try:
        for row in runner.run_on_each(tally.jobs.values(), probe, ears.read):
            rows[row.node][row.key] = row
    except KeyboardInterrupt:
        whole = False
    ordered = {node: rows[node] for node in sorted(rows, key=natural)}
    tally = replace(tally, by_node=ordered)
    best = {
        job.key: ordered[node][job.key]
        for split in splits(tally)
        for node in split.groups[0][:1]
        for job in split.jobs
    }
    return replace(tally, rows=best), whole


class Split(NamedTuple):
    """One file: the machines in groups with equal copies.

    If `sure` the first is right, else it is only the first; `vouched` tells that somebody's hash says so.
    """

    file: str
    jobs: tuple[Job, ...]
    groups: tuple[tuple[str, ...], ...]
    sure: bool
    vouched: bool


def without(tally: Tally) -> list[str]:
    """Return the machines that have none of the files."""
    return [node for node, rows in tally.by_node.items() if rows and all(map(_is_absent, rows.values()))]


def _is_absent(row: Row) -> bool:
    return not row.version and bool(row.errors) and row.errors[0][3] == ABSENT


def splits(tally: Tally) -> Iterator[Split]:
    """Yield for each file how the machines agree on it."""
    lacking = {*without(tally)}
    holders = {node: rows for node, rows in tally.by_node.items() if node not in lacking}
    for file, jobs in tally.files.items():
        groups: dict[object, list[str]] = defaultdict(list)
        for node, rows in holders.items():
            if all(job.key in rows for job in jobs):
                groups[_print(jobs, rows)].append(node)
        if groups:
            yield _ranked(tally, file, jobs, [tuple(nodes) for nodes in groups.values()])


def _print(jobs: Sequence[Job], rows: Mapping[str, Row]) -> object:
    """Return what is equal for equal copies of a file."""
    found = [rows[job.key] for job in jobs]
    if any(row.errors for row in found):
        return tuple((row.errors[0][0], row.errors[0][3]) for row in found if row.errors)
    prints = tuple(stats.prints for row in found for stats in row.stats)
    digests = tuple(sorted(item for row in found for item in row.digests.items()))
    return size_of(found[0]), prints, digests


def size_of(row: Row) -> int | None:
    """Return the size in bytes of the file that a row is of; a version of a local file begins with it."""
    first = row.version.partition("-")[0]
    return int(first) if first.isdigit() else None


def _ranked(tally: Tally, file: str, jobs: Sequence[Job], groups: list[tuple[str, ...]]) -> Split:
    """Order the groups: what is vouched for, what could be read, what most machines have."""
    mine = {job.key: job for job in jobs}
    alone = Tally(target=tally.target, jobs=mine, digests=tuple(tally.digest_of(file)))

    def rank(nodes: tuple[str, ...]) -> tuple[bool, bool, bool, int]:
        rows = tally.by_node[nodes[0]]
        is_read = not any(rows[job.key].errors for job in jobs)
        good, bad = _judged(replace(alone, rows=rows), file)
        return not (is_read and good), not is_read, bad, -len(nodes)

    ordered = sorted(groups, key=rank)
    sure = len(ordered) < 2 or rank(ordered[0]) < rank(ordered[1])
    return Split(file, tuple(jobs), tuple(ordered), sure, vouched=not rank(ordered[0])[0])


def _judged(alone: Tally, file: str) -> tuple[bool, bool]:
    """Tell whether somebody vouches for one machine's copy of a file, and whether somebody contradicts it."""
    good, bad = judge(alone, file)
    hurt = damage(alone, file)
    wrong = bool(bad or hurt.pieces or hurt.records)
    listed = any(span.prints for job in alone.jobs.values() for span in job.spans)
    return not wrong and bool(good or listed), wrong


def difference(tally: Tally, split: Split, node: str) -> tuple[str, Damage]:
    """Say how one machine's copy of a file differs from that of the first group, with the pieces that do."""
    base, other = tally.by_node[split.groups[0][0]], tally.by_node[node]
    pieces: list[tuple[Span, int]] = []
    for job in split.jobs:
        row = other[job.key]
        if row.errors:
            offset, *_, why = row.errors[0]
            return (
                f"cannot be opened: {why}" if not row.version else f"cannot be read at byte {offset:,}: {why}"
            ), _hurt(job, [])
        pieces += _pieces(job, base[job.key], row)
    size, wanted = size_of(other[split.jobs[0].key]), size_of(base[split.jobs[0].key])
    hurt = _hurt(split.jobs[0], pieces)
    if size != wanted and size is not None and wanted is not None:
        return f"has {size:,} bytes, not {wanted:,}", hurt
    ranges = ", ".join(f"{start:,} to {stop:,}" for start, stop in hurt.ranges[:4])
    more = f" and {len(hurt.ranges) - 4:,} more ranges" if len(hurt.ranges) > 4 else ""
    return f"differs in bytes {ranges}{more}{hurt.experts}" if pieces else "differs", hurt


def _hurt(job: Job, pieces: list[tuple[Span, int]]) -> Damage:
    return Damage(job.size, tuple(pieces), (), (), ())


def _pieces(job: Job, base: Row, other: Row) -> Iterator[tuple[Span, int]]:
    for span, wanted, found in zip(job.spans, base.stats, other.stats, strict=True):
        for which, print_ in enumerate(wanted.prints):
            if which >= len(found.prints) or found.prints[which] != print_:
                yield span, which
