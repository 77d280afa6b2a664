"""The index of a clone: which blob each file of the working tree was checked out from.

Versions 2 to 4. Entries in conflict, folders and submodules are left out; a damaged index ends early.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER = struct.Struct(">4sII")
_ENTRY = struct.Struct(">10I20sH")
_REGULAR = 0o100000
_KIND = 0o170000
_STAGE = 0x3000
_EXTENDED = 0x4000


class Entry(NamedTuple):
    """One file: its path, its blob, and size (modulo 2**32) and change in seconds as git saw them last."""

    path: str
    blob: bytes
    size: int
    changed: int


def entries(raw: bytes) -> Iterator[Entry]:
    """Yield the regular files of an index; nothing from what is no index."""
    try:
        yield from _entries(raw)
    except (struct.error, IndexError, ValueError):
        return


def _entries(raw: bytes) -> Iterator[Entry]:
    magic, version, count = _HEADER.unpack_from(raw)
    if magic != b"DIRC" or version not in {2, 3, 4}:
        return
    at, name = _HEADER.size, b""
    for _ in range(count):
        fields = _ENTRY.unpack_from(raw, at)
        mode, size, blob, flags = fields[6], fields[9], fields[10], fields[11]
        start = at + _ENTRY.size + (2 if flags & _EXTENDED else 0)
        if version == 4:
            kept, start = _stripped(raw, start, len(name))
            stop = raw.index(b"\0", start)
            name, at = name[:kept] + raw[start:stop], stop + 1
        else:
            stop = raw.index(b"\0", start)
            name = raw[start:stop]
            # one to eight NULs fill an entry up to a multiple of eight bytes
            at += (stop - at + 8) & ~7
        if mode & _KIND == _REGULAR and not flags & _STAGE:
            yield Entry(os.fsdecode(name), blob, size, fields[2])


def _stripped(raw: bytes, at: int, length: int) -> tuple[int, int]:
    """Read how much of the name before is kept: a number as in the offsets of packs, counted from its end."""
    byte = raw[at]
    number = byte & 0x7F
    while byte & 0x80:
        at += 1
        byte = raw[at]
        number = (number + 1 << 7) | (byte & 0x7F)
    if number > length:
        message = "more is stripped than there is"
        raise ValueError(message)
    return length - number, at + 1
