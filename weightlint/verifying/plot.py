"""The heat map of a profile as a file: PNG, SVG or PDF. What can go wrong is told before anything is read."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from weightlint.errors import UsageError
from weightlint.heat import heat

if TYPE_CHECKING:
    from weightlint.finding import Report

SUFFIXES = (".png", ".svg", ".pdf")


def check_path(path: str) -> None:
    """See that a picture can be written, before the bytes of a model are read for it.

    Raises:
        UsageError: a suffix that is not known, no place to write to, or matplotlib is not there.
    """
    file = Path(path)
    if file.suffix.lower() not in SUFFIXES:
        message = f"--plot {path}: not a kind of picture that can be drawn; end it in {', '.join(SUFFIXES)}"
        raise UsageError(message)
    if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
        message = f"--plot {path}: cannot be written; name a file in a folder that is there and is yours"
        raise UsageError(message)
    if find_spec("matplotlib") is None:
        message = "--plot needs matplotlib: pip install 'weightlint[plot]'"
        raise UsageError(message)


def plot(report: Report, path: str) -> None:
    """Draw the profile of a report.

    Raises:
        UsageError: as `check_path`, the report has no layers to draw, or the file cannot be written.
    """
    check_path(path)
    drawn = heat(report.profile) if report.profile is not None else None
    if drawn is None or not drawn.rows:
        message = f"--plot {path}: there is nothing to draw, no numbers of layers were read"
        raise UsageError(message)
    from weightlint.verifying.picture import picture

    data = picture(drawn, report, Path(path).suffix.lower().lstrip("."))
    try:
        Path(path).write_bytes(data)
    except OSError as error:
        message = f"--plot {path}: cannot be written: {error.strerror}; name another file"
        raise UsageError(message) from error
