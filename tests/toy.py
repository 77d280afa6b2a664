"""Small checkpoints for tests: a schema's tensors as files, with damage done to them.

A toy is a list of tensors (name, dtype, shape, shard); `write` turns it into files whose data are
zeros. Edits change the list, the index or the files, one kind of damage each.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import struct
import zipfile
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch_toy

from weightlint import schema
from weightlint.api import QUANTS
from weightlint.config import Config
from weightlint.dtype import SAFETENSORS
from weightlint.expansion import expand
from weightlint.expected import Expected, Presence

FIXTURES = Path(__file__).parents[1] / "fixtures"


@dataclass(frozen=True)
class Tensor:
    """One tensor to be written; `data` overrides the zeros."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    shard: int


@dataclass
class Toy:
    """A checkpoint on its way to the disk."""

    config: dict[str, Any]
    tensors: list[Tensor]
    shards: int
    index: bool = True
    claims: dict[str, str | None] = field(default_factory=dict)
    total_size: object = None
    after: list[dict[str, Any]] = field(default_factory=list)
    form: str = "safetensors"

    def file(self, shard: int) -> str:
        """Return the file name of a shard, counted from 1."""
        stem, suffix = STEMS[self.form]
        return f"{stem}{suffix}" if self.shards == 1 else f"{stem}-{shard:05d}-of-{self.shards:05d}{suffix}"

    def write(self, folder: Path) -> Path:
        """Write config, shards and index."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(self.config))
        for shard in range(1, self.shards + 1):
            tensors = [tensor for tensor in self.tensors if tensor.shard == shard]
            (folder / self.file(shard)).write_bytes(WRITERS[self.form](tensors))
        if self.index and self.shards > 1:
            self.write_index(folder)
        for edit in self.after:
            damage(folder, edit)
        return folder

    def write_index(self, folder: Path) -> None:
        """Write the index that fits the tensors, but for the claims that an edit made."""
        places = {tensor.name: self.file(tensor.shard) for tensor in self.tensors}
        for name, file in self.claims.items():
            if file is None:
                places.pop(name)
            else:
                places[name] = file
        total: object = sum(nbytes(tensor) for tensor in self.tensors)
        if self.total_size is not None:
            total = (
                float(sum(map(nbytes, self.tensors))) if self.total_size == "as float" else self.total_size
            )
        text = json.dumps({"metadata": {"total_size": total}, "weight_map": places})
        (folder / f"{''.join(STEMS[self.form])}.index.json").write_text(text)


def nbytes(tensor: Tensor) -> int:
    size = SAFETENSORS[tensor.dtype].nbytes(tensor.shape)
    assert size is not None
    return size


def table(tensors: list[Tensor]) -> bytes:
    """Write one safetensors file of zeros."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for tensor in tensors:
        header[tensor.name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [at, at + nbytes(tensor)],
        }
        at += nbytes(tensor)
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    return struct.pack("<Q", len(raw)) + raw + bytes(at)


def torch_table(tensors: list[Tensor]) -> bytes:
    """Write one torch file of zeros."""
    return torch_toy.file([(tensor.name, tensor.dtype, tensor.shape) for tensor in tensors])


STEMS = {"safetensors": ("model", ".safetensors"), "torch": ("pytorch_model", ".bin")}
WRITERS = {"safetensors": table, "torch": torch_table}


PREFERRED = ("BF16", "F32", "F8_E4M3", "F16", "I32", "U32", "I64", "U8", "I8", "I16", "F8_E8M0")
"""The type of a tensor, the first of these that its slot allows."""


def expected_of(arch: str, config: dict[str, Any], *, free: bool = False) -> Expected:
    """Expand a schema and let the declared quant rewrite it; with `free`, what may be quantised is."""
    table = schema.load(arch)
    given = Config(config, unsaid=table.quantization)
    expected = expand(table, given)
    declared = given.quantization
    for quant in QUANTS.values():
        if declared and quant.declared(declared):
            expected = quant.rewrite(expected, declared)
    for layout in expected.layouts if free else ():
        if layout.marks and any(slot.form is not None for slot in layout.slots):
            heads = {coord[:1] for slot in layout.slots for coord in slot.coords()}
            expected = expected.choose(layout, frozenset(heads))
    return expected


def toy(
    arch: str, config: dict[str, Any], *, shards: int = 3, fused: bool = False, free: bool = False
) -> Toy:
    """Return the toy that holds exactly what a schema requires, `fused` with its experts stacked.

    With `free`, all that a scheme may quantise is quantised.
    """
    expected = expected_of(arch, config, free=free)
    for layout in expected.layouts if fused else ():
        expected = expected.choose(
            layout, frozenset(coord[:1] for slot in layout.slots for coord in slot.coords())
        )
    slots = [slot for slot in expected.slots if slot.need is not Presence.TIED]
    flat = [(name, slot) for slot in slots for name in slot.names()]
    tensors = [
        Tensor(
            name,
            min(slot.dtypes, key=PREFERRED.index),
            slot.shape,
            1 + at * shards // len(flat),
        )
        for at, (name, slot) in enumerate(sorted(flat, key=lambda pair: pair[0]))
    ]
    return Toy(config, tensors, shards)


def spelt(expected: Expected, config: dict[str, Any], *, mtp: bool = True, shards: int = 2) -> Toy:
    """Return the toy that holds what a dialect's expectation requires, with its MTP layers or without."""
    slots = [*expected.slots, *(slot for layout in expected.layouts if mtp for slot in layout.slots)]
    flat = [(name, slot) for slot in slots if slot.need is not Presence.TIED for name in slot.names()]
    order = ("F8_E4M3", "BF16", "F32", "F16", "U8", "I64")
    tensors = [
        Tensor(
            name,
            next(dtype for dtype in order if dtype in slot.dtypes),
            (24,) if slot.opaque else slot.shape,
            1 + at * shards // len(flat),
        )
        for at, (name, slot) in enumerate(sorted(flat, key=lambda pair: pair[0]))
    ]
    return Toy(config, tensors, shards)


def config(name: str) -> dict[str, Any]:
    """Read a config of the fixtures."""
    loaded: dict[str, Any] = json.loads((FIXTURES / "configs" / f"{name}.json").read_text())
    return loaded


def edited(made: Toy, edit: dict[str, Any]) -> Toy:
    """Return the toy with one edit; those of files wait until the files are there."""
    name = edit.get("tensor")
    match edit["op"]:
        case "drop":
            kept = [t for t in made.tensors if not _hit(t.name, str(name))]
            assert len(kept) < len(made.tensors), name
            return replace(made, tensors=kept)
        case "rename":
            assert any(tensor.name == name for tensor in made.tensors), name
            return replace(
                made, tensors=[replace(t, name=edit["to"]) if t.name == name else t for t in made.tensors]
            )
        case "reword":
            assert any(edit["old"] in tensor.name for tensor in made.tensors), edit["old"]
            return replace(
                made,
                tensors=[replace(t, name=t.name.replace(edit["old"], edit["new"])) for t in made.tensors],
            )
        case "regroup":
            return replace(
                made,
                tensors=[replace(t, name=re.sub(edit["old"], edit["new"], t.name)) for t in made.tensors],
            )
        case "companion":
            beside = [
                companion(t, edit["end"], edit["dtype"], edit["shape"])
                for t in made.tensors
                if _hit(t.name, str(name))
            ]
            return replace(made, tensors=[*made.tensors, *beside])
        case "prefix":
            return replace(made, tensors=[replace(t, name=edit["text"] + t.name) for t in made.tensors])
        case "unprefix":
            return replace(
                made, tensors=[replace(t, name=t.name.removeprefix(edit["text"])) for t in made.tensors]
            )
        case "reshape":
            return replace(
                made,
                tensors=[
                    replace(t, shape=tuple(edit["shape"])) if _hit(t.name, str(name)) else t
                    for t in made.tensors
                ],
            )
        case "retype":
            return replace(
                made,
                tensors=[
                    replace(t, dtype=edit["dtype"]) if _hit(t.name, str(name)) else t for t in made.tensors
                ],
            )
        case "add":
            extra = Tensor(str(name), edit["dtype"], tuple(edit["shape"]), edit.get("shard", 1))
            return replace(made, tensors=[*made.tensors, extra])
        case "double":
            found = next(t for t in made.tensors if t.name == name)
            return replace(made, tensors=[*made.tensors, replace(found, shard=edit["shard"])])
        case "claim":
            return replace(made, claims={**made.claims, str(name): edit.get("file")})
        case "total_size":
            return replace(made, total_size=edit["value"])
        case "no_index":
            return replace(made, index=False)
        case "config":
            return replace(made, config={**made.config, edit["field"]: edit["value"]})
        case "unconfig":
            return replace(made, config={k: v for k, v in made.config.items() if k != edit["field"]})
    return replace(made, after=[*made.after, edit])


def companion(weight: Tensor, end: str, dtype: str, shape: list[int | str]) -> Tensor:
    """Return a tensor that goes with a weight; `rows` in its shape stands for the weight's own."""
    sizes = tuple(weight.shape[0] if size == "rows" else int(size) for size in shape)
    return Tensor(weight.name + end, dtype, sizes, weight.shard)


def _hit(name: str, wanted: str) -> bool:
    return fnmatchcase(name, wanted)


def damage(folder: Path, edit: dict[str, Any]) -> None:
    """Damage a file that is already there."""
    path = folder / edit["file"]
    match edit["op"]:
        case "truncate":
            data = path.read_bytes()
            path.write_bytes(data[: len(data) - edit["bytes"]])
        case "append":
            path.write_bytes(path.read_bytes() + bytes(edit["bytes"]))
        case "remove":
            path.unlink()
        case "write":
            path.write_text(edit["text"])
        case "move":
            path.rename(folder / edit["to"])
        case "reindex":
            path.write_text(path.read_text().replace(edit["old"], edit["new"]))
        case "copy":
            shutil.copy(path, folder / edit["to"])
        case "swap":
            other, spare = folder / edit["to"], folder / "spare"
            path.rename(spare)
            other.rename(path)
            spare.rename(other)
        case "ask":
            path.write_bytes(asking(path.read_bytes(), edit["module"], edit["name"]))
        case "header":
            header(path, edit["old"], edit["new"])
        case _:
            message = f"no such edit: {edit['op']}"
            raise AssertionError(message)


def asking(data: bytes, module: str, name: str) -> bytes:
    """Add a call of a global, without arguments, to the table of a torch file."""
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        records = {each: source.read(each) for each in source.namelist()}
    pickle = records.pop("archive/data.pkl")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        extra = torch_toy.text("extra") + torch_toy.call(module, name) + b"s."
        target.writestr("archive/data.pkl", pickle[:-1] + extra)
        for each, content in records.items():
            target.writestr(each, content)
    return buffer.getvalue()


def header(path: Path, old: str, new: str) -> None:
    """Replace text in the header of a safetensors file."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    text = data[8 : 8 + length].decode()
    assert old in text, old
    raw = text.replace(old, new, 1).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + data[8 + length :])
