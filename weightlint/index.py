"""What the files hold: columns of names, kinds, byte ranges and files, without any weights.

One row per tensor as found; nothing is ever overwritten, so a name may have several rows.
Knows nothing of schemas and nothing of how a format writes its header.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

from weightlint.names import Coord, Template, fold

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weightlint.dtype import Shape


class FaultKind(StrEnum):
    """What is wrong with a file itself, before any tensor is looked at."""

    ABSENT = "absent"
    UNREADABLE = "unreadable"
    FOREIGN = "foreign"
    TORN = "torn"
    MALFORMED = "malformed"
    ODD = "odd"
    UNSAFE = "unsafe"
    UNTRUSTED = "untrusted"
    SPLIT = "split"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A defect of one file. `lost` tells that no tensor of the file could be listed."""

    kind: FaultKind
    file: str
    message: str
    tensors: tuple[str, ...] = ()
    expected: str | None = None
    found: str | None = None
    cure: str
    lost: bool = False


class Kind(NamedTuple):
    """Dtype spelling and shape of a tensor; None where only its name is known."""

    dtype: str | None
    shape: Shape | None


UNKNOWN = Kind(None, None)


@dataclass(frozen=True, slots=True)
class Header:
    """The tensor table of one file, as columns of equal length.

    `starts` and `stops` are byte positions in the file. `size` is the file's, in bytes. `metadata` is
    what the file says of itself: texts in safetensors, `metadata.Value` in GGUF; of a torch file the plain
    values beside its weights, by dotted path.
    """

    names: Sequence[str] = ()
    kinds: Sequence[Kind] = ()
    starts: Sequence[int] = ()
    stops: Sequence[int] = ()
    size: int = 0
    metadata: Mapping[str, object] = field(default_factory=dict)
    faults: Sequence[Fault] = ()


class File(NamedTuple):
    """One file of a checkpoint; `size` in bytes, None where only its name is known."""

    path: str
    size: int | None
    metadata: Mapping[str, object] = {}


@dataclass
class Index:
    """Columns of one checkpoint, in order of reading.

    `kind_ids` and `file_ids` point into the tables `kinds` and `files`; `starts` and `stops` are
    byte positions in the file, 0 where unknown.
    """

    names: list[str] = field(default_factory=list)
    kind_ids: array[int] = field(default_factory=lambda: array("I"))
    starts: array[int] = field(default_factory=lambda: array("Q"))
    stops: array[int] = field(default_factory=lambda: array("Q"))
    file_ids: array[int] = field(default_factory=lambda: array("I"))
    files: list[File] = field(default_factory=list)
    kinds: list[Kind] = field(default_factory=list)

    def add(self, path: str, header: Header) -> None:
        """Append the table of one more file; quick if equal kinds of the header are one object."""
        ids = {kind: at for at, kind in enumerate(self.kinds)}
        distinct = dict(zip(map(id, header.kinds), header.kinds, strict=True))
        by_identity = {key: ids.setdefault(kind, len(ids)) for key, kind in distinct.items()}
        self.kinds = list(ids)
        self.names += header.names
        self.kind_ids.extend(map(by_identity.__getitem__, map(id, header.kinds)))
        self.starts.extend(header.starts)
        self.stops.extend(header.stops)
        self.file_ids.extend(repeat(len(self.files), len(header.names)))
        self.files.append(File(path, header.size, header.metadata))

    def extend(self, other: Index) -> None:
        """Append all rows and files of another index; associative."""
        at, ids = 0, {kind: at for at, kind in enumerate(self.kinds)}
        for kind in other.kinds:
            ids.setdefault(kind, len(ids))
        self.kinds = list(ids)
        kind_ids = [ids[kind] for kind in other.kinds]
        at = len(self.files)
        self.names += other.names
        self.kind_ids.extend(map(kind_ids.__getitem__, other.kind_ids))
        self.starts.extend(other.starts)
        self.stops.extend(other.stops)
        self.file_ids.extend(at + file_id for file_id in other.file_ids)
        self.files += other.files
        self.__dict__.pop("rows", None)
        self.__dict__.pop("families", None)

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row by name; of several rows with one name, the first."""
        rows = dict(zip(self.names, range(len(self.names)), strict=True))
        if len(rows) != len(self.names):
            for row in range(len(self.names) - 1, -1, -1):
                rows[self.names[row]] = row
        return rows

    @property
    def duplicates(self) -> list[tuple[int, int]]:
        """Pairs (first row, later row) of one name."""
        if len(self.rows) == len(self.names):
            return []
        rows = self.rows
        return [(rows[name], row) for row, name in enumerate(self.names) if rows[name] != row]

    @cached_property
    def families(self) -> dict[Template, dict[Coord, int]]:
        """First rows by template and coordinates."""
        families: dict[Template, dict[Coord, int]] = defaultdict(dict)
        for name, row in self.rows.items():
            template, coord = fold(name)
            families[template][coord] = row
        return dict(families)

    def kind(self, row: int) -> Kind:
        """Return dtype and shape of a row."""
        return self.kinds[self.kind_ids[row]]

    def file(self, row: int) -> str:
        """Return the path of the file that holds a row."""
        return self.files[self.file_ids[row]].path

    def nbytes(self, row: int) -> int:
        """Return the bytes that a row takes in its file."""
        return self.stops[row] - self.starts[row]

    def __len__(self) -> int:
        return len(self.names)
