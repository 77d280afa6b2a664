"""Snapshots: the headers of a checkpoint without its bytes, folded by family.

A snapshot keeps names, dtypes, shapes, files, sizes, typed keys, the index's claims and the config, so that
every command that needs no bytes takes it in place of the checkpoint. Byte ranges are not kept.
The file is JSON, compressed if its name ends in `.gz`; `schemas/_meta/snapshot.schema.json` has
its form.
"""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from weightlint import dtype
from weightlint.checkpoint import Checkpoint, own_keys
from weightlint.errors import UsageError
from weightlint.foreign import HEAD
from weightlint.index import Fault, FaultKind, Header, Index, Kind
from weightlint.metadata import Value, restored
from weightlint.names import count, expand, patterns
from weightlint.weight_map import WeightMap, by_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from weightlint.format import Bundle
    from weightlint.store import Blob

VERSION = 1
GZIP = b"\x1f\x8b"
MAX_TENSORS = 20_000_000
MAX_TEXT = 1 << 28


def write(checkpoint: Checkpoint, output: Path) -> int:
    """Write a snapshot and return its size in bytes.

    Raises:
        UsageError: the file cannot be written.
    """
    text = json.dumps(describe(checkpoint), separators=(",", ":")).encode()
    data = gzip.compress(text, mtime=0) if output.name.endswith(".gz") else text
    try:
        output.write_bytes(data)
    except OSError as error:
        message = f"{output}: {error.strerror}"
        raise UsageError(message) from error
    return len(data)


def describe(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the JSON form of a checkpoint."""
    table: dict[str, Any] = {
        "weightlint_snapshot": VERSION,
        "files": list(_files(checkpoint.index)),
        "strays": list(_files(checkpoint.strays)),
        "absent": list(checkpoint.absent),
        "unfinished": list(checkpoint.unfinished),
        "faults": [asdict(fault) for fault in checkpoint.faults],
        "names_only": checkpoint.names_only,
        "format": checkpoint.format,
        "others": [describe(other) for other in checkpoint.others],
        "config": None if checkpoint.config is None else checkpoint.config.decode("utf-8", "replace"),
    }
    if checkpoint.map is not None:
        table["index"] = {
            "path": checkpoint.map.path,
            "total_size": checkpoint.map.total_size,
            "differs": _differences(checkpoint),
        }
    return table


def _files(index: Index) -> Iterator[dict[str, Any]]:
    groups: list[dict[int, list[str]]] = [{} for _ in index.files]
    for name, kind_id, file_id in zip(index.names, index.kind_ids, index.file_ids, strict=True):
        groups[file_id].setdefault(kind_id, []).append(name)
    for file, kinds in zip(index.files, groups, strict=True):
        yield {
            "path": file.path,
            "size": file.size,
            "keys": {
                key: value.described() for key, value in file.metadata.items() if isinstance(value, Value)
            },
            "families": [
                {
                    "dtype": index.kinds[kind_id].dtype,
                    "shape": index.kinds[kind_id].shape,
                    "tensors": patterns(names),
                }
                for kind_id, names in kinds.items()
            ],
        }


def _differences(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the claims of the index that are not simply what the headers hold."""
    assert checkpoint.map is not None
    index, entries = checkpoint.index, checkpoint.map.entries
    places = {name: index.file(row) for name, row in index.rows.items()}
    claims = {name: file for name, file in entries.items() if places.get(name) != file}
    return {
        "claims": {file: patterns(names) for file, names in by_file(claims).items()},
        "unlisted": patterns(name for name in places if name not in entries),
    }


def read(blob: Blob, *, target: str) -> Checkpoint:
    """Read a snapshot.

    Raises:
        UsageError: not a snapshot of this version, or beyond the limits.
    """
    try:
        return restore(json.loads(_text(blob, target)), target)
    except (zlib.error, EOFError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        message = f"{target}: no snapshot that can be read: {error}"
        raise UsageError(message) from error


def _text(blob: Blob, target: str) -> bytes:
    raw = blob.read(0, min(blob.size, MAX_TEXT + 1))
    text = _unpacked(raw, MAX_TEXT + 1) if raw.startswith(GZIP) else raw
    if len(text) > MAX_TEXT:
        message = f"{target}: more than {MAX_TEXT:,} bytes of JSON, the limit of a snapshot"
        raise UsageError(message)
    return text


def _unpacked(raw: bytes, limit: int) -> bytes:
    return zlib.decompressobj(wbits=31).decompress(raw, limit)


def restore(table: dict[str, Any], target: str, *, depth: int = 0) -> Checkpoint:
    """Build the checkpoint that a snapshot describes, with those that lie beside it."""
    if table.get("weightlint_snapshot") != VERSION:
        message = f"{target}: no snapshot of version {VERSION}; write one with `weightlint snapshot`"
        raise UsageError(message)
    index = _index(table["files"], target)
    config = table.get("config")
    return Checkpoint(
        target=target,
        index=index,
        strays=_index(table.get("strays", []), target),
        map=_map(table["index"], index) if table.get("index") else None,
        absent=tuple(map(str, table.get("absent", ()))),
        unfinished=tuple(map(str, table.get("unfinished", ()))),
        faults=tuple(_fault(fault) for fault in table.get("faults", ())),
        config=None if config is None else str(config).encode(),
        names_only=table.get("names_only") is True,
        format=str(table.get("format", "safetensors")),
        keys=own_keys(index),
        others=tuple(restore(each, target, depth=1) for each in ([] if depth else table.get("others", ()))),
    )


def _index(files: list[dict[str, Any]], target: str) -> Index:
    index = Index()
    for file in files:
        names: list[str] = []
        kinds: list[Kind] = []
        sizes: list[int] = []
        for family in file["families"]:
            more = _names(family["tensors"], MAX_TENSORS - len(index) - len(names), target)
            kind = Kind(
                family["dtype"], None if family["shape"] is None else tuple(map(int, family["shape"]))
            )
            names += more
            kinds += [kind] * len(more)
            sizes += [_nbytes(kind)] * len(more)
        keys = {str(key): restored(value) for key, value in file.get("keys", {}).items()}
        starts = [0] * len(names)
        header = Header(names, kinds, starts, sizes, size=file["size"], metadata=keys)
        index.add(str(file["path"]), header)
    return index


def _nbytes(kind: Kind) -> int:
    known = dtype.find(kind.dtype or "")
    size = known.nbytes(kind.shape) if known and kind.shape is not None else 0
    return size if size is not None and 0 <= size < 1 << 63 else 0


def _names(listed: list[str], room: int, target: str) -> list[str]:
    if sum(map(count, listed)) > room:
        message = f"{target}: more than {MAX_TENSORS:,} tensors, the limit of a snapshot"
        raise UsageError(message)
    return [name for pattern in listed for name in expand(pattern)]


def _map(table: dict[str, Any], index: Index) -> WeightMap:
    entries = {name: index.file(row) for name, row in index.rows.items()}
    differs = table["differs"]
    for name in _names(differs["unlisted"], MAX_TENSORS, str(table["path"])):
        entries.pop(name, None)
    for file, listed in differs["claims"].items():
        entries |= dict.fromkeys(_names(listed, MAX_TENSORS, str(table["path"])), file)
    return WeightMap(str(table["path"]), entries, table["total_size"])


def _fault(table: dict[str, Any]) -> Fault:
    return Fault(**{**table, "kind": FaultKind(table["kind"]), "tensors": tuple(table["tensors"])})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The format as the drawer offers it."""

    name: str = "snapshot"
    suffixes: tuple[str, ...] = (".json", ".json.gz")

    def claims(self, head: bytes) -> bool:
        """Tell by the key of the version, wherever in the first bytes it stands."""
        try:
            start = _unpacked(head, HEAD) if head.startswith(GZIP) else head
        except zlib.error:
            return False
        return b'"weightlint_snapshot"' in start

    def unpack(self, blob: Blob, *, target: str) -> Checkpoint:
        """Read the headers that a snapshot holds."""
        return read(blob, target=target)


FORMAT: Bundle = Snapshot()
