"""The file that torch.save wrote before release 1.6: pickles one after the other, then the storages.

Order: magic number, protocol, system, the object, the keys of the storages; then for each key its
elements as a 64-bit count and its bytes (torch/serialization.py, `_legacy_save`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from weightlint.index import Header
from weightlint.pickling.machine import run
from weightlint.pickling.values import pairs
from weightlint.torch_files.archive import MAX_PICKLE, SAFE
from weightlint.torch_files.faults import broken, foreign, malformed, odd, untrusted
from weightlint.torch_files.header import Content, Held, header
from weightlint.torch_files.storages import BadTensorError, storage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from weightlint.index import Fault
    from weightlint.pickling.machine import Pickled
    from weightlint.store import Blob

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
_PICKLES = 5
_FIRST = 1 << 20
"""Bytes that are read at first; the pickles of most files end before."""


def read(blob: Blob, path: str) -> Header:
    """Read a file that begins like a pickle."""
    parts = _pickles(blob)
    if type(parts[0].value) is not int or parts[0].value != MAGIC:
        return _bare(blob, path, parts[0])
    return _unfinished(blob, path, parts) if parts[-1].broken else _whole(blob, path, parts)


def _pickles(blob: Blob) -> list[Pickled]:
    """Read the five pickles, of more and more bytes while the last one is cut off; fewer if one is broken."""
    room = _FIRST
    while True:
        data = blob.read(0, room)
        parts = [run(data, SAFE)]
        while parts[-1].broken is None and len(parts) < _PICKLES and parts[0].value == MAGIC:
            parts.append(run(data, SAFE, start=parts[-1].stop))
        if not parts[-1].cut or room >= min(blob.size, MAX_PICKLE):
            return parts
        room *= 4


def _bare(blob: Blob, path: str, pickled: Pickled) -> Header:
    """Tell of a pickle that is no file of torch.save; one that asks for more needs no second reason."""
    faults = [replace(fault, lost=True) for fault in untrusted(path, pickled)]
    cure = "load it where you trust it, and save the state dict as safetensors"
    return Header(size=blob.size, faults=faults or [foreign(path, "a plain Python pickle", cure)])


def _unfinished(blob: Blob, path: str, parts: Sequence[Pickled]) -> Header:
    """Tell of a file of which not all five pickles could be read."""
    faults = [replace(fault, lost=True) for part in parts for fault in untrusted(path, part)]
    return Header(size=blob.size, faults=faults or [broken(path, parts[-1], bare=True)])


def _whole(blob: Blob, path: str, parts: Sequence[Pickled]) -> Header:
    _, protocol, system, top, keys = parts
    faults = [fault for part in (protocol, system, keys) for fault in untrusted(path, part)]
    notes = {"container": "legacy", "byteorder": _byte_order(system)}
    places = _Places(keys.stop)
    wrong = [what for part in (protocol, system, keys) for what in part.wrong]
    if wrong:
        faults.append(malformed(path, f"holds a pickle that {'; '.join(wrong)}", lost=True))
    elif protocol.value != PROTOCOL or type(keys.value) is not list:
        faults.append(malformed(path, f"is no legacy file of protocol {PROTOCOL:,}", lost=True))
    else:
        faults += places.walk(blob, path, keys.value, _sizes(top))
    return header(Content(path, blob.size, top, places.held.get, notes, bare=True, faults=faults))


def _byte_order(system: Pickled) -> str:
    said = [value for key, value in pairs(system.value) or () if type(key) is str and key == "little_endian"]
    return "big" if said[-1:] == [False] else "little"


def _sizes(top: Pickled) -> dict[str, tuple[int, int]]:
    """Return bytes and elements of every storage that the object names, by key."""
    sizes: dict[str, tuple[int, int]] = {}
    for each in top.persistents:
        try:
            held, _ = storage(each)
        except BadTensorError:
            continue
        sizes[held.key] = held.size, each.id[4]
    return sizes


@dataclass(slots=True)
class _Places:
    """Where the storages lie, one after the other; `end` is the position after the last one."""

    end: int
    held: dict[str, Held] = field(default_factory=dict)

    def walk(
        self, blob: Blob, path: str, keys: Sequence[object], sizes: Mapping[str, tuple[int, int]]
    ) -> Iterator[Fault]:
        """Place the storages in the order of their keys, and compare each count with what the pickle says."""
        blob.prepare(self._counts(keys, sizes))
        for key in keys:
            if type(key) is not str or key not in sizes:
                yield malformed(path, "lists a storage that its pickle does not name", lost=True)
                return
            size, elements = sizes[key]
            count = int.from_bytes(blob.read(self.end, self.end + 8), "little")
            if count != elements and self.end + 8 <= blob.size:
                what = f"has a storage of {count:,} elements where its pickle names {elements:,}"
                yield malformed(path, what, lost=True)
                return
            self.held[key] = Held(self.end + 8, size)
            self.end += 8 + size
        if self.end < blob.size:
            yield odd(path, f"has {blob.size - self.end:,} bytes after its last storage")

    def _counts(
        self, keys: Sequence[object], sizes: Mapping[str, tuple[int, int]]
    ) -> Iterator[tuple[int, int]]:
        """Yield where the count before each storage stands, as far as the pickle tells."""
        at = self.end
        for key in keys:
            if type(key) is not str or key not in sizes:
                return
            yield at, at + 8
            at += 8 + sizes[key][0]
