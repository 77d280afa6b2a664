"""Damage done to small models with plausible numbers of every type, and what `verify` says of it.

Block types are resampled from blocks that ggml's own quantiser wrote (fixtures/quantised), plain types are normal numbers
in the rounding of their format.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from gguf_toy import GgufFile, GgufTensor

from weightlint import dtype
from weightlint.folder import open_files
from weightlint.formats.gguf import FORMAT as GGUF
from weightlint.names import expand
from weightlint.running import Running
from weightlint.scanning.number import NUMBERS, UNSIGNED
from weightlint.scanning.scan import Scan
from weightlint.store import MemoryBlob, MemoryStore
from weightlint.verifying import manifest as manifests
from weightlint.verifying.jobs import Wanted, jobs
from weightlint.verifying.tally import Tally
from weightlint.verifying.verdicts import report

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from weightlint.finding import Report
    from weightlint.verifying.manifest import Manifest

FIXTURE = Path(__file__).parent.parent / "fixtures" / "quantised" / "ggml.gguf"
PLAIN = (
    "BF16",
    "F16",
    "F32",
    "F64",
    "F8_E4M3",
    "F8_E5M2",
    "F8_E8M0",
    "F8_E4M3FNUZ",
    "F8_E5M2FNUZ",
    "I8",
    "U8",
    "I32",
    "F4",
)
PAGE = 4096
LAYERS = 3
ROWS, BYTES = 16, 10 * PAGE


@dataclass(frozen=True)
class Model:
    """One file of three tensors of one type; `ranges` are the bytes of each."""

    name: str
    data: bytes
    ranges: dict[str, tuple[int, int]] = field(default_factory=dict)

    def hit(self, other: bytes) -> set[str]:
        """Return the tensors of which another file has other bytes."""
        return {name for name, (low, high) in self.ranges.items() if self.data[low:high] != other[low:high]}


@cache
def block_types() -> dict[str, NDArray[np.uint8]]:
    """Return blocks that ggml wrote, by type, those of zero rows left out."""
    raw = FIXTURE.read_bytes()
    header = GGUF.read(MemoryBlob(raw), "m.gguf")
    out: dict[str, list[NDArray[np.uint8]]] = {}
    for kind, start, stop in zip(header.kinds, header.starts, header.stops, strict=True):
        found = dtype.find(kind.dtype or "")
        assert found is not None
        blocks = np.frombuffer(raw[start:stop], np.uint8).reshape(-1, found.size)
        out.setdefault(found.name, []).append(blocks[blocks.any(axis=1)])
    return {name: np.concatenate(parts) for name, parts in out.items()}


def types() -> list[str]:
    """Return all types that a model can be made of."""
    return [*PLAIN, *block_types()]


def model(type_: str, seed: int) -> Model:
    """Return a model of one type."""
    chance = np.random.default_rng(seed)
    return _blocks(type_, chance) if type_ in block_types() else _plain(type_, chance)


def _blocks(type_: str, chance: np.random.Generator) -> Model:
    found = dtype.find(type_)
    assert found is not None
    columns = BYTES // ROWS // found.size * found.block
    tensors = [GgufTensor(f"blk.{layer}.ffn_down.weight", (columns, ROWS), type_) for layer in range(LAYERS)]
    file = GgufFile(tensors=tensors)
    data = bytearray(file.data())
    start = len(file.head()) + -len(file.head()) % 32
    ranges = {}
    for tensor, offset in zip(tensors, file.packed(), strict=True):
        source = block_types()[type_]
        blocks = source[chance.integers(0, len(source), tensor.nbytes // found.size)]
        ranges[tensor.name] = start + offset, start + offset + tensor.nbytes
        data[slice(*ranges[tensor.name])] = blocks.tobytes()
    return Model("m.gguf", bytes(data), ranges)


def _plain(type_: str, chance: np.random.Generator) -> Model:
    table, ranges, parts, at = {}, {}, [], 0
    found = dtype.find(type_)
    assert found is not None
    for layer in range(LAYERS):
        raw = _numbers(type_, BYTES, chance)
        name = f"model.layers.{layer}.mlp.down_proj.weight"
        shape = [ROWS, BYTES // ROWS * found.block // found.size]
        table[name] = {"dtype": type_, "shape": shape, "data_offsets": [at, at + len(raw)]}
        ranges[name] = at, at + len(raw)
        parts.append(raw)
        at += len(raw)
    text = json.dumps(table).encode()
    head = len(text).to_bytes(8, "little") + text
    moved = {name: (low + len(head), high + len(head)) for name, (low, high) in ranges.items()}
    return Model("m.safetensors", head + b"".join(parts), moved)


def _numbers(type_: str, size: int, chance: np.random.Generator) -> bytes:
    number = NUMBERS.get(type_)
    if number is None:
        return chance.integers(1, 255, size, dtype=np.uint8).tobytes()
    if number.unsigned:
        return chance.integers(110, 126, size, dtype=np.uint8).tobytes()
    normal = chance.standard_normal(size // number.width) * (0.02 if number.width > 1 else 60)
    if number.width == 1:
        return _nearest(type_, normal)
    if type_ == "BF16":
        return (normal.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16).tobytes()
    return normal.astype(f"f{number.width}").tobytes()


def _nearest(type_: str, normal: NDArray[np.float64]) -> bytes:
    """Round to the nearest number of eight bits."""
    number = NUMBERS[type_]
    codes = np.array([c for c in range(256) if c & 0x7F <= number.largest and c != number.sign], UNSIGNED[1])
    values = number.values(codes).astype(np.float64)
    order = np.argsort(values)
    places = np.clip(np.searchsorted(values[order], normal), 0, len(codes) - 1)
    return codes[order][places].tobytes()


def flip_bit(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def flip_byte(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(len(data))] ^= chance.randrange(1, 256)


def zero_page(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data) // PAGE) * PAGE
    data[at : at + PAGE] = bytes(PAGE)


def noise_page(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data) // PAGE) * PAGE
    data[at : at + PAGE] = chance.randbytes(PAGE)


def swap_pages(data: bytearray, chance: random.Random) -> None:
    one, other = (at * PAGE for at in chance.sample(range(len(data) // PAGE), 2))
    data[one : one + PAGE], data[other : other + PAGE] = data[other : other + PAGE], data[one : one + PAGE]


def truncate(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(1, len(data)) :]


DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    flip_bit,
    flip_byte,
    zero_page,
    noise_page,
    swap_pages,
    truncate,
)


def damaged(made: Model, how: Callable[[bytearray, random.Random], None], chance: random.Random) -> bytes:
    """Return the bytes of a model after damage that changes them."""
    while True:
        data = bytearray(made.data)
        how(data, chance)
        if data != made.data:
            return bytes(data)


def manifest(made: Model) -> Manifest:
    """Return the manifest of a model."""
    tally = _tally(made.name, made.data, Wanted(values=False, prints=True, sha256=True))
    return manifests.parse(manifests.written(tally.entries(), program="0").encode(), "manifest")


def verified(name: str, data: bytes, known: Manifest | None = None) -> Report:
    """Return what `verify` says of the bytes of one file."""
    tally = _tally(name, data, Wanted(prints=known is not None, manifest=known))
    checkpoint = open_files(MemoryStore({name: data}), [name], target=name)
    return report(tally, checkpoint, Running())


def _tally(name: str, data: bytes, wanted: Wanted) -> Tally:
    store = MemoryStore({name: data})
    found = jobs(open_files(store, [name], target=name), wanted)
    scan = Scan(store)
    rows = [scan(job, lambda _: None) for job in found]
    return Tally(target=name, jobs={job.key: job for job in found}, rows={row.key: row for row in rows})


def named(told: Report) -> set[str]:
    """Return all tensors that findings above info name."""
    return {name for it in told.findings for pattern in it.place.tensors for name in expand(pattern)}


def is_placed(told: Report, made: Model, data: bytes) -> bool:
    """Tell whether exactly the tensors that were hit are named; of a hit header any may be."""
    hit, said = made.hit(data), named(told)
    start = min(low for low, _ in made.ranges.values())
    return hit <= said and (said <= hit or data[:start] != made.data[:start])


def sound(models: Sequence[Model]) -> list[str]:
    """Return what is said of models without damage."""
    return [it.message for made in models for it in verified(made.name, made.data).findings]
