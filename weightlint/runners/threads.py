"""Threads of this process: hashing, reading and numpy let each other run."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING, Any, ClassVar

from weightlint.probe import Option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from weightlint.probe import Job, Probe, Row, Runner


class StoppedError(Exception):
    """The run was told to stop."""


@dataclass(frozen=True, slots=True)
class Threads:
    """Runs jobs in `workers` threads, one for each core where that is not said; the largest begin first."""

    workers: int | None = None
    name: str = "threads"
    says: str = "threads of this process, one for each core"
    options: ClassVar[tuple[Option, ...]] = (
        Option("threads", "N", "Threads; one for each core if not given.", number=True),
    )

    def configured(self, given: Mapping[str, Any]) -> Runner:
        """Return this runner with another number of threads."""
        return replace(self, workers=given.get("threads", self.workers))

    def run(self, jobs: Iterable[Job], probe: Probe, told: Callable[[int], None]) -> Iterator[Row]:
        """Yield the row of each job as it is done; where the caller turns away, what runs is stopped."""
        from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

        stop = Event()

        def tell(read: int) -> None:
            if stop.is_set():
                raise StoppedError
            told(read)

        queue = sorted(jobs, key=lambda job: job.start - job.stop)
        with ThreadPoolExecutor(self.workers or os.cpu_count() or 1) as pool:
            pending = {pool.submit(probe, job, tell) for job in queue}
            try:
                while pending:
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            finally:
                stop.set()
                for future in pending:
                    future.cancel()


RUNNER: Runner = Threads()
