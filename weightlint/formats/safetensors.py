"""safetensors: 8 bytes of length, a JSON table, then the data without holes.

Layout and limits: safetensors/src/tensor.rs of release 0.8.0. The table is proven sound column by
column with built-ins that run in C; only where a proof fails does `explain` look at single tensors.
"""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter, sub
from typing import TYPE_CHECKING, Any

from weightlint import strict_json
from weightlint.foreign import AGAIN, HEAD, recognise
from weightlint.format import OneModel
from weightlint.header_faults import MAX_NAME, Table, explain, nbytes
from weightlint.index import Fault, FaultKind, Header, Kind
from weightlint.strict_json import BadJsonError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from weightlint.dtype import Shape
    from weightlint.format import Format
    from weightlint.store import Blob

MAX_HEADER = 100_000_000
"""Bytes, as the safetensors library allows."""

MAX_PADDING = 1 << 20
"""Bytes of white space that a writer may have a reason for: alignment to a page or a block."""

SUFFIXES = (".safetensors",)
_FIELDS = itemgetter("dtype", "shape", "data_offsets")
_UNSOUND = Kind(None, None)
_MINUS_ZERO = re.compile(rb"[\[,\s]-0")


def read(blob: Blob, path: str) -> Header:
    """Read the table of one file; whatever is wrong with it is among the faults."""
    head = blob.read(0, HEAD)
    length = int.from_bytes(head[:8], "little")
    if blob.size < 8 or length > MAX_HEADER or length == 0 or 8 + length > blob.size:
        return Header(size=blob.size, faults=[_no_header(head, length, blob.size, path)])
    raw = blob.read(8, 8 + length)
    if len(raw) < length:
        return Header(size=blob.size, faults=[_shrunk(path, length, len(raw))])
    return parse(raw, path, blob.size)


def parse(raw: bytes, path: str, size: int) -> Header:
    """Read the table from the header's bytes; `size` is that of the whole file."""
    text = raw.rstrip(b" \t\r\n")
    data, padding = 8 + len(raw), len(raw) - len(text)
    try:
        entries = strict_json.parse(text)
        header = _proven(text, entries, data=data, size=size)
        if header is not None and padding <= MAX_PADDING:
            return header
        table = Table(strict_json.parse_exactly(text), path, size, data, text[:1] != b"{", padding)
    except BadJsonError as error:
        return Header(size=size, faults=[_malformed(path, error, raw)])
    return explain(table)


def _proven(text: bytes, entries: Any, *, data: int, size: int) -> Header | None:
    """Return the header if everything about it is proven sound, else None."""
    if type(entries) is not dict or not text.startswith(b"{"):
        return None
    keys = len(entries)
    metadata = entries.pop("__metadata__", None)
    if not _sound_metadata(metadata) or not _sound_names(text, entries):
        return None
    keys += 3 * len(entries) + len(metadata or ())
    if not _sound_text(text, keys, chain(entries, metadata or (), (metadata or {}).values())):
        return None
    columns = _columns(list(entries.values()), size - data)
    if columns is None:
        return None
    kinds, starts, stops = columns
    return Header(
        names=list(entries),
        kinds=kinds,
        starts=list(map(data.__add__, starts)),
        stops=list(map(data.__add__, stops)),
        size=size,
        metadata=metadata or {},
    )


def _sound_metadata(metadata: object) -> bool:
    if metadata is None:
        return True
    return type(metadata) is dict and all(type(value) is str for value in metadata.values())


def _sound_names(text: bytes, entries: dict[str, Any]) -> bool:
    """Prove that no name is empty, long or strange; False is no disproof."""
    if "" in entries or max(map(len, entries), default=0) > MAX_NAME:
        return False
    if text.isascii() and b"\\" not in text and b"\x7f" not in text:
        return True
    names = "".join(entries)
    return names.isascii() and (not names or names.isprintable())


def _sound_text(text: bytes, keys: int, words: Iterable[str]) -> bool:
    """Prove that no key stands twice and no number is `-0`; False is no disproof.

    `keys` counts the different keys, if each tensor has three. Each key has a colon of its own,
    and without escapes by code point every colon within a key or value is one in the text as well: as
    many colons as keys and colons in words leave none over for a second key.
    """
    # single bytes are looked for first: that runs at the speed of memory
    if b"\\" in text and b"\\u" in text:
        return False
    if b"-" in text and _MINUS_ZERO.search(text):
        return False
    colons = text.count(b":")
    return colons == keys or colons == keys + sum(word.count(":") for word in words)


Columns = tuple[list[Kind], "array[int]", "array[int]"]


def _columns(values: list[Any], room: int) -> Columns | None:
    """Return kinds, starts and stops if every entry is proven sound, else None.

    Offsets count from the start of the data. Sound: the three fields and no other, a known dtype,
    a span that fits dtype and shape, and all spans in a row from 0 to the end of the file.
    """
    if not values:
        return ([], array("Q"), array("Q")) if room == 0 else None
    try:
        if set(map(len, values)) != {3}:
            return None
        dtypes, shapes, offsets = zip(*map(_FIELDS, values), strict=True)
        # an array takes whole numbers from 0 to 2^64 only, and of what equals one bools
        starts, stops = (array("Q", column) for column in zip(*offsets, strict=True))
        sizes = tuple(map(tuple, shapes))
        array("Q", chain.from_iterable(sizes))
        known = _Kinds()
        kinds = list(map(known.__getitem__, zip(dtypes, sizes, map(sub, stops, starts), strict=True)))
    except (TypeError, KeyError, ValueError, OverflowError):
        return None
    if _UNSOUND in known.values() or not _in_a_row(starts, stops, room):
        return None
    if _may_deceive(known, starts, stops) and not _exact(chain(shapes, offsets)):
        return None
    return kinds, starts, stops


def _may_deceive(known: Iterable[tuple[str, Shape, int]], starts: array[int], stops: array[int]) -> bool:
    """Tell whether a value may only look like a number or a list: true, false, {} or an empty text.

    These equal 1, 0 and the shape of a scalar; the first offset is the one 0 that every file has.
    """
    if any(not shape or 0 in shape or 1 in shape for _, shape, _ in known):
        return True
    return starts.count(0) + starts.count(1) + stops.count(0) + stops.count(1) > 1 or len(starts) == 1


def _exact(lists: Iterable[Any]) -> bool:
    found = tuple(lists)
    return set(map(type, found)) == {list} and set(map(type, chain.from_iterable(found))) == {int}


class _Kinds(dict[tuple[str, "Shape", int], Kind]):
    """Kind by dtype, shape and bytes, each judged once."""

    def __missing__(self, key: tuple[str, Shape, int]) -> Kind:
        dtype, shape, span = key
        self[key] = kind = Kind(dtype, shape) if nbytes(dtype, shape) == span else _UNSOUND
        return kind


def _in_a_row(starts: array[int], stops: array[int], room: int) -> bool:
    if starts[0] or starts[1:] != stops[:-1]:
        order = sorted(zip(starts, stops, strict=True))
        starts, stops = (array("Q", column) for column in zip(*order, strict=True))
    return not starts[0] and starts[1:] == stops[:-1] and stops[-1] == room


def _no_header(head: bytes, length: int, size: int, path: str) -> Fault:
    guess = recognise(head, size, wanted="safetensors")
    if guess is not None:
        message, cure = f"{path} is no safetensors file but {guess.what}", guess.cure
        return Fault(kind=FaultKind.FOREIGN, file=path, message=message, cure=cure, lost=True)
    if size < 8:
        message = f"{path} has {size} bytes, fewer than the 8 that give the header's length"
        return Fault(kind=FaultKind.FOREIGN, file=path, message=message, cure=AGAIN, lost=True)
    if 0 < length <= MAX_HEADER:
        return _shrunk(path, length, size - 8)
    message = (
        f"{path} is no safetensors file: its first 8 bytes give a header of {length:,} bytes, "
        f"the limit is {MAX_HEADER:,}"
    )
    if length == 0:
        message = f"{path} has a header of 0 bytes, so it lists no tensor"
    return Fault(kind=FaultKind.FOREIGN, file=path, message=message, cure=AGAIN, lost=True)


def _shrunk(path: str, length: int, there: int) -> Fault:
    return Fault(
        kind=FaultKind.TORN,
        file=path,
        message=f"{path} ends inside its header",
        expected=f"a header of {length:,} bytes",
        found=f"{there:,} bytes after the length",
        cure=AGAIN,
        lost=True,
    )


def _malformed(path: str, error: BadJsonError, raw: bytes) -> Fault:
    guess = recognise((len(raw).to_bytes(8, "little") + raw)[:HEAD], len(raw) + 8, wanted="safetensors")
    if guess is not None and not raw.lstrip().startswith(b"{"):
        message = f"{path} is no safetensors file but {guess.what}"
        return Fault(kind=FaultKind.FOREIGN, file=path, message=message, cure=guess.cure, lost=True)
    return Fault(
        kind=FaultKind.MALFORMED,
        file=path,
        message=f"the header of {path} {error}, at byte {8 + error.at} of the file",
        cure=AGAIN,
        lost=True,
    )


@dataclass(frozen=True, slots=True)
class Safetensors(OneModel):
    """The format as the drawer offers it."""

    name: str = "safetensors"
    suffixes: tuple[str, ...] = SUFFIXES
    order: int = 0

    def read(self, blob: Blob, path: str) -> Header:
        """Read the table of one file."""
        return read(blob, path)


FORMAT: Format = Safetensors()
