"""Small folders of torch.distributed.checkpoint for tests, written without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch_toy import call, named, nbytes, number, numbers, pickled, table, text

if TYPE_CHECKING:
    from pathlib import Path

    from toy import Toy

METADATA = "torch.distributed.checkpoint.metadata"
TYPES = {"F32": "float32", "BF16": "bfloat16", "I64": "int64"}


@dataclass(frozen=True)
class Chunk:
    """A chunk of a tensor and where it is; `length` is counted from the sizes if it is None."""

    offsets: Sequence[int]
    sizes: Sequence[int]
    file: str = "__0_0.distcp"
    offset: int = 0
    length: int | None = None


@dataclass
class Folder:
    """Tensors by name: type, shape, chunks; and the names of what is no tensor."""

    tensors: Mapping[str, tuple[str, Sequence[int], Sequence[Chunk]]]
    objects: Mapping[str, Chunk] = field(default_factory=dict)
    extra: Mapping[str, bytes] = field(default_factory=dict)

    def table(self) -> bytes:
        """Return the bytes of `.metadata`, as pickle.dump writes it but for the protocol."""
        entries = {name: tensor(*each) for name, each in self.tensors.items()}
        entries |= {name: made(METADATA, "BytesStorageMetadata") for name in self.objects}
        return pickled(
            made(
                METADATA,
                "Metadata",
                {
                    "state_dict_metadata": table(entries),
                    "planner_data": b"N",
                    "storage_data": b"}(" + b"".join(self.places()) + b"u",
                    "version": text("1.0.0"),
                    **self.extra,
                },
            )
        )

    def places(self) -> list[bytes]:
        """Return the pairs of index and place."""
        chunks = [(name, kind, chunk) for name, (kind, _, there) in self.tensors.items() for chunk in there]
        found = [
            index(name, chunk.offsets) + place(kind, chunk) for name, kind, chunk in chunks if chunk.file
        ]
        return [*found, *(index(name, None) + place("F32", chunk) for name, chunk in self.objects.items())]

    def files(self) -> dict[str, bytes]:
        """Return the table and files of zeros that are long enough."""
        ends: dict[str, int] = {}
        chunks = [(kind, chunk) for kind, _, there in self.tensors.values() for chunk in there]
        for kind, chunk in [*chunks, *(("F32", chunk) for chunk in self.objects.values())]:
            if chunk.file:
                ends[chunk.file] = max(ends.get(chunk.file, 0), chunk.offset + length(kind, chunk))
        return {".metadata": self.table(), **{file: bytes(end) for file, end in ends.items()}}


def made(module: str, name: str, state: Mapping[str, bytes] | bytes | None = None) -> bytes:
    """Return an object without arguments, with a state."""
    raw = table(state) if isinstance(state, Mapping) else state
    return named(module, name) + b")\x81" + (raw + b"b" if raw else b"")


def size(values: Sequence[int]) -> bytes:
    return call("torch", "Size", numbers(values))


def length(kind: str, chunk: Chunk) -> int:
    return nbytes(kind, chunk.sizes) if chunk.length is None else chunk.length


def tensor(kind: str, shape: Sequence[int], chunks: Sequence[Chunk]) -> bytes:
    layout = call("torch.serialization", "_get_layout", text("torch.strided"))
    encoding = call(METADATA, "_MEM_FORMAT_ENCODING", number(0))
    properties = b"(" + named("torch", TYPES[kind]) + layout + b"\x89" + encoding + b"\x89t"
    parts = [
        made(METADATA, "ChunkStorageMetadata", {"offsets": size(each.offsets), "sizes": size(each.sizes)})
        for each in chunks
    ]
    return made(
        METADATA,
        "TensorStorageMetadata",
        {
            "properties": made(METADATA, "TensorProperties", properties),
            "size": size(shape),
            "chunks": b"](" + b"".join(parts) + b"e",
        },
    )


def index(name: str, offsets: Sequence[int] | None) -> bytes:
    fields = {"fqn": text(name), "index": b"N"}
    return made(METADATA, "MetadataIndex", fields if offsets is None else {**fields, "offset": size(offsets)})


def place(kind: str, chunk: Chunk) -> bytes:
    fields = {
        "relative_path": text(chunk.file),
        "offset": number(chunk.offset),
        "length": number(length(kind, chunk)),
    }
    return made("torch.distributed.checkpoint.filesystem", "_StorageInfo", fields)


def write_toy(folder: Path, made: Toy, *, states: Mapping[str, int] | None = None) -> None:
    """Write a toy as one rank saves it, with its config; `states` are objects beside it, with their bytes."""
    at, tensors, objects = 0, {}, {}
    for each in made.tensors:
        chunk = Chunk([0] * len(each.shape), each.shape, offset=at)
        tensors[each.name] = (each.dtype, each.shape, [chunk])
        at += length(each.dtype, chunk)
    for name, count in (states or {}).items():
        objects[name] = Chunk((), (), offset=at, length=count)
        at += count
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(made.config))
    for file, data in Folder(tensors, objects).files().items():
        (folder / file).write_bytes(data)
