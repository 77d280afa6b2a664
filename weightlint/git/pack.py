"""One object of a pack: found by its index (version 2), inflated up to a limit, deltas applied."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from weightlint.git.delta import apply, target_size

if TYPE_CHECKING:
    from weightlint.store import Blob

MAX_DEPTH = 256
"""Longest chain of deltas that is followed; git makes chains of 50, old ones with --aggressive of 250."""

_BLOB, _OFFSET_DELTA, _NAME_DELTA = 3, 6, 7
_FANOUT = 8
_NAMES = _FANOUT + 256 * 4
_NAME = 20


class Unpacked(NamedTuple):
    """The content of a blob, None if it is longer than the limit."""

    data: bytes | None


def compressed(size: int) -> int:
    """Return the most bytes that zlib needs for so many, with a header in front."""
    return size + (size >> 10) + 128


def offset_of(index: Blob, name: bytes) -> int | None:
    """Return where in its pack an object begins, None if it is in another one."""
    if index.read(0, _FANOUT) != b"\xfftOc\0\0\0\2":
        return None
    fanout = struct.unpack(">256I", index.read(_FANOUT, _NAMES))
    count = fanout[255]
    low, high = fanout[name[0] - 1] if name[0] else 0, fanout[name[0]]
    while low < high:
        middle = (low + high) // 2
        found = index.read(_NAMES + middle * _NAME, _NAMES + (middle + 1) * _NAME)
        if found == name:
            return _offset(index, count, middle)
        low, high = (middle + 1, high) if found < name else (low, middle)
    return None


def _offset(index: Blob, count: int, row: int) -> int:
    offsets = _NAMES + count * (_NAME + 4)
    (short,) = struct.unpack(">I", index.read(offsets + row * 4, offsets + row * 4 + 4))
    if short < 1 << 31:
        return int(short)
    # the high bit says that the offset is in the table of long ones behind
    start = offsets + count * 4 + (short & 0x7FFFFFFF) * 8
    return int(struct.unpack(">Q", index.read(start, start + 8))[0])


@dataclass(frozen=True, slots=True)
class Pack:
    """An open pack with its index, and the most bytes of an object that are inflated."""

    data: Blob
    index: Blob
    limit: int

    def unpack(self, at: int) -> Unpacked | None:
        """Return the blob that begins at a byte of the pack; None if it is none.

        Raises:
            ValueError, IndexError, struct.error, zlib.error: the pack is damaged.
        """
        deltas: list[bytes] = []
        for _ in range(MAX_DEPTH):
            kind, size, base, start = self._head(at)
            if size > self.limit:
                return Unpacked(None)
            data = self._inflated(start, size)
            if kind == _BLOB:
                return self._applied(data, deltas)
            if base is None:
                return None
            if not deltas and target_size(data) > self.limit:
                return Unpacked(None)
            deltas.append(data)
            at = base
        return None

    def _applied(self, data: bytes, deltas: list[bytes]) -> Unpacked:
        for delta in reversed(deltas):
            data = apply(data, delta, limit=self.limit)
        return Unpacked(data)

    def _head(self, at: int) -> tuple[int, int, int | None, int]:
        """Return kind, size, where the base of a delta begins, and where the compressed bytes do."""
        head = self.data.read(at, at + 64)
        byte, used = head[0], 1
        kind, size, shift = byte >> 4 & 7, byte & 15, 4
        while byte & 0x80:
            byte = head[used]
            size |= (byte & 0x7F) << shift
            used, shift = used + 1, shift + 7
        base: int | None = None
        if kind == _OFFSET_DELTA:
            back, used = _back(head, used)
            base = at - back if 0 < back < at else None
        elif kind == _NAME_DELTA:
            base = offset_of(self.index, head[used : used + _NAME])
            used += _NAME
        return kind, size, base, at + used

    def _inflated(self, start: int, size: int) -> bytes:
        packed = self.data.read(start, start + compressed(size))
        data = zlib.decompressobj().decompress(packed, size + 1)
        if len(data) != size:
            message = f"an object of {size:,} bytes inflates to {len(data):,}"
            raise ValueError(message)
        return data


def _back(head: bytes, used: int) -> tuple[int, int]:
    byte = head[used]
    back, used = byte & 0x7F, used + 1
    while byte & 0x80:
        byte = head[used]
        back, used = (back + 1 << 7) | (byte & 0x7F), used + 1
    return back, used
