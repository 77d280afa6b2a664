"""From a tally to a report: what could not be read becomes a fault, the rules speak, the numbers are profiled."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from weightlint import __version__
from weightlint.case import Case
from weightlint.checkpoint import Checkpoint
from weightlint.finding import Facts, Report, counted, printable
from weightlint.index import Fault, FaultKind
from weightlint.verdict import judge
from weightlint.verifying.health import profile
from weightlint.verifying.nodes import splits, without

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.probe import Job, Row
    from weightlint.running import Running
    from weightlint.verifying.tally import Tally

RULES = ("WL0", "WL1", "WL7")
"""Codes of the rules that speak of files and bytes, not of what a model should be."""


def report(
    tally: Tally,
    checkpoint: Checkpoint | None,
    running: Running,
    *,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    complete: bool = True,
    seconds: float = 0.0,
    arch: str | None = None,
) -> Report:
    """Judge what was seen; without a checkpoint, by the tally alone."""
    files = checkpoint or Checkpoint(target=tally.target)
    several = len({row.node for row in tally.rows.values()}) > 1
    lost = tuple(fault for job, row in tally.entries() for fault in _faults(job, row, named=several))
    case = Case(replace(files, faults=(*files.faults, *lost)), running=running, tally=tally)
    beside = [Case(other) for other in files.others]
    findings, skips = judge([case, *beside], select or RULES, ignore)
    whole = complete and not tally.pending
    return Report(
        findings=tuple(findings),
        skips=tuple(skip for skip in skips if skip.code.startswith(RULES)),
        facts=_facts(tally, seconds, complete=whole, arch=arch),
        version=__version__,
        notes=(*_interrupted(tally), *_agreed(tally), *tally.notes),
        profile=profile(tally, findings),
    )


def _facts(tally: Tally, seconds: float, *, complete: bool, arch: str | None) -> Facts:
    entries = [*tally.entries()]
    return Facts(
        target=tally.target,
        arch=arch,
        tensors=sum(bool(span.name) for job in tally.jobs.values() for span in job.spans),
        checked=sum(bool(span.name) for job, row in entries if not row.errors for span in job.spans),
        files=len({job.file for job in tally.jobs.values()}),
        bytes=sum(row.read for _, row in entries),
        seconds=round(seconds, 3),
        read=True,
        complete=complete,
    )


def _interrupted(tally: Tally) -> Iterator[str]:
    if tally.pending:
        files = {job.file for job in tally.jobs.values()}
        left = {job.file for job in tally.pending}
        size = sum(job.stop - job.start for job in tally.pending)
        yield f"not all was read: {len(left):,} of {len(files):,} files are left, {size:,} bytes"


def _agreed(tally: Tally) -> Iterator[str]:
    """Say of how many machines the copies are equal, if all are."""
    if tally.by_node:
        lacking = {*without(tally)}
        holders = [node for node in tally.by_node if node not in lacking]
        equal = all(len(split.groups) == 1 for split in splits(tally))
        if equal and holders and not tally.pending:
            same = "holds a copy" if len(holders) == 1 else "hold the same bytes"
            yield f"{counted(len(holders), 'node')} {same}: {_named(holders)}"


def _named(nodes: Sequence[str]) -> str:
    more = f" and {len(nodes) - 8:,} more" if len(nodes) > 8 else ""
    return printable(", ".join(nodes[:8])) + more


def _faults(job: Job, row: Row, *, named: bool) -> Iterator[Fault]:
    """Say what could not be read of a job, in one fault; `named` asks for the machine that met it."""
    where = f" on node {row.node}" if named and row.node else ""
    if row.errors:
        offset, _, _, why = row.errors[0]
        lost = sum(wanted - got for _, wanted, got, _ in row.errors)
        hit = [span.name for span in job.spans if span.name and span.stop > offset]
        ends = "ends" in why
        yield Fault(
            kind=FaultKind.TORN if ends else FaultKind.UNREADABLE,
            file=job.file,
            message=f"{job.file} cannot be read at byte {offset:,}{where}: {why}; {lost:,} bytes are lost",
            tensors=tuple(hit[:1]) if not ends else tuple(hit),
            cure="see that nothing writes to it, and verify again"
            if ends
            else "look at the disk (dmesg), the network file system or the server, copy or download the file again",
        )
    elif row.was_changed:
        yield Fault(
            kind=FaultKind.UNREADABLE,
            file=job.file,
            message=f"{job.file} was written to while it was read",
            cure="verify again when nothing writes to it",
        )
