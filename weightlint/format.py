"""What a format is: a file of the drawer `formats/` that reads one way of storing tensors.

Knows nothing of folders and of how files belong together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from weightlint.drawer import Drawer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from weightlint.checkpoint import Checkpoint
    from weightlint.index import Fault, Header, Index
    from weightlint.probe import Crc
    from weightlint.store import Blob, Store
    from weightlint.weight_map import WeightMap


class Format(Protocol):
    """A way of storing tensors of which one file has one header.

    Where a folder holds several formats of one model, the one with the lowest `order` is read, as
    loaders prefer it.
    """

    @property
    def name(self) -> str:
        """Return the public name."""

    @property
    def order(self) -> int:
        """Return the place in the order of preference."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Return how the names of such files end."""

    def models(self, names: Sequence[str]) -> Sequence[Sequence[str]]:
        """Tell file names of this format apart into models, the main one first."""

    def companions(self, name: str, names: Sequence[str]) -> Sequence[str]:
        """Return the files that are read when one of them is named: itself, or all parts of its split."""

    def read(self, blob: Blob, path: str) -> Header:
        """Read the table of one file; whatever is wrong with it is among the faults.

        Raises:
            OSError: the bytes cannot be read.
        """

    def checksums(self, blob: Blob) -> Iterable[Crc]:
        """Yield the runs of bytes that a file keeps a CRC-32 of; nothing where it has none or is damaged."""


class OneModel:
    """What holds of most formats: all files in a folder are one model, each can be read alone, none has checksums."""

    __slots__ = ()

    def models(self, names: Sequence[str]) -> Sequence[Sequence[str]]:
        """Take all files of a folder together."""
        return [names]

    def companions(self, name: str, names: Sequence[str]) -> Sequence[str]:
        """Read the one file that is named."""
        del names
        return [name]

    def checksums(self, blob: Blob) -> Iterable[Crc]:
        """Yield nothing: such files keep no checksum."""
        del blob
        return ()


@runtime_checkable
class Bundle(Protocol):
    """A way of storing of which one file has the headers of a whole checkpoint."""

    @property
    def name(self) -> str:
        """Return the public name."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Return how the names of such files end."""

    def claims(self, head: bytes) -> bool:
        """Tell by the first bytes whether a file is one of these."""

    def unpack(self, blob: Blob, *, target: str) -> Checkpoint:
        """Read the headers of all the files.

        Raises:
            UsageError: it cannot be read.
            OSError: the bytes cannot be read.
        """


@dataclass(frozen=True, slots=True)
class Survey:
    """What a `Tabled` folder holds: rows by the file of each tensor, as its own table claims them.

    `map` gives the file of every tensor, those of files that are absent included.
    """

    index: Index
    map: WeightMap | None
    absent: Sequence[str]
    faults: Sequence[Fault]


@runtime_checkable
class Tabled(Protocol):
    """A way of storing of which a table beside the files says what each of them holds."""

    @property
    def name(self) -> str:
        """Return the public name."""

    @property
    def order(self) -> int:
        """Return the place in the order of preference."""

    def owns(self, name: str) -> bool:
        """Tell whether a file of this name belongs to such a folder: its table or one of its parts."""

    def survey(self, store: Store, names: Sequence[str]) -> Survey:
        """Read the table of a folder; whatever is wrong with it or its files is among the faults.

        Raises:
            OSError: the table cannot be read.
        """


FORMATS: Drawer[Format | Bundle | Tabled] = Drawer("formats", "FORMAT")


@cache
def _formats() -> tuple[Format, ...]:
    return tuple(each for each in FORMATS.values() if not isinstance(each, (Bundle, Tabled)))


def suffixes() -> tuple[str, ...]:
    """Return how the names of tensor files end, those that loaders prefer first."""
    return tuple(suffix for each in sorted(_formats(), key=lambda it: it.order) for suffix in each.suffixes)


def table_of(names: Sequence[str]) -> Tabled | None:
    """Return the way of storing that one of these file names belongs to, or None."""
    ways = (each for each in FORMATS.values() if isinstance(each, Tabled))
    return next((way for way in ways if any(map(way.owns, names))), None)


def format_of(path: str) -> Format | None:
    """Return the format that reads files of such a name, or None."""
    return next((each for each in _formats() if path.endswith(each.suffixes)), None)
