"""Files of results: written whole or not at all, and tried out before hours of reading."""

from __future__ import annotations

import os
from pathlib import Path

from weightlint.errors import UsageError


def try_out(path: Path) -> None:
    """Make sure that a file can be written.

    Raises:
        UsageError: it cannot.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        if not _is_device(path):
            _half(path).touch()
            _half(path).unlink()
    except (OSError, ValueError) as error:
        raise _refused(path, error) from error


def keep(path: Path, data: bytes) -> None:
    """Write a file beside its place and move it there; what is no file, such as /dev/stdout, is written to as it is.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        if _is_device(path):
            path.write_bytes(data)
        else:
            _half(path).write_bytes(data)
            _half(path).replace(os.path.realpath(path))
    except OSError as error:
        raise _refused(path, error) from error


def _half(path: Path) -> Path:
    """Return a place beside the file that a link leads to."""
    return Path(f"{os.path.realpath(path)}.half")


def _is_device(path: Path) -> bool:
    return path.exists() and not path.is_file()


def _refused(path: Path, error: OSError | ValueError) -> UsageError:
    why = getattr(error, "strerror", None) or error
    return UsageError(f"cannot keep results in {path}: {why}; give another file")
