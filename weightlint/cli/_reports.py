"""Writing a report: which formats go where, standard output first, whole files or an error."""

from __future__ import annotations

import io
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from weightlint.cli._choices import OUTPUTS
from weightlint.errors import UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weightlint.finding import Report


class Destination(NamedTuple):
    """One format and the file that takes it; None is standard output."""

    format: str
    file: str | None


def destinations(formats: Sequence[str], output: str | None) -> list[Destination]:
    """Read `FORMAT` or `FORMAT=FILE` words; `output` is the file of the last one.

    Raises:
        UsageError: an unknown format, two formats for one place, or a last one with two files.
    """
    out = [_destination(text) for text in formats]
    if output is not None:
        if out[-1].file is not None:
            message = f"--output {output} and --format {formats[-1]}: one format, two files; keep one"
            raise UsageError(message)
        out[-1] = Destination(out[-1].format, _file(output))
    places = [each.file for each in out]
    for place in places:
        if places.count(place) > 1:
            where = place or "standard output"
            message = f"{where} cannot take two formats; give one a file: --format json=report.json"
            raise UsageError(message)
    return sorted(out, key=lambda each: each.file is not None)


def _destination(text: str) -> Destination:
    name, equals, file = text.partition("=")
    if name not in OUTPUTS:
        message = f"no format {name!r}{nearest(name, OUTPUTS)}; there are {', '.join(OUTPUTS)}"
        raise UsageError(message)
    if equals and not file:
        message = f"--format {text}: no file after the equals sign"
        raise UsageError(message)
    return Destination(name, _file(file) if equals else None)


def _file(text: str) -> str | None:
    return None if text == "-" else text


def write(report: Report, places: Sequence[Destination]) -> None:
    """Write a report to each of its places.

    Raises:
        UsageError: a file cannot be written.
    """
    for place in places:
        if place.file is None:
            # Standard output is None where the caller has closed it.
            OUTPUTS[place.format](report, sys.stdout or io.StringIO())
        else:
            _write_file(report, place.format, Path(place.file))


def _write_file(report: Report, name: str, file: Path) -> None:
    text = io.StringIO()
    OUTPUTS[name](report, text)
    opened = False
    try:
        with file.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
            opened = True
            stream.write(text.getvalue())
    except OSError as error:
        if opened and file.is_file():
            # Half a report must not be taken for a report.
            with suppress(OSError):
                file.unlink()
        message = f"cannot write the report to {file}: {error.strerror}; give another --output"
        raise UsageError(message) from error
