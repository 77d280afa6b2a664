"""Tasks of a Ray cluster, spread over its machines: what a lost machine has not done is done again.

The machines must see the files under the same path; they are sent jobs and send back rows, never bytes of weights.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field, replace
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from weightlint.errors import UsageError
from weightlint.probe import Option, Row, Stats
from weightlint.runners._cluster import cluster, cores, names

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

    from weightlint.probe import Job, Probe, Runner

RETRIES = 5
"""Times that a job is begun again because its worker or machine was lost."""

AHEAD, LEAST, MOST = 2, 16, 2048
"""Jobs handed to the cluster for each CPU, so that none waits and an autoscaler sees work; and the bounds of all."""


@dataclass(slots=True)
class _Queue:
    """Jobs that wait for the same machines; `room` tells how many may be with them at once."""

    jobs: Iterator[Job]
    task: Any
    room: Callable[[], int]
    node: str = ""
    flying: dict[Any, Job] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ray:
    """Runs jobs on a Ray cluster."""

    address: str | None = None
    name: str = "ray"
    options: ClassVar[tuple[Option, ...]] = (
        Option(
            "address",
            "ADDRESS",
            "Ray cluster: auto, local, HOST:PORT or ray://HOST:PORT; if not given the one that runs here, else one is begun.",
        ),
    )

    def configured(self, given: Mapping[str, Any]) -> Runner:
        """Return this runner with another address."""
        return replace(self, address=given.get("address", self.address))

    def run(self, jobs: Iterable[Job], probe: Probe, told: Callable[[int], None]) -> Iterator[Row]:
        """Yield the row of each job as it is done, the largest begun first.

        Raises:
            UsageError: no Ray, no cluster, or its machines lack what the work needs.
        """
        with cluster(self.address) as ray:
            task = _task(ray, num_cpus=1, max_retries=RETRIES, scheduling_strategy="SPREAD")
            queue = _Queue(_sorted(jobs), task, lambda: _room(ray.cluster_resources().get("CPU", 0)))
            yield from _heard(ray, [queue], probe, told)

    def run_on_each(self, jobs: Iterable[Job], probe: Probe, told: Callable[[int], None]) -> Iterator[Row]:
        """Yield the row of each job on each machine.

        No CPU is asked for, or the head of a cluster, which often offers none, could not be looked at.
        """
        listed = [*jobs]
        with cluster(self.address) as ray:
            affinity = import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy
            offered = cores(ray)
            queues = [
                _Queue(
                    _sorted(listed),
                    _task(ray, num_cpus=0, scheduling_strategy=affinity(node_id=node, soft=False)),
                    lambda node=node: max(1, offered.get(node, 0)),  # type: ignore[misc] # mypy knows no type of a default
                    name,
                )
                for node, name in names(ray).items()
            ]
            yield from _heard(ray, queues, probe, told)


def _sorted(jobs: Iterable[Job]) -> Iterator[Job]:
    return iter(sorted(jobs, key=lambda job: job.start - job.stop))


def _room(cpus: float) -> int:
    return min(max(LEAST, AHEAD * int(cpus)), MOST)


def _task(ray: Any, **options: Any) -> Any:
    return ray.remote(measure).options(name="weightlint verify", **options)


def measure(probe: Probe, job: Job) -> tuple[str, Row]:
    """Do a job on the machine where this runs; return the machine's id with the row."""
    context = import_module("ray").get_runtime_context()
    return context.get_node_id(), probe(job, _unheard)


def _unheard(count: int) -> None:
    """Tell nobody: the caller is on another machine, and hears of a job when it is done."""


def _heard(ray: Any, queues: list[_Queue], probe: Probe, told: Callable[[int], None]) -> Iterator[Row]:
    # closed here and now, while there still is a cluster on which to cancel
    with closing(_rows(ray, queues, probe)) as rows:
        for row in rows:
            yield row
            told(row.read)


def _rows(ray: Any, queues: list[_Queue], probe: Probe) -> Generator[Row, None, None]:
    """Yield rows as they come; where the caller turns away, what is under way is cancelled."""
    sent, known = ray.put(probe), names(ray)
    try:
        while True:
            for queue in queues:
                for job in islice(queue.jobs, max(0, queue.room() - len(queue.flying))):
                    queue.flying[queue.task.remote(sent, job)] = job
            flying = [ref for queue in queues for ref in queue.flying]
            if not flying:
                return
            done, _ = ray.wait(flying, num_returns=1)
            for ref in done:
                queue = next(each for each in queues if ref in each.flying)
                yield _row(ray, ref, queue.flying.pop(ref), queue.node, known)
    finally:
        for queue in queues:
            for ref in queue.flying:
                ray.cancel(ref, force=True)


def _row(ray: Any, ref: Any, job: Job, node: str, known: dict[str, str]) -> Row:
    """Return what a task gave; one that was lost every time gives a row without bytes.

    Raises:
        UsageError: the machine lacks what the work needs.
    """
    exceptions = import_module("ray.exceptions")
    row: Row
    try:
        at, row = ray.get(ref)
    except (exceptions.RuntimeEnvSetupError, ImportError) as error:
        message = f"a machine of the Ray cluster cannot do the work: {error}; install weightlint[ray] on all of them"
        raise UsageError(message) from error
    except exceptions.RayTaskError:
        raise
    except exceptions.RayError as error:
        why = f"the machine was lost while it read ({type(error).__name__})"
        nothing = (Stats(),) * len(job.spans)
        errors = ((job.start, job.stop - job.start, 0, why),)
        return Row(key=job.key, version="", read=0, seconds=0.0, stats=nothing, errors=errors, node=node)
    if at not in known:
        known |= names(ray)
    return replace(row, node=node or known.get(at, at[:6]))


RUNNER: Runner = Ray()
