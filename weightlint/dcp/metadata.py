"""The `.metadata` of torch.distributed.checkpoint: tensors, their chunks, and the file of each chunk.

Classes and fields: torch/distributed/checkpoint/metadata.py and filesystem.py of torch 2.13. The
pickle is read by the allow-list machine; none of the classes is ever made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from weightlint.pickling.values import Call, pairs
from weightlint.torch_files.storages import BadTensorError, dtype, sizes
from weightlint.torch_files.types import INERT, KNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from weightlint.dtype import Shape

_PARTS = "torch.distributed.checkpoint"
_OLD_PARTS = "torch.distributed._shard.sharded_tensor.metadata"

SAFE: frozenset[str] = (
    KNOWN
    | INERT
    | {
        *(
            f"{_PARTS}.metadata.{name}"
            for name in (
                "Metadata",
                "TensorStorageMetadata",
                "BytesStorageMetadata",
                "ChunkStorageMetadata",
                "TensorProperties",
                "MetadataIndex",
                "StorageMeta",
                "_MEM_FORMAT_ENCODING",
            )
        ),
        f"{_PARTS}.filesystem._StorageInfo",
        f"{_PARTS}.filesystem._StoragePrefix",
        f"{_OLD_PARTS}.TensorProperties",
        f"{_OLD_PARTS}.MEM_FORMAT_ENCODING",
    }
)
"""Globals that a `.metadata` may ask for."""


class Place(NamedTuple):
    """The bytes [offset, offset + length) of a file that hold one chunk, with an envelope around it.

    `packed` tells that an extension, such as a compression, has transformed them.
    """

    file: str
    offset: int
    length: int
    packed: bool


class Chunk(NamedTuple):
    """One part of a tensor, in elements; `place` is None if nothing says where it is."""

    offsets: Shape
    sizes: Shape
    place: Place | None


class Tensor(NamedTuple):
    """One tensor as a whole."""

    dtype: str
    shape: Shape
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a `.metadata` lists.

    `objects` are the places of what is no tensor. `bad` gives the names that contradict themselves
    by reason, `twice` those that stand there more than once.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    objects: dict[str, Place | None] = field(default_factory=dict)
    bad: dict[str, list[str]] = field(default_factory=dict)
    twice: list[str] = field(default_factory=list)

    def merge(self, other: Contents) -> None:
        """Add what the table of another rank lists: its chunks of the same tensors, and its own."""
        for name, tensor in other.tensors.items():
            mine = self.tensors.get(name)
            if mine is not None and mine[:2] != tensor[:2]:
                self.bad.setdefault("another type or shape in the table of another rank", []).append(name)
                continue
            chunks = {chunk[:2]: chunk for chunk in (*(mine.chunks if mine else ()), *tensor.chunks)}
            whole = tensor.chunks if mine is None else tuple(chunks.values())
            self.tensors[name] = tensor._replace(chunks=whole)
        self.objects.update(other.objects)
        self.twice.extend(other.twice)
        for why, names in other.bad.items():
            self.bad.setdefault(why, []).extend(names)


class NotMetadataError(Exception):
    """The pickle is no Metadata; the text says what it is, in words that follow `holds`."""


def contents(value: object) -> Contents:
    """List what a Metadata says.

    Raises:
        NotMetadataError: it is none.
    """
    attributes = _fields(value, "Metadata")
    listed = pairs(attributes.get("state_dict_metadata"))
    if listed is None:
        message = "no table of tensors (state_dict_metadata)"
        raise NotMetadataError(message)
    places = dict(_places(attributes.get("storage_data")))
    found = Contents()
    for name, entry in listed:
        if type(name) is not str:
            found.bad.setdefault("a name that is no text", []).append("?")
        elif name in found.tensors or name in found.objects:
            found.twice.append(name)
        elif type(entry) is Call and entry.name.endswith(".BytesStorageMetadata"):
            found.objects[name] = places.get((name, None))
        else:
            _add(found, name, entry, places)
    return found


def _add(found: Contents, name: str, entry: object, places: Mapping[tuple[str, Shape | None], Place]) -> None:
    try:
        found.tensors[name] = _tensor(name, entry, places)
    except (BadTensorError, NotMetadataError) as error:
        found.bad.setdefault(str(error), []).append(name)


def _tensor(name: str, entry: object, places: Mapping[tuple[str, Shape | None], Place]) -> Tensor:
    attributes = _fields(entry, "TensorStorageMetadata")
    chunks = attributes.get("chunks")
    if type(chunks) is not list:
        message = "no list of chunks"
        raise NotMetadataError(message)
    return Tensor(
        _type(attributes.get("properties")),
        sizes(attributes.get("size"), "size"),
        tuple(_chunk(name, chunk, places) for chunk in chunks),
    )


def _chunk(name: str, chunk: object, places: Mapping[tuple[str, Shape | None], Place]) -> Chunk:
    attributes = _fields(chunk, "ChunkStorageMetadata")
    offsets = sizes(attributes.get("offsets"), "offset")
    # a tensor that is whole on one rank may be looked up without its offset
    place = places.get((name, offsets)) or (places.get((name, None)) if not any(offsets) else None)
    return Chunk(offsets, sizes(attributes.get("sizes"), "size"), place)


def _type(properties: object) -> str:
    """Return the element type of TensorProperties, whose state is a tuple or, in older files, a table."""
    if type(properties) is Call and type(properties.state) is tuple and properties.state:
        return dtype(properties.state[0])
    return dtype(_fields(properties, "TensorProperties").get("dtype"))


def _places(storage_data: object) -> Iterator[tuple[tuple[str, Shape | None], Place]]:
    """Yield where the chunks are, by name and offsets; what makes no sense is left out."""
    for key, value in pairs(storage_data) or ():
        try:
            index, info = _fields(key, "MetadataIndex"), _fields(value, "_StorageInfo")
            name, offset = index.get("fqn"), index.get("offset")
            at = None if offset is None else sizes(offset, "offset")
        except (BadTensorError, NotMetadataError):
            continue
        file, start, length = (info.get(key) for key in ("relative_path", "offset", "length"))
        if (
            type(name) is type(file) is str
            and type(start) is type(length) is int
            and start >= 0
            and length >= 0
        ):
            yield (name, at), Place(file, start, length, packed=bool(info.get("transform_descriptors")))


def _fields(value: object, wanted: str) -> dict[str, Any]:
    """Return the attributes of an object of a class of this name."""
    if type(value) is not Call or not value.name.endswith(f".{wanted}"):
        message = f"no {wanted}"
        raise NotMetadataError(message)
    return {key: each for key, each in pairs(value.state) or () if type(key) is str}
