"""Where bytes live: the protocol that readers see, and a store in memory for tests.

Paths are relative, with `/`. A store never interprets what it reads.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from weightlint.drawer import Drawer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path


class Blob(Protocol):
    """One open file of a known size in bytes."""

    @property
    def size(self) -> int:
        """Return the size in bytes, asked of the open file itself."""

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes [start, stop); fewer when the file ends before."""

    def prepare(self, spans: Iterable[tuple[int, int]]) -> None:
        """Hear which bytes [start, stop) will be read next: where reading means waiting, they are fetched together.

        Raises:
            OSError: the bytes cannot be had.
        """

    @property
    def version(self) -> str:
        """Return a text that changes when the file does, "" where nothing tells."""

    def read_into(self, buffer: memoryview, start: int) -> int:
        """Fill a buffer of bytes from `start` on; return how many there were.

        Raises:
            OSError: the bytes cannot be read.
        """


class Store(Protocol):
    """A folder of files."""

    @property
    def name(self) -> str:
        """Return what the user calls this place."""

    @property
    def at_once(self) -> int:
        """Return how many files are best read at the same time: 1 where nothing is waited for."""

    def names(self, folder: str = "") -> list[str]:
        """Return the file names in one folder (not below it), sorted; [] if there is no folder."""

    def folders(self) -> list[str]:
        """Return the names of the folders at the top, sorted."""

    def open(self, path: str) -> AbstractContextManager[Blob]:
        """Open one file for reading.

        Raises:
            OSError: absent, no permission, or not a regular file.
        """

    def expect(self, headers: Mapping[str, int]) -> None:
        """Hear about how many bytes the headers of files have, before they are read."""

    def link(self, path: str) -> str | None:
        """Return where a symbolic link leads, if it leads outside this store."""

    def real(self, path: str = "") -> Path | None:
        """Return where a file lies in the file system once all links are followed, None if it is not in one."""


class Opener(Protocol):
    """A file of the drawer `stores/`: it opens addresses of some schemes."""

    @property
    def schemes(self) -> tuple[str, ...]:
        """Return the schemes in lower case, without `://`."""

    def open(self, target: str) -> tuple[Store, str]:
        """Return the folder that an address is of, and the name of the file in it, "" where the folder is meant.

        Raises:
            OSError: it cannot be read.
            UsageError: it is not there, or is no address.
            ImportError: a package is not installed.
        """


STORES: Drawer[Opener] = Drawer("stores", "STORE")

_LOCAL = re.compile(r"(\d+)-(\d+)\d{9}-\d+-\d+")
"""A local version: size, nanoseconds, device, inode."""


def alike(one: str, other: str) -> bool:
    """Tell whether versions that two machines give can be of one file: same size and second, or the same text.

    Device and inode are other numbers on another machine, and not every network file system keeps nanoseconds.
    """
    here, there = _LOCAL.fullmatch(one), _LOCAL.fullmatch(other)
    return one == other if here is None or there is None else here.groups() == there.groups()


@dataclass(frozen=True, slots=True)
class MemoryBlob:
    """Bytes in memory as an open file."""

    data: bytes

    @property
    def size(self) -> int:
        """Return the size in bytes."""
        return len(self.data)

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes [start, stop)."""
        return self.data[start:stop]

    def prepare(self, spans: Iterable[tuple[int, int]]) -> None:
        """Do nothing: all bytes are there."""

    @property
    def version(self) -> str:
        """Return "": what is in memory has no date."""
        return ""

    def read_into(self, buffer: memoryview, start: int) -> int:
        """Fill a buffer of bytes from `start` on; return how many there were."""
        part = self.data[start : start + len(buffer)]
        buffer[: len(part)] = part
        return len(part)


@dataclass(frozen=True, slots=True)
class MemoryStore:
    """Files in memory, by path."""

    files: Mapping[str, bytes]
    name: str = "memory"
    at_once: int = 1

    def names(self, folder: str = "") -> list[str]:
        """Return the file names in one folder."""
        prefix = f"{folder}/" if folder else ""
        tails = (path[len(prefix) :] for path in self.files if path.startswith(prefix))
        return sorted(tail for tail in tails if "/" not in tail)

    def folders(self) -> list[str]:
        """Return the names of the folders at the top."""
        return sorted({path.partition("/")[0] for path in self.files if "/" in path})

    @contextmanager
    def open(self, path: str) -> Iterator[Blob]:
        """Open one file for reading."""
        if path not in self.files:
            raise FileNotFoundError(2, "No such file", path)
        yield MemoryBlob(self.files[path])

    def expect(self, headers: Mapping[str, int]) -> None:
        """Do nothing: all bytes are there."""

    def link(self, path: str) -> str | None:
        """Return None: memory has no links."""
        del path
        return None

    def real(self, path: str = "") -> Path | None:
        """Return None: memory is no file system."""
        del path
        return None
