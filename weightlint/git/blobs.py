"""Small blobs of a clone by their hash, loose or packed."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

from weightlint.git import pack

if TYPE_CHECKING:
    from weightlint.store import Store

LIMIT = 1 << 16
"""Bytes of the largest object that is unpacked."""

_MAX_PACKS = 1000


class GitBlob(NamedTuple):
    """The content of a blob, None if it has more than `LIMIT` bytes."""

    data: bytes | None


def read(store: Store, objects: str, name: bytes) -> GitBlob | None:
    """Return a blob of the folder `objects`; None if it is not there, damaged or no blob."""
    try:
        return _loose(store, objects, name) or _packed(store, objects, name)
    except (OSError, ValueError, IndexError, struct.error, zlib.error):
        return None


def _loose(store: Store, objects: str, name: bytes) -> GitBlob | None:
    digits = name.hex()
    try:
        with store.open(f"{objects}/{digits[:2]}/{digits[2:]}") as blob:
            packed = blob.read(0, pack.compressed(LIMIT))
    except FileNotFoundError:
        return None
    data = zlib.decompressobj().decompress(packed, LIMIT + 32)
    kind, _, rest = data.partition(b" ")
    size, _, content = rest.partition(b"\0")
    if kind != b"blob" or not size.isdigit() or len(size) > 20:
        return None
    if int(size) > LIMIT:
        return GitBlob(None)
    return GitBlob(content) if len(content) == int(size) else None


def _packed(store: Store, objects: str, name: bytes) -> GitBlob | None:
    folder = f"{objects}/pack"
    found = [each for each in store.names(folder) if each.endswith(".idx")][:_MAX_PACKS]
    for each in found:
        with store.open(f"{folder}/{each}") as index:
            at = pack.offset_of(index, name)
            if at is None:
                continue
            with store.open(f"{folder}/{each.removesuffix('.idx')}.pack") as packed:
                unpacked = pack.Pack(packed, index, LIMIT).unpack(at)
        return None if unpacked is None else GitBlob(unpacked.data)
    return None
