"""The tensor table of a GGUF file: names, types, dimensions and offsets, each entry judged by itself.

Limits: llama.cpp ggml/src/gguf.cpp and ggml.h (GGML_MAX_NAME, GGML_MAX_DIMS). Shapes come out row-major;
dimensions of one at ggml's end are dropped, as ggml tells no `{n, 1}` from `{n}`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from struct import Struct
from typing import TYPE_CHECKING

from weightlint.finding import printable
from weightlint.ggml import COUNT, GGML, REMOVED
from weightlint.gguf.cursor import BadGgufError
from weightlint.index import UNKNOWN, FaultKind, Kind

if TYPE_CHECKING:
    from weightlint.dtype import Shape
    from weightlint.gguf.cursor import Cursor

MAX_NAME = 63
MAX_DIMS = 4
MAX_READ = 65_535
"""Bytes of a name that are read at all."""

_U63, _U64 = 1 << 63, 1 << 64
_UNREAL = 1 << 32
"""Tensors that no file has: the count itself is damaged."""


@dataclass(slots=True)
class Tensors:
    """Columns of the table as far as it was read; `sizes` are bytes, None where they cannot be known.

    `offsets` count from the start of the data. `bad` are names by what is wrong with their entries,
    `garbled` names that are no UTF-8.
    """

    cursor: Cursor
    names: list[str] = field(default_factory=list)
    kinds: list[Kind] = field(default_factory=list)
    sizes: list[int | None] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    bad: dict[str, list[str]] = field(default_factory=dict)
    garbled: list[str] = field(default_factory=list)
    _known: dict[tuple[int, ...], tuple[Kind, int | None, str | None]] = field(default_factory=dict)

    def read(self, count: int) -> None:
        """Read `count` entries.

        Raises:
            BadGgufError: the table cannot be read to the end.
        """
        self._believe(count)
        seen: set[bytes] = set()
        for number in range(1, count + 1):
            try:
                raw, words = self.entry()
            except BadGgufError as error:
                place = f"tensor {number:,} of {count:,}"
                raise error.within(place) from error
            name = self._text(raw)
            # as in C the name ends at the first NUL
            short = raw.partition(b"\0")[0]
            if short in seen:
                self._blame("a name that another tensor has: llama.cpp refuses the file", name)
            seen.add(short)
            if len(raw) > MAX_NAME:
                self._blame(f"names of {len(raw):,} bytes, llama.cpp takes {MAX_NAME}", name)
            self._add(name, words)

    def _text(self, raw: bytes) -> str:
        try:
            return raw.decode()
        except UnicodeDecodeError:
            name = raw.decode(errors="backslashreplace")
            self.garbled.append(name)
            return name

    def _believe(self, count: int) -> None:
        """Compare the number of entries with the bytes that are left for them."""
        least = count * (self.cursor.wide + 16)
        if least > self.cursor.left:
            message = (
                f"{count:,} tensors are announced, {self.cursor.left:,} bytes are left for their entries"
            )
            kind = FaultKind.TORN if count < _UNREAL else FaultKind.MALFORMED
            raise BadGgufError(message, self.cursor.position, kind)

    def entry(self) -> tuple[bytes, tuple[int, ...]]:
        """Return the next entry: name; dimensions, type and offset."""
        cursor, at = self.cursor, self.cursor.position
        name = cursor.text(MAX_READ)
        if name is None:
            message = f"a name of more than {MAX_READ:,} bytes"
            raise BadGgufError(message, at)
        dims = cursor.number()
        if dims > 64:
            shown = printable(name.decode(errors="replace"), limit=80)
            message = f"{shown} with {dims:,} dimensions, ggml has {MAX_DIMS}"
            raise BadGgufError(message, at)
        form = Struct(f"{cursor.order}{dims}{'I' if cursor.wide == 4 else 'Q'}iQ")
        return name, form.unpack(cursor.take(form.size))

    def _add(self, name: str, words: tuple[int, ...]) -> None:
        key = words[:-1]
        if key not in self._known:
            self._known[key] = _judged(words[:-2], words[-2])
        kind, size, reason = self._known[key]
        if reason:
            self._blame(reason, name)
        self.names.append(name)
        self.kinds.append(kind)
        self.sizes.append(size)
        self.offsets.append(words[-1])

    def _blame(self, reason: str, name: str) -> None:
        self.bad.setdefault(reason, []).append(name)


def row_major(dims: tuple[int, ...]) -> Shape:
    """Return ggml dimensions, innermost first, as a shape `[out, in]`."""
    last = len(dims)
    while last > 1 and dims[last - 1] == 1:
        last -= 1
    return tuple(reversed(dims[:last])) or (1,)


def _judged(dims: tuple[int, ...], type_: int) -> tuple[Kind, int | None, str | None]:
    """Return kind and bytes of a tensor, or why there is no such tensor."""
    shown = "{" + ", ".join(str(dim - _U64 if dim >= _U63 else dim) for dim in dims) + "}"
    if len(dims) > MAX_DIMS:
        return UNKNOWN, None, f"{len(dims)} dimensions, ggml has {MAX_DIMS}"
    if any(dim >= _U63 for dim in dims):
        return UNKNOWN, None, f"a negative dimension: {shown}"
    dtype = GGML.get(type_)
    if dtype is None:
        return UNKNOWN, None, _no_type(type_)
    shape = row_major(dims)
    if prod(shape) >= _U63 - 1:
        return UNKNOWN, None, f"dimensions {shown}, more than 2^63 elements"
    size = dtype.nbytes(shape)
    if size is None:
        return (
            UNKNOWN,
            None,
            f"{dtype.name} rows of {shape[-1]:,} elements, no multiple of its block of {dtype.block}",
        )
    if size >= _U64:
        return UNKNOWN, None, f"dimensions {shown}, more than 2^64 bytes as {dtype.name}"
    return Kind(dtype.name, shape), size, None


def _no_type(type_: int) -> str:
    if type_ in REMOVED:
        return f"type {type_} ({REMOVED[type_]}), which llama.cpp has removed"
    if COUNT <= type_ < 400:
        return f"type {type_}, which is newer than {COUNT - 1}, the last known, or one of ik_llama.cpp's"
    return f"type {type_}, which there is not"
