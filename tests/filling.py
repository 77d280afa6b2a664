"""Plausible numbers in the files of a toy, and damage done to them by tensor and byte."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from weightlint.dtype import SAFETENSORS
from weightlint.scanning.number import NUMBERS, UNSIGNED

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SPREAD = 0.02
"""Standard deviation of a weight; norms are ones."""


def fill(folder: Path, spread: float = SPREAD) -> None:
    """Give every tensor of the safetensors files numbers that follow from its name."""
    for path in sorted(folder.glob("*.safetensors")):
        data = bytearray(path.read_bytes())
        for name, entry, start, stop in tensors(data):
            data[start:stop] = numbers(name, entry["dtype"], entry["shape"], spread).tobytes()
        path.write_bytes(data)


def put(folder: Path, edit: dict[str, Any]) -> None:
    """Write bytes into a tensor: `hex` from byte `at` on, `times` over; or those of the tensor `of`."""
    for path in sorted(folder.glob("*.safetensors")):
        data = bytearray(path.read_bytes())
        places = {name: (start, stop) for name, _, start, stop in tensors(data)}
        if edit["tensor"] in places:
            start, stop = places[edit["tensor"]]
            if "of" in edit:
                source = slice(*places[edit["of"]])
                data[start:stop] = data[source]
            else:
                raw = bytes.fromhex(edit["hex"]) * edit.get("times", 1)
                assert len(raw) <= stop - start - edit["at"]
                data[start + edit["at"] : start + edit["at"] + len(raw)] = raw
            path.write_bytes(data)
            return
    message = f"no tensor {edit['tensor']}"
    raise AssertionError(message)


def tensors(data: bytes | bytearray) -> list[tuple[str, dict[str, Any], int, int]]:
    """Return name, entry and byte range in the file of each tensor."""
    length = int.from_bytes(data[:8], "little")
    table = json.loads(data[8 : 8 + length])
    return [
        (name, entry, *(8 + length + at for at in entry["data_offsets"]))
        for name, entry in table.items()
        if name != "__metadata__"
    ]


def numbers(name: str, dtype: str, shape: list[int], spread: float) -> NDArray[Any]:
    """Return numbers of a dtype: ones for a norm, small positive ones for a scale, else normal ones."""
    chance = np.random.default_rng(zlib.crc32(name.encode()))
    values = chance.standard_normal(shape) * spread
    if "norm" in name:
        values = np.ones(shape)
    elif name.endswith(("_scale_inv", "_scale")):
        values = 0.001 + abs(values) / 1000
    return rounded(values, dtype)


def rounded(values: NDArray[Any], dtype: str) -> NDArray[Any]:
    """Return the nearest numbers of a dtype, not finite ones left out."""
    own = {"F16": np.float16, "F32": np.float32, "F64": np.float64}
    if dtype in own:
        plain: NDArray[Any] = values.astype(own[dtype])
        return plain
    if dtype == "BF16":
        return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    number = NUMBERS[SAFETENSORS[dtype].name]
    positive = np.arange(number.largest + 1).astype(UNSIGNED[number.width])
    table = number.values(positive)
    scale = table[-1] / 8 / max(float(abs(values).max()), 1e-30)
    nearest = np.searchsorted(table, abs(values) * scale).clip(0, len(table) - 1)
    signed: NDArray[Any] = (positive[nearest] | np.where(values < 0, number.sign, 0)).astype(positive.dtype)
    return signed
