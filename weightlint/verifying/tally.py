"""All that was seen of a checkpoint's bytes.

A state to resume from, a cache, a part of a run under some launcher: each is a tally, and a tally is whole when every job
has its row.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from weightlint.digest import Digest
    from weightlint.probe import Job, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Jobs of a run by key, the rows of those that are done, and what the files should hash to.

    `notes` say in words who vouches for the files. `parts` are those that were asked for, as number and count, none for the whole.
    `program` is the version of weightlint that wrote it. `by_node` are the rows of each machine, where every machine has a copy of its own.
    """

    target: str
    jobs: Mapping[str, Job]
    rows: Mapping[str, Row] = field(default_factory=dict)
    digests: tuple[Digest, ...] = ()
    notes: tuple[str, ...] = ()
    parts: tuple[tuple[int, int], ...] = ()
    program: str = ""
    by_node: Mapping[str, Mapping[str, Row]] = field(default_factory=dict)
    _files: dict[str, list[Job]] = field(init=False, repr=False, compare=False, default_factory=dict)
    _told: dict[str, list[Digest]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        # rules ask file by file, and a checkpoint may have ten thousand
        for job in self.jobs.values():
            self._files.setdefault(job.file, []).append(job)
        for digest in self.digests:
            self._told.setdefault(digest.file, []).append(digest)

    @property
    def pending(self) -> tuple[Job, ...]:
        """Return the jobs without a row."""
        return tuple(job for key, job in self.jobs.items() if key not in self.rows)

    def entries(self) -> Iterator[tuple[Job, Row]]:
        """Yield the jobs that are done with their rows, in the order of the jobs."""
        return ((job, self.rows[key]) for key, job in self.jobs.items() if key in self.rows)

    @property
    def files(self) -> Mapping[str, Sequence[Job]]:
        """Return the jobs of each file."""
        return self._files

    def digest_of(self, file: str) -> Sequence[Digest]:
        """Return what one file should hash to."""
        return self._told.get(file, ())


def shares(jobs: Iterable[Job], of: int) -> dict[str, int]:
    """Return the number of the part, of `of` from 1, that each job is in: the largest first to the part with the fewest bytes."""
    loads = [(0, number) for number in range(1, of + 1)]
    out = {}
    for job in sorted(jobs, key=lambda job: (job.start - job.stop, job.key)):
        load, number = loads[0]
        heapq.heapreplace(loads, (load + job.stop - job.start, number))
        out[job.key] = number
    return out


def part(jobs: Iterable[Job], number: int, of: int) -> list[Job]:
    """Return the jobs of one of `of` parts, numbered from 1."""
    listed = [*jobs]
    share = shares(listed, of)
    return [job for job in listed if share[job.key] == number]
