"""A bar of bytes read with rate and remaining time, on a terminal only."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.verifying.run import Ears


@contextmanager
def ears(*, quiet: bool = False) -> Iterator[Ears]:
    """Return who listens to a run: a progress bar on standard error where that is a terminal."""
    from weightlint.verifying.run import Ears

    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield Ears()
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task, lock = bar.add_task("verify", total=None), Lock()

        def read(count: int) -> None:
            with lock:
                bar.advance(task, count)

        yield Ears(begun=lambda total: bar.update(task, total=total), read=read)
