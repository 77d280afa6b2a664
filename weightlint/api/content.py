"""What is asked of the bytes of a checkpoint: whether they are right, and what they are today."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from weightlint import __version__
from weightlint.running import running

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weightlint.finding import Report
    from weightlint.probe import Runner
    from weightlint.verifying.run import Ears
    from weightlint.verifying.tally import Tally


def verify(
    target: str,
    *,
    against: Sequence[str] = (),
    manifest: str | None = None,
    values: bool = True,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    dtype: str | None = None,
    runner: Runner | None = None,
    resume: str | None = None,
    ears: Ears | None = None,
    every_node: bool = False,
) -> Report:
    """Read every byte of a checkpoint once and report what is wrong with them.

    `every_node` reads the own copy of every machine that the runner reaches, and compares them. `against` are files or folders that say what the files should hash to, beside what lies with the checkpoint; `manifest` is one
    of ours. `resume` is a file of earlier results, which is brought up to date. `ears` are told how it goes.

    Raises:
        WeightlintError: weightlint could not look.
    """
    from weightlint.verifying.session import begin
    from weightlint.verifying.verdicts import report

    began, use = time.perf_counter(), running(dtype, None)
    session = begin(
        os.path.expandvars(target) if every_node else target,
        against=against,
        manifest=manifest,
        values=values,
        resume=resume,
        compare=every_node,
    )
    if every_node:
        whole = session.read_everywhere(target, runner, ears)
    else:
        whole = session.read(session.tally.pending, runner, ears)
    return report(
        session.tally,
        session.checkpoint,
        use,
        select=select,
        ignore=ignore,
        complete=whole,
        seconds=time.perf_counter() - began,
    )


def verify_part(
    target: str,
    number: int,
    of: int,
    output: str,
    *,
    against: Sequence[str] = (),
    manifest: str | None = None,
    values: bool = True,
    runner: Runner | None = None,
    ears: Ears | None = None,
) -> Tally:
    """Read one of several parts of a checkpoint's bytes and write what was seen, for `merge`.

    Raises:
        WeightlintError: weightlint could not look, or could not write.
    """
    from weightlint.verifying.session import begin

    session = begin(
        target, against=against, manifest=manifest, values=values, resume=output, part=(number, of)
    )
    session.read(session.mine, runner, ears)
    return session.tally


def merge(
    parts: Sequence[str],
    *,
    target: str | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    dtype: str | None = None,
) -> Report:
    """Put the parts of a verification together and report as one run would.

    `target` is where the checkpoint is, if not where the parts have it: its headers are read again.

    Raises:
        WeightlintError: a part cannot be read, or the parts are of different runs.
    """
    from dataclasses import replace

    from weightlint.verifying.merging import beheld, gaps, merged
    from weightlint.verifying.verdicts import report

    began = time.perf_counter()
    tally, checkpoint, why = beheld(merged([Path(each) for each in parts]), target)
    unseen = [f"its headers were not looked at again: {why}; say where it is with --target"] if why else []
    return report(
        replace(tally, notes=(*gaps(tally), *unseen, *tally.notes)),
        checkpoint,
        running(dtype, None),
        select=select,
        ignore=ignore,
        complete=not why,
        seconds=time.perf_counter() - began,
    )


def manifest(
    target: str, output: str | None = None, *, runner: Runner | None = None, ears: Ears | None = None
) -> str:
    """Hash every file and tensor of a checkpoint and return the text of its manifest.

    Raises:
        WeightlintError: weightlint could not look, or not read all bytes.
    """
    from weightlint.verifying.manifest import written
    from weightlint.verifying.session import begin

    session = begin(target, values=False, prints=True, leave_out=output)
    if not session.read(session.tally.pending, runner, ears):
        raise KeyboardInterrupt
    return written(session.tally.entries(), program=__version__)
