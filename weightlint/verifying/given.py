"""What the user himself gives to compare with: a list, a signature, a pointer, a folder with another copy."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from weightlint import small_file
from weightlint.digest import SOURCES, Digest, Listed, Remark
from weightlint.errors import UsageError, nearest
from weightlint.finding import counted, printable
from weightlint.foreign import HEAD
from weightlint.hub_layout import revisions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


def read_given(path: Path, files: Sequence[str]) -> list[Digest | Remark]:
    """Return what a file or folder says of these files.

    Raises:
        UsageError: it is not there, holds no hashes, or says nothing of any of these files.
    """
    try:
        if not path.exists():
            around = small_file.folder(path.parent)
            beside = [*around.names(), *around.folders()]
            message = f"{path}: no such file or folder{nearest(path.name, beside)}"
            raise UsageError(message)
        said = list(_in_folder(path, files) if path.is_dir() else _in_file(path, files))
    except OSError as error:
        message = f"{path}: {error.strerror or error}"
        raise UsageError(message) from error
    if not any(isinstance(each, Digest) and each.file in set(files) for each in said):
        message = (
            f"{path} says nothing of {counted(len(files), 'file')} such as {files[0] if files else 'none'}"
        )
        raise UsageError(message)
    return said


def _in_file(path: Path, files: Sequence[str]) -> Iterator[Digest | Remark]:
    with small_file.folder(path.parent).open(path.name) as blob:
        head = blob.read(0, HEAD)
    listed = [each for each in SOURCES.values() if isinstance(each, Listed)]
    source = next((each for each in listed if each.claims(path, head)), None)
    if source is None:
        kinds = "; ".join(each.says for each in listed)
        message = f"{path} holds no hashes that are known; what can be read: {kinds}"
        raise UsageError(message)
    yield from source.read(path, files)


def _in_folder(path: Path, files: Sequence[str]) -> Iterator[Digest | Remark]:
    """Yield what lies around the same names in another folder, as if they were the checkpoint."""
    found = revisions(path)
    if len(found) > 1:
        listed = ", ".join(str(each) for each in found[:5])
        message = f"{path} is a cache with {len(found)} revisions; name one: {listed}"
        raise UsageError(message)
    folder = found[0] if found else path
    for source in SOURCES.values():
        said = list(source.find(small_file.folder(folder), files))
        if isinstance(source, Listed) and source.claims(folder, b""):
            said += source.read(folder, files)
        yield from (_of(each, path) for each in said)


def _of(said: Digest | Remark, path: Path) -> Digest | Remark:
    """Tell what another folder says from what the checkpoint's own does."""
    where = f" of {printable(str(path))}"
    return replace(said, origin=said.origin + where) if isinstance(said, Digest) else said
