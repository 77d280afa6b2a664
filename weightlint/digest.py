"""What a file should hash to and who says so: the record that all sources of truth give.

A source is a file of the drawer `digests/`: it knows one place where somebody has written down hashes of a
checkpoint's files. Knows nothing of how bytes are read and hashed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from weightlint.drawer import Drawer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from weightlint.store import Store

SHA256 = "sha256"
GIT_SHA1 = "git-sha1"
"""sha1 over `blob <size>\\0` and the bytes, git's name for small files."""


STRENGTH = (
    "sha512",
    "sha384",
    "blake2b",
    "sha256",
    "blake3",
    "sha224",
    "sha1",
    GIT_SHA1,
    "md5",
    "xxh3",
    "xxh64",
)
"""Algorithms, the one that proves most first. hashlib has no blake3 and no xxh (both 64 bits, seed 0)."""

PACKAGES = {"blake3": "blake3", "xxh3": "xxhash", "xxh64": "xxhash"}
"""The package that knows an algorithm which hashlib does not."""

ALL_TENSORS = "*"
"""The bytes of all tensors one after the other in the order of the header, without padding between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """The hash of one file's bytes, of the bytes [start, stop) of it, or of one tensor in it.

    `file` is a path as the checkpoint's index has it. `algorithm` is one of `STRENGTH`; `value` lower-case hex, None
    where only the size in bytes is known. `tensor` is a tensor's name or `ALL_TENSORS`. `origin` is what says so, in
    words that follow `from`: `blob names of the Hugging Face cache`. `commit` is the revision it is of, if told.
    `doubt` says why another hash need not be a fault: the file was changed after this was written.
    """

    file: str
    algorithm: str = SHA256
    value: str | None
    size: int | None = None
    start: int = 0
    stop: int | None = None
    tensor: str | None = None
    origin: str
    commit: str | None = None
    doubt: str | None = None

    @property
    def is_whole(self) -> bool:
        """Tell whether it is of the whole file."""
        return self.tensor is None and self.stop is None and not self.start


class Remark(NamedTuple):
    """What a source had to leave aside and why, as one sentence for the report."""

    text: str


def lacking(algorithm: str) -> str | None:
    """Say what is missing here to compute an algorithm, None if nothing is."""
    from hashlib import algorithms_available
    from importlib.util import find_spec

    package = PACKAGES.get(algorithm)
    if package is not None:
        return None if find_spec(package) else f"the package {package} (pip install {package})"
    known = algorithm == GIT_SHA1 or algorithm in algorithms_available
    return None if known else f"{algorithm} in this build of Python"


class Source(Protocol):
    """One place where hashes of a checkpoint's files are written down."""

    @property
    def name(self) -> str:
        """Return the public name."""

    @property
    def says(self) -> str:
        """Return what it is, in a few words."""

    def find(self, store: Store, files: Sequence[str]) -> Iterable[Digest | Remark]:
        """Yield what lies beside or around these files of a folder and says something of them.

        Digests of other files of the folder may come as well. What cannot be read or trusted says nothing: a
        source is silent or remarks on it, it never raises.
        """


@runtime_checkable
class Listed(Source, Protocol):
    """A source that the user can name himself, as a file or folder."""

    def claims(self, path: Path, head: bytes) -> bool:
        """Tell by name and first bytes (up to 4,096) whether a file is of this kind.

        `head` is empty for a folder: what lies in it is found by `find`, what it is itself is claimed here.
        """

    def read(self, path: Path, files: Sequence[str]) -> Iterable[Digest | Remark]:
        """Yield what a file or folder that the user gives says of these files.

        Raises:
            UsageError: it cannot be read as what it claims to be.
        """


SOURCES: Drawer[Source] = Drawer("digests", "SOURCE")
