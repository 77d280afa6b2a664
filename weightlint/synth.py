"""Write a checkpoint of an architecture: full size as sparse files, or tiny with real numbers.

The other direction of a check: schema and config give the tensors, this gives the files. Headers
are laid out as the safetensors library does: wide types first, then by name, padded to 8 bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from weightlint import schema as schemas
from weightlint.config import Config, FieldError, read
from weightlint.drawer import Drawer
from weightlint.dtype import SAFETENSORS, Shape
from weightlint.errors import UsageError
from weightlint.expansion import expand
from weightlint.expected import Presence
from weightlint.names import natural
from weightlint.quant import declared
from weightlint.shrink import shrink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from weightlint.expected import Expected, Slot
    from weightlint.quant import Quant

    Fill = Callable[["Tensor"], bytes]

SHARD = 4_250_000_000
"""Bytes of one file, about: DeepSeek-V3 comes to 163 files, as published."""

TINY_SHARDS = 2
INDEX = "model.safetensors.index.json"
_SPELLING = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}


class Tensor(NamedTuple):
    """One tensor to write; `kind` as in the schema, `size` in bytes."""

    name: str
    dtype: str
    shape: Shape
    kind: str
    size: int


@dataclass(frozen=True, slots=True)
class Synthesis:
    """What was written; `bytes` counts tensor data without headers."""

    tensors: int
    files: int
    bytes: int


def synth(
    out: Path | str,
    *,
    arch: str,
    config: Config | Mapping[str, Any] | Path | str | None = None,
    tiny: bool = False,
    shards: int | None = None,
) -> Synthesis:
    """Write a checkpoint of an architecture into the folder `out`.

    Without a config it is that of a published model. `tiny` shrinks every size and writes real
    numbers, and of the published config it leaves the quantisation away; else the files are
    sparse. `shards` is the number of files.

    Raises:
        UsageError: unknown architecture, unusable config, or `out` holds a checkpoint.
    """
    schema = schemas.load(arch)
    table = _config(arch, config, tiny=tiny)
    try:
        given = Config(table, unsaid=schema.quantization)
        expected = _quantised(expand(schema, given), given)
    except FieldError as error:
        message = f"no checkpoint of {arch} can be made of this config: {error}"
        raise UsageError(message) from error
    tensors = _tensors(expected, table)
    total = sum(tensor.size for tensor in tensors)
    count = shards or (TINY_SHARDS if tiny else -(-total // SHARD))
    folder = _folder(Path(out))
    files = _write_all(folder, _shared_out(tensors, total, count), _random(Random(0)) if tiny else None)  # noqa: S311 -- weights, no secrets
    (folder / "config.json").write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
    return Synthesis(len(tensors), files, total)


def _config(
    arch: str, given: Config | Mapping[str, Any] | Path | str | None, *, tiny: bool
) -> dict[str, Any]:
    published = schemas.folder() / "configs" / f"{arch}.json"
    match given:
        case None if not published.is_file():
            message = f"there is no published config of {arch} here; give one with --config FILE"
            raise UsageError(message)
        case None:
            table = _read(published)
            if tiny:
                table.pop("quantization_config", None)
        case str() | Path():
            table = _read(Path(given))
        case Config():
            table = {**given.data, **given.changes}
        case _:
            table = dict(given)
    return shrink(table) if tiny else table


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(read(path.read_bytes(), str(path)).data)
    except OSError as error:
        message = f"{path}: {error.strerror}"
        raise UsageError(message) from error
    except ValueError as error:
        message = f"{path} cannot be read: {error}"
        raise UsageError(message) from error


def _quantised(expected: Expected, config: Config) -> Expected:
    table = config.quantization
    if table is None:
        return expected
    quants: Drawer[Quant] = Drawer("quants", "QUANT")
    quant = declared(quants, table)
    if quant is not None:
        return quant.rewrite(expected, table)
    message = f"no quant here writes quantization_config.quant_method = {table.get('quant_method')!r}"
    raise UsageError(message)


def _tensors(expected: Expected, config: Mapping[str, Any]) -> list[Tensor]:
    """List every tensor that a complete checkpoint has, in natural order."""
    spelled = config.get("torch_dtype") or config.get("dtype")
    plain = _SPELLING.get(str(spelled), "BF16")
    wanted = {Presence.REQUIRED, Presence.OPTIONAL}
    out = [tensor for slot in expected.slots if slot.need in wanted for tensor in _of(slot, plain)]
    return sorted(out, key=lambda tensor: natural(tensor.name))


def _of(slot: Slot, plain: str) -> Iterator[Tensor]:
    dtype = _dtype(slot, plain)
    size = SAFETENSORS[dtype].nbytes(slot.shape)
    if size is None:
        message = f"{slot.pattern} {list(slot.shape)} of {dtype} is no whole number of bytes"
        raise UsageError(message)
    for name in slot.names():
        yield Tensor(name, dtype, slot.shape, slot.kind, size)


def _dtype(slot: Slot, plain: str) -> str:
    order = ("F32", plain) if slot.kind == "scale" else (plain, "F32")
    return next((dtype for dtype in order if dtype in slot.dtypes), min(slot.dtypes))


def _folder(out: Path) -> Path:
    if out.is_file() or any(out.glob("*.safetensors")) or (out / "config.json").exists():
        message = f"{out} is a file or holds a checkpoint already; name an empty or new folder"
        raise UsageError(message)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{out}: {error.strerror}"
        raise UsageError(message) from error
    return out


def _shared_out(tensors: Sequence[Tensor], total: int, count: int) -> list[list[Tensor]]:
    """Cut the list into files of about equal size."""
    ends, end = [], 0
    for tensor in tensors:
        ends.append(min(end * count // max(total, 1), count - 1))
        end += tensor.size
    pairs = zip(ends, tensors, strict=True)
    return [[tensor for _, tensor in group] for _, group in groupby(pairs, lambda pair: pair[0])]


def _write_all(folder: Path, parts: list[list[Tensor]], fill: Fill | None) -> int:
    """Write files and index, as transformers names them: no index for a single file."""
    width = len(parts)
    where: dict[str, str] = {}
    for at, part in enumerate(parts, 1):
        file = "model.safetensors" if width == 1 else f"model-{at:05}-of-{width:05}.safetensors"
        _write(folder / file, part, fill)
        where |= {tensor.name: file for tensor in part}
    if width > 1:
        total = sum(tensor.size for part in parts for tensor in part)
        index = {"metadata": {"total_size": total}, "weight_map": where}
        (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return width


def _write(path: Path, tensors: list[Tensor], fill: Fill | None) -> None:
    """Write one file; without `fill` the data is a hole that reads as zeros."""
    ordered = sorted(tensors, key=lambda tensor: (-SAFETENSORS[tensor.dtype].bits, tensor.name))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for tensor in ordered:
        place = [end, end := end + tensor.size]
        header[tensor.name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": place}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        if fill is None:
            file.truncate(8 + len(text) + end)
        else:
            file.writelines(map(fill, ordered))


_TOP = {"BF16": 0x3C, "F32": 0x3C, "F16": 0x24}
"""Top byte of the floats of magnitude 0.008 to 0.04: exponent bits, sign 0."""
_INTEGERS = frozenset({"I64", "I32"})
_ONE = {"BF16": b"\x80\x3f", "F16": b"\x00\x3c", "F32": b"\x00\x00\x80\x3f"}


def _random(source: Random) -> Fill:
    """Return a source of small numbers of both signs, ones for norms, no NaN and no infinity; a table of experts names two."""
    return partial(_numbers, source)


def _numbers(source: Random, tensor: Tensor) -> bytes:
    step = SAFETENSORS[tensor.dtype].bits // 8
    if tensor.kind == "norm" and tensor.dtype in _ONE:
        return _ONE[tensor.dtype] * (tensor.size // step)
    data = bytearray(source.randbytes(tensor.size))
    if tensor.kind == "router" and tensor.dtype in _INTEGERS:
        return b"".join((byte & 1).to_bytes(step, "little") for byte in data[::step])
    if tensor.dtype in _TOP:
        sign = 0 if tensor.kind == "scale" else 0x80
        table = bytes(_TOP[tensor.dtype] | byte & sign for byte in range(256))
        data[step - 1 :: step] = data[step - 1 :: step].translate(table)
    elif tensor.dtype.startswith("F8_"):
        # exponent of all ones is NaN or infinity in every 8-bit float: clear its lowest bit
        data = data.translate(bytes(byte & 0xF7 for byte in range(256)))
    return bytes(data)
