"""The directory of a ZIP archive, proven to agree with the header before each record.

Two readers of one archive may see different records where directory and headers disagree, so that
is an error here. Layout: APPNOTE.TXT 6.3.10 of PKWARE, sections 4.3 and 4.5.3. Knows nothing of torch.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from struct import Struct, iter_unpack
from typing import TYPE_CHECKING, NamedTuple

from weightlint.finding import printable
from weightlint.index import FaultKind
from weightlint.torch_files.zip_end import BadZipError, End, find_end, prefixed
from weightlint.weight_map import unsafe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weightlint.store import Blob

STORED, DEFLATED = 0, 8
DESCRIPTOR = 0x0008
"""Flag: sizes and checksum follow the data, the header before them has zeros."""

_FLAGS = DESCRIPTOR | 0x0800 | 0x0006
"""Flags without danger: descriptor, names in UTF-8, how hard deflate tried."""

_MAX_VERSION = 63
"""Version of the format that a reader needs, times ten, which zipfile understands."""

_PLAIN = re.compile(rb"[A-Za-z0-9_.-][A-Za-z0-9_./-]*")

_ENTRY = Struct("<4s6H3L5H2L")
_LOCAL = Struct("<4s5H3L2H")
_EXTRA = Struct("<2H")
_FULL, _FULL_16 = 0xFFFFFFFF, 0xFFFF


class Record(NamedTuple):
    """One record: `start` is the position of its bytes in the file, `packed` how many they are there.

    `size` are its bytes after unpacking; equal to `packed` where it is `plain`.
    """

    name: str
    start: int
    packed: int
    size: int
    crc: int
    plain: bool


@dataclass(frozen=True, slots=True)
class Archive:
    """All records by name, in the directory's order, and the bytes after the end of the archive."""

    records: dict[str, Record]
    after: int


class _Entry(NamedTuple):
    """One entry of the directory, as it stands there."""

    name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    at: int


def read_archive(blob: Blob) -> Archive:
    """Read directory and headers of a file that begins like a ZIP archive.

    Raises:
        BadZipError: torn, contradicting itself, or with names or flags that nobody needs.
        OSError: the bytes cannot be read.
    """
    end = find_end(blob)
    entries = _entries(blob, end)
    _refuse_twins(entries)
    blob.prepare((entry.at, entry.at + _LOCAL.size + len(entry.name)) for entry in entries)
    records = [_record(blob, entry, end.at) for entry in entries]
    _refuse_overlap(entries, records)
    return Archive({record.name: record for record in records}, blob.size - end.archive_end)


def _entries(blob: Blob, end: End) -> list[_Entry]:
    raw = blob.read(end.at, end.at + end.size)
    entries: list[_Entry] = []
    at = 0
    while at < len(raw):
        if len(raw) - at < _ENTRY.size or not raw.startswith(b"PK\x01\x02", at):
            message = f"has a broken entry at byte {at:,} of its ZIP directory"
            raise BadZipError(message)
        it = _ENTRY.unpack_from(raw, at)
        name_at, extra_at = at + _ENTRY.size, at + _ENTRY.size + it[10]
        place = it[8], it[9], it[16]
        if _FULL in place:
            place = _wide(raw[extra_at : extra_at + it[11]], place)
        if it[2] > _MAX_VERSION or it[13] not in {0, _FULL_16}:
            message = f"has an entry for another ZIP reader or archive at byte {at:,} of its directory"
            raise BadZipError(message)
        entries.append(_Entry(raw[name_at:extra_at], it[3], it[4], it[7], *place))
        at = extra_at + it[11] + it[12]
    if at != end.size or len(entries) != end.entries:
        message = (
            f"has a ZIP directory of {len(entries):,} entries in {at:,} bytes, where its end record says "
            f"{end.entries:,} in {end.size:,}"
        )
        raise BadZipError(message)
    return entries


def _wide(extra: bytes, place: tuple[int, int, int]) -> tuple[int, int, int]:
    """Take packed bytes, bytes and position from the 64-bit extra field, where the short ones are full."""
    packed, size, start = place
    at = 0
    while at + 4 <= len(extra):
        kind, length = _EXTRA.unpack_from(extra, at)
        if kind == 1:
            body = extra[at + 4 : at + 4 + length]
            wide = [number for (number,) in iter_unpack("<Q", body[: len(body) // 8 * 8])]
            # only the fields that are full stand there, in this order
            values = [wide.pop(0) if it == _FULL and wide else it for it in (size, packed, start)]
            return values[1], values[0], values[2]
        at += 4 + length
    return place


def _record(blob: Blob, entry: _Entry, directory: int) -> Record:
    """Prove that the header before a record says what the directory says."""
    name = _name(entry)
    raw = blob.read(entry.at, entry.at + _LOCAL.size + len(entry.name))
    start = entry.at + len(raw)
    if len(raw) == _LOCAL.size + len(entry.name):
        start += _LOCAL.unpack_from(raw)[10]
    why = _contradiction(entry, raw) or (
        "that runs into the ZIP directory" if start + entry.packed > directory else ""
    )
    if why:
        message = f"has a record {printable(name, limit=80)} {why}"
        raise BadZipError(message)
    return Record(name, start, entry.packed, entry.size, entry.crc, entry.method == STORED)


def _contradiction(entry: _Entry, raw: bytes) -> str | None:
    """Say what is wrong with an entry or with the header before its record, of which `raw` are the bytes."""
    if entry.flags & ~_FLAGS:
        return f"with the ZIP flags 0x{entry.flags:04x} (encrypted or patched)"
    if entry.method not in {STORED, DEFLATED}:
        return f"packed by ZIP method {entry.method}"
    if entry.method == STORED and entry.packed != entry.size:
        return f"of {entry.packed:,} bytes that is not packed and has {entry.size:,} unpacked"
    if len(raw) < _LOCAL.size + len(entry.name) or not raw.startswith(b"PK\x03\x04"):
        return f"without a header at byte {entry.at:,}, where the ZIP directory places it"
    if raw[_LOCAL.size :] != entry.name or not _agree(entry, _LOCAL.unpack_from(raw)):
        return "that the ZIP directory and the header before it describe in two ways"
    return None


def _agree(entry: _Entry, local: tuple[int, ...]) -> bool:
    _, _, flags, method, _, _, crc, packed, size, length, _ = local
    if (flags, method, length) != (entry.flags, entry.method, len(entry.name)):
        return False
    if flags & DESCRIPTOR and not crc:
        return packed in {0, _FULL, entry.packed} and size in {0, _FULL, entry.size}
    return crc == entry.crc and packed in {entry.packed, _FULL} and size in {entry.size, _FULL}


def _name(entry: _Entry) -> str:
    if _PLAIN.fullmatch(entry.name) and b".." not in entry.name:
        return entry.name.decode()
    try:
        name = entry.name.decode()
    except UnicodeDecodeError:
        message = "has a ZIP record with a name that is no UTF-8"
        raise BadZipError(message) from None
    why = unsafe(name)
    if why is not None:
        message = f"has a ZIP record named {printable(name, limit=80)!r}, which {why}; nothing was unpacked"
        raise BadZipError(message, FaultKind.UNSAFE)
    return name


def _refuse_twins(entries: Sequence[_Entry]) -> None:
    if len({entry.name for entry in entries}) == len(entries):
        return
    twin = Counter(entry.name for entry in entries).most_common(1)[0][0]
    shown = printable(twin.decode(errors="backslashreplace"), limit=80)
    message = f"has two ZIP records named {shown}: which one is read differs from reader to reader"
    raise BadZipError(message)


def _refuse_overlap(entries: Sequence[_Entry], records: Sequence[Record]) -> None:
    """Refuse records that share bytes, and bytes before the first one."""
    places = sorted(
        (entry.at, record.start + record.packed) for entry, record in zip(entries, records, strict=True)
    )
    if places and places[0][0]:
        raise prefixed(places[0][0])
    if any(stop > following for (_, stop), (following, _) in pairwise(places)):
        message = "has ZIP records that share bytes"
        raise BadZipError(message)
