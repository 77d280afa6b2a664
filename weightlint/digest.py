"""What a file should hash to and who says so: the record that all sources of truth give.

A source is a file of the drawer `digests/`: it knows one place where somebody has written down hashes of a
checkpoint's files. Knows nothing of how bytes are read and hashed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from weightlint.drawer import Drawer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from weightlint.store import Store

SHA256 = "sha256"
GIT_SHA1 = "git-sha1"
"""sha1 over `blob <size>\\0` and the bytes, git's name for small files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """The hash of one file's bytes, or of the bytes [start, stop) of it.

    `file` is a path as the checkpoint's index has it. `algorithm` is a name that hashlib knows, or `git-sha1`;
    `value` lower-case hex, None where only the size in bytes is known. `origin` is what says so, in words for a
    message: `the name of its blob in the Hugging Face cache`. `commit` is the revision it is of, if told.
    """

    file: str
    algorithm: str = SHA256
    value: str | None
    size: int | None = None
    start: int = 0
    stop: int | None = None
    origin: str
    commit: str | None = None


class Source(Protocol):
    """One place where hashes of a checkpoint's files are written down."""

    @property
    def name(self) -> str:
        """Return the public name."""

    @property
    def says(self) -> str:
        """Return what it is, in a few words."""

    def find(self, store: Store, files: Sequence[str]) -> Iterable[Digest]:
        """Yield what lies beside or around these files of a folder and says something of them.

        What cannot be read or trusted says nothing: a source is silent, it never raises.
        """

    def claims(self, path: Path, head: bytes) -> bool:
        """Tell by name and first bytes whether a file or folder that the user gives is of this kind."""

    def read(self, path: Path, files: Sequence[str]) -> Iterable[Digest]:
        """Yield what a file or folder that the user gives says of these files.

        Raises:
            UsageError: it cannot be read as what it claims to be.
        """


SOURCES: Drawer[Source] = Drawer("digests", "SOURCE")
