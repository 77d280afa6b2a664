"""The ZIP archive that torch.save has written since release 1.6: its pickle and its storages.

Records under one root: `data.pkl`, `byteorder`, `data/<key>` for each storage, `version`
(torch/serialization.py, `_save`). Only `data.pkl` and `byteorder` are read.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

from weightlint.finding import printable
from weightlint.foreign import AGAIN
from weightlint.index import Fault, FaultKind, Header
from weightlint.pickling.machine import run
from weightlint.torch_files.faults import SAVE, foreign, malformed, odd
from weightlint.torch_files.header import Content, Held, header
from weightlint.torch_files.torn import announced
from weightlint.torch_files.types import INERT, KNOWN
from weightlint.torch_files.zip_directory import read_archive
from weightlint.torch_files.zip_end import BadZipError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.store import Blob
    from weightlint.torch_files.zip_directory import Archive, Record

MAX_PICKLE = 1 << 28
"""Bytes of `data.pkl`, unpacked."""

MAX_RATIO = 100
"""How many times larger a packed pickle may become; beyond it is a bomb."""

SAFE = KNOWN | INERT
"""Globals that a file may ask for."""


def read(blob: Blob, path: str) -> Header:
    """Read the table of an archive."""
    try:
        archive = read_archive(blob)
    except BadZipError as error:
        fault = _zip_fault(path, error)
        return _refused(blob, _measured(blob, fault) if error.kind is FaultKind.TORN else fault)
    root = next(iter(archive.records), "").partition("/")[0]
    script = _script(archive, root)
    if script is not None:
        what = f"a TorchScript archive, a program with its weights (it has {script})"
        cure = "load it with torch.jit.load where you trust it, and save its state_dict() as safetensors"
        return _refused(blob, foreign(path, what, cure))
    record = archive.records.get(f"{root}/data.pkl")
    if record is None:
        what = f"a ZIP archive of {len(archive.records):,} records without a data.pkl"
        return _refused(blob, foreign(path, what, "name the file of the weights, or download it again"))
    return _content(blob, path, archive, record)


def _content(blob: Blob, path: str, archive: Archive, record: Record) -> Header:
    """Read the pickle of an archive that is sound, and build its table."""
    root = record.name.removesuffix("/data.pkl")
    faults = list(_oddities(path, archive))
    try:
        data = _unpacked(blob, record)
    except BadZipError as error:
        return _refused(blob, _zip_fault(path, error))
    if record.crc and zlib.crc32(data) != record.crc:
        what = (
            f"has a changed data.pkl: its CRC-32 is {zlib.crc32(data):08x}, the archive says {record.crc:08x}"
        )
        faults.append(malformed(path, what, lost=True))
    order = _byte_order(blob, archive.records.get(f"{root}/byteorder"))
    if order not in {"little", "big"}:
        faults.append(
            malformed(path, f"gives the byte order {order!r}, which is neither little nor big", cure=SAVE)
        )

    def held(key: str) -> Held | None:
        storage = archive.records.get(f"{root}/data/{key}")
        return Held(storage.start, storage.size, storage.plain) if storage else None

    notes = {"container": "zip", "byteorder": order}
    return header(Content(path, blob.size, run(data, SAFE), held, notes, faults=faults))


def _unpacked(blob: Blob, record: Record) -> bytes:
    """Return the bytes of a record.

    Raises:
        BadZipError: more than the limits allow, or they cannot be unpacked.
    """
    if record.size > MAX_PICKLE:
        message = f"has a data.pkl of {record.size:,} bytes, the limit is {MAX_PICKLE:,}"
        raise BadZipError(message)
    if not record.plain and record.size > MAX_RATIO * max(record.packed, 4096):
        message = (
            f"packs {record.size:,} bytes of data.pkl into {record.packed:,}, the limit is {MAX_RATIO} to 1"
        )
        raise BadZipError(message)
    raw = blob.read(record.start, record.start + record.packed)
    if not record.plain:
        try:
            raw = zlib.decompressobj(-zlib.MAX_WBITS).decompress(raw, record.size + 1)
        except zlib.error as error:
            message = f"has a record {printable(record.name, limit=80)} that cannot be unpacked ({error})"
            raise BadZipError(message) from None
    if len(raw) != record.size:
        message = f"has {len(raw):,} bytes of {printable(record.name, limit=80)}, not {record.size:,}"
        raise BadZipError(message)
    return raw


def _byte_order(blob: Blob, record: Record | None) -> str:
    """Return what the archive says of its byte order; older files say nothing and are little-endian."""
    if record is None:
        return "little"
    if record.size > 64:
        return f"of {record.size:,} bytes"
    return _unpacked(blob, record).decode(errors="backslashreplace")


def _script(archive: Archive, root: str) -> str | None:
    code = (name for name in archive.records if name.startswith((f"{root}/code/", f"{root}/constants.pkl")))
    return next((printable(name, limit=80) for name in code), None)


def _oddities(path: str, archive: Archive) -> Iterator[Fault]:
    packed = sum(not record.plain for record in archive.records.values())
    if packed:
        yield odd(
            path, f"packs {packed:,} of its {len(archive.records):,} ZIP records, which torch.save never does"
        )
    if archive.after:
        yield odd(path, f"has {archive.after:,} bytes after the end of its ZIP archive")


def _zip_fault(path: str, error: BadZipError) -> Fault:
    return Fault(kind=error.kind, file=path, message=f"{path} {error}", cure=AGAIN, lost=True)


def _measured(blob: Blob, fault: Fault) -> Fault:
    """Add how much a torn archive was to hold, as far as its pickle tells."""
    size = announced(blob)
    if size is None or size <= blob.size:
        return fault
    return replace(fault, expected=f"over {size:,} bytes, as its pickle lists", found=f"{blob.size:,} bytes")


def _refused(blob: Blob, fault: Fault) -> Header:
    return Header(size=blob.size, faults=[fault])
