"""One verification from its target to its tally: what is to be read, what is known already, where results are kept."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from weightlint import __version__
from weightlint.checkpoint import collector_off
from weightlint.errors import UsageError
from weightlint.target import open_target
from weightlint.verifying import manifest as manifests
from weightlint.verifying import stored
from weightlint.verifying.jobs import Wanted, files_of, jobs
from weightlint.verifying.keeping import keep, try_out
from weightlint.verifying.remarks import named, remarks
from weightlint.verifying.run import Ears, known, run
from weightlint.verifying.tally import Tally
from weightlint.verifying.tally import part as part_of
from weightlint.verifying.truths import Truths, gather

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from weightlint.checkpoint import Checkpoint
    from weightlint.probe import Job, Runner
    from weightlint.store import Store

OWN = (".weightlint", ".git")
"""Folders that are never part of a checkpoint."""


class Session:
    """A verification under way; `tally` grows as jobs are done."""

    def __init__(self, checkpoint: Checkpoint, store: Store, tally: Tally, keep: Path | None) -> None:
        self.checkpoint = checkpoint
        self.tally = tally
        self._store = store
        self._keep = keep

    @property
    def mine(self) -> list[Job]:
        """Return the jobs of the parts that were asked for."""
        jobs = self.tally.jobs.values()
        return [job for number, of in self.tally.parts for job in part_of(jobs, number, of)]

    def read(self, wanted: Iterable[Job], runner: Runner | None, ears: Ears | None) -> bool:
        """Do these jobs and keep what was seen; return whether all were done."""
        from weightlint.runners.threads import RUNNER

        ears = replace(ears or Ears(), saved=self._save)
        self.tally, whole = run(self.tally, wanted, runner or RUNNER, self._store, ears)
        self._save(self.tally)
        return whole

    def read_everywhere(self, target: str, runner: Runner | None, ears: Ears | None) -> bool:
        """Do all jobs on the own copy of every machine; return whether all were done.

        Raises:
            UsageError: there are no other machines, no copies, or results of an earlier run, which say nothing of copies.
        """
        from weightlint.probe import Widespread
        from weightlint.verifying import nodes

        if self._keep is not None:
            message = (
                "copies of several machines are compared anew each time: leave out what an earlier run kept"
            )
            raise UsageError(message)
        if not isinstance(runner, Widespread):
            message = (
                "this runner reaches no other machine, so there are no copies to compare: take --runner ray"
            )
            raise UsageError(message)
        if self._store.real() is None:
            message = f"{target} lies in one place for all; copies on the disks of machines are compared, so give a folder of theirs"
            raise UsageError(message)
        probe = nodes.own_copy(target, Path(self._store.name))
        tally = replace(self.tally, target=target)
        self.tally, whole = nodes.read(tally, runner, probe, ears or Ears())
        return whole

    def _save(self, tally: Tally) -> None:
        """Write a tally whole or not at all."""
        if self._keep is None:
            return
        keep(self._keep, stored.text(tally, program=__version__).encode("ascii"))


def begin(
    target: str,
    *,
    against: Sequence[str] = (),
    manifest: str | None = None,
    values: bool = True,
    prints: bool = False,
    resume: str | None = None,
    leave_out: str | None = None,
    part: tuple[int, int] | None = None,
    compare: bool = False,
) -> Session:
    """Work out what is to be read of a checkpoint.

    `leave_out` is a file that is about to be written, `part` the number and count of one that is to be read alone;
    `compare` asks for hashes of tensors beside all else. Raises:
        UsageError: there is nothing to read, or what is given cannot be used.
    """
    if resume:
        try_out(Path(resume))
    checkpoint, store = _opened(target)
    listed = manifests.read(Path(manifest)) if manifest else None
    truths = (
        Truths() if prints else gather(store, _named(store, checkpoint), [Path(each) for each in against])
    )
    wanted = Wanted(
        values=values,
        prints=prints or compare or listed is not None,
        sha256=prints,
        digests=truths.digests,
        manifest=listed,
    )
    if prints:
        beside = {
            file: () for file in _named(store, checkpoint) if Path(file).name != Path(leave_out or "").name
        }
        wanted = replace(wanted, digests=beside)
    found = jobs(checkpoint, wanted)
    tally = Tally(
        target=checkpoint.target,
        jobs={job.key: job for job in found},
        digests=(
            *(digest for file in truths.digests.values() for digest in file),
            *(listed.digests() if listed is not None else ()),
        ),
        notes=(*_notes(truths, listed, len(files_of(checkpoint, wanted))), *_absent(store, listed)),
        parts=(part,) if part else (),
    )
    kept = Path(resume) if resume else None
    if kept is not None and kept.exists():
        tally = known(tally, stored.read(kept).rows.values(), store)
    return Session(checkpoint, store, tally, kept)


def _opened(target: str) -> tuple[Checkpoint, Store]:
    with collector_off():
        checkpoint = open_target(target)
    store = checkpoint.store
    if store is None or checkpoint.names_only or checkpoint.format == "snapshot":
        message = f"{checkpoint.target} has no bytes to verify, only what headers said; give the folder of the checkpoint"
        raise UsageError(message)
    return checkpoint, store


def _named(store: Store, checkpoint: Checkpoint) -> list[str]:
    """Return the files whose hashes are asked for: those of the checkpoint and what lies beside them."""
    return list(dict.fromkeys((*files_of(checkpoint, Wanted()), *_beside(store))))


def _beside(store: Store) -> list[str]:
    with suppress(OSError):
        return [name for name in store.names() if not name.startswith(".")]
    return []


def _absent(store: Store, listed: manifests.Manifest | None) -> Iterator[str]:
    """Say which files of a manifest are not there."""
    absent = [file for file in (listed.files if listed else ()) if not _is_there(store, file)]
    if absent:
        verb = "is" if len(absent) == 1 else "are"
        yield f"{named(absent)} {verb} listed in the manifest and not there"


def _is_there(store: Store, file: str) -> bool:
    folder, _, name = file.rpartition("/")
    return name in store.names(folder)


def _notes(truths: Truths, listed: manifests.Manifest | None, files: int) -> tuple[str, ...]:
    said = (*truths.notes, *remarks(truths))
    if listed is not None:
        return (f"compared with the manifest {listed.path} of {len(listed.files):,} files", *said)
    if not truths.digests:
        what = "the file" if files == 1 else f"the {files:,} files"
        note = (
            f"no hash of {what} is known here, only values were looked at; --against or --manifest gives one"
        )
        return (note, *said)
    return said
