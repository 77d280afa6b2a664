"""Files of a local folder, by plain positioned reads.

Never mmap: a bad disk then gives an error that names file and offset instead of a killed process.
Symbolic links are followed, sizes come from the open file, and what is not a regular file is
refused before it could block or never end.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from weightlint.hub_layout import hops

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from weightlint.store import Opener, Store

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


@dataclass(frozen=True, slots=True)
class LocalBlob:
    """An open regular file."""

    descriptor: int
    size: int

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes [start, stop); fewer when the file ends before."""
        parts = []
        stop = min(stop, self.size)
        while start < stop:
            part = os.pread(self.descriptor, stop - start, start)
            if not part:
                break
            parts.append(part)
            start += len(part)
        return b"".join(parts) if len(parts) != 1 else parts[0]

    def prepare(self, spans: Iterable[tuple[int, int]]) -> None:
        """Do nothing: a disk is read when it is asked."""

    @property
    def version(self) -> str:
        """Return size, time of the last change in nanoseconds, device and inode."""
        state = os.fstat(self.descriptor)
        return f"{state.st_size}-{state.st_mtime_ns}-{state.st_dev}-{state.st_ino}"

    def read_into(self, buffer: memoryview, start: int) -> int:
        """Fill a buffer of bytes from `start` on; return how many there were."""
        at = 0
        while at < len(buffer):
            got = os.preadv(self.descriptor, [buffer[at:]], start + at)
            if not got:
                break
            at += got
        return at


@dataclass(frozen=True, slots=True)
class LocalStore:
    """A folder of the file system."""

    root: Path
    at_once: int = 1

    def __reduce__(self) -> tuple[object, ...]:
        """Return what another process needs, which may be in another folder."""
        return LocalStore, (self.root.absolute(),)

    @property
    def name(self) -> str:
        """Return the folder as the user gave it."""
        return str(self.root)

    def names(self, folder: str = "") -> list[str]:
        """Return the names of what is no folder, sorted; a link to nowhere counts as well."""
        try:
            with os.scandir(self.root / folder) as entries:
                return sorted(entry.name for entry in entries if not _is_folder(entry))
        except OSError:
            return []

    def folders(self) -> list[str]:
        """Return the names of the folders at the top, sorted."""
        try:
            with os.scandir(self.root) as entries:
                return sorted(entry.name for entry in entries if _is_folder(entry))
        except OSError:
            return []

    @contextmanager
    def open(self, path: str) -> Iterator[LocalBlob]:
        """Open one file for reading.

        Raises:
            OSError: absent, no permission, a loop of links, or not a regular file.
        """
        try:
            descriptor = os.open(self.root / path, _FLAGS)
        except ValueError as error:
            # a NUL or half of a surrogate pair, which no file name can hold
            raise OSError(errno.EINVAL, f"has a name that cannot be: {error}", path) from error
        try:
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode):
                kind = _KINDS.get(stat.S_IFMT(state.st_mode), "no regular file")
                raise OSError(errno.EINVAL, f"is {kind}, not a file", path)
            yield LocalBlob(descriptor, state.st_size)
        finally:
            os.close(descriptor)

    def expect(self, headers: Mapping[str, int]) -> None:
        """Do nothing: a disk is read when it is asked."""

    def link(self, path: str) -> str | None:
        """Return where a link leads, if outside the folder and not into a Hugging Face cache."""
        full = self.root / path
        try:
            if not full.is_symlink():
                return None
            target = os.path.realpath(full)
        except (OSError, ValueError):
            return None
        inside = Path(target).is_relative_to(os.path.realpath(self.root))
        cached = any(hop.parent.name == "blobs" for hop in hops(full))
        return None if inside or cached else target

    def real(self, path: str = "") -> Path | None:
        """Return where a file lies once all links are followed; it need not be there."""
        try:
            return Path(os.path.realpath(self.root / path))
        except (OSError, ValueError):
            return None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def local_path(target: str) -> Path:
    """Return the path that a target means: a plain one, or behind file://."""
    if not target.lower().startswith("file://"):
        return Path(target)
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    return Path(url2pathname(urlsplit(target).path))


@dataclass(frozen=True, slots=True)
class Folders:
    """What opens file://; a plain path is one."""

    schemes: tuple[str, ...] = ("file",)

    def open(self, target: str) -> tuple[Store, str]:
        """Return the folder, and the name of the file where the target is one."""
        path = local_path(target)
        return (LocalStore(path), "") if path.is_dir() else (LocalStore(path.parent), path.name)


STORE: Opener = Folders()
