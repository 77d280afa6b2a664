"""Where the directory of a ZIP archive is: the end record, and the 64-bit one before it.

Layout: APPNOTE.TXT 6.3.10 of PKWARE, sections 4.3.14 to 4.3.16.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from weightlint.index import FaultKind

if TYPE_CHECKING:
    from weightlint.store import Blob

MAX_DIRECTORY = 1 << 28
"""Bytes of a directory: more than four million records of torch take."""

_END = Struct("<4s4H2LH")
_END_64 = Struct("<4sQ2H2L4Q")
_LOCATOR = Struct("<4sLQL")
_TAIL = _END.size + 0xFFFF
_BEFORE = _END_64.size + _LOCATOR.size
_FULL_32, _FULL_16 = 0xFFFFFFFF, 0xFFFF


class BadZipError(Exception):
    """The archive cannot be trusted; the text says why, in words that follow its name."""

    def __init__(self, why: str, kind: FaultKind = FaultKind.MALFORMED) -> None:
        super().__init__(why)
        self.kind = kind


class End(NamedTuple):
    """What the end record says: bytes, entries and position of the directory; where the archive ends."""

    entries: int
    size: int
    at: int
    directory_end: int
    archive_end: int


def find_end(blob: Blob) -> End:
    """Find the end record, and the 64-bit one before it where there is one.

    Raises:
        BadZipError: there is none, or it is not where it should be.
    """
    base = max(0, blob.size - _TAIL - _BEFORE)
    tail = blob.read(base, blob.size)
    at = tail.rfind(b"PK\x05\x06", 0, max(0, len(tail) - _END.size + 4))
    if at < 0:
        raise _torn()
    _, disk, first, here, count, size, start, _ = _END.unpack_from(tail, at)
    end = End(count, size, start, base + at, base + at + _END.size)
    locator = at - _LOCATOR.size
    wide = locator >= 0 and tail.startswith(b"PK\x06\x07", locator)
    if not {disk, first} <= ({0, _FULL_16} if wide else {0}) or here != count:
        raise _several()
    if wide:
        _, disk, place, disks = _LOCATOR.unpack_from(tail, locator)
        if disk or disks > 1:
            raise _several()
        end = _end_64(blob, end, place)
    _check_place(blob, end)
    return end


def _end_64(blob: Blob, end: End, at: int) -> End:
    """Read the 64-bit end record; where the short one says something too, both must agree."""
    raw = blob.read(at, at + _END_64.size)
    if len(raw) < _END_64.size or not raw.startswith(b"PK\x06\x06"):
        before = end.directory_end - _LOCATOR.size - _END_64.size
        if blob.read(max(before, 0), before + 4) == b"PK\x06\x06":
            raise prefixed(before - at)
        raise _torn()
    _, _, _, _, disk, first, here, count, size, start = _END_64.unpack(raw)
    if disk or first or here != count:
        raise _several()
    for short, full, wide in (
        (end.entries, _FULL_16, count),
        (end.size, _FULL_32, size),
        (end.at, _FULL_32, start),
    ):
        if short not in {full, wide}:
            message = f"has two end records that disagree: {short:,} and {wide:,}"
            raise BadZipError(message)
    return End(count, size, start, at, end.archive_end)


def _check_place(blob: Blob, end: End) -> None:
    """Refuse a directory that does not stand where the end record says, or is too large."""
    gap = end.directory_end - end.at - end.size
    before = end.directory_end - end.size
    if gap > 0 and blob.read(max(before, 0), before + 4) == b"PK\x01\x02":
        raise prefixed(gap)
    if gap:
        message = (
            f"has lost or won bytes: its ZIP directory should end at byte {end.at + end.size:,}, "
            f"its end record stands at {end.directory_end:,}"
        )
        raise BadZipError(message, FaultKind.TORN)
    if end.size > MAX_DIRECTORY:
        message = f"has a ZIP directory of {end.size:,} bytes, the limit is {MAX_DIRECTORY:,}"
        raise BadZipError(message)


def _several() -> BadZipError:
    return BadZipError("is one part of a ZIP archive in several parts")


def _torn() -> BadZipError:
    message = "is cut short: the directory that ends a ZIP archive is absent"
    return BadZipError(message, FaultKind.TORN)


def prefixed(count: int) -> BadZipError:
    """Return the error of bytes before the archive."""
    return BadZipError(f"has {count:,} bytes before its ZIP archive: it is two kinds of file in one")
