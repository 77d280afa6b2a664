"""A small table of accelerators: memory and compute capability.

Memory as the drivers of NVIDIA and AMD show it, rounded to a GiB. Compute capability: CUDA C programming guide.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from weightlint.errors import UsageError, nearest

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Gpu:
    """One accelerator: name, memory in bytes, compute capability or None where it is not known."""

    name: str
    memory: int
    capability: tuple[int, int] | None = None


GPUS = {
    gpu.name: gpu
    for gpu in (
        Gpu("p100", 16 * GIB, (6, 0)),
        Gpu("t4", 15 * GIB, (7, 5)),
        Gpu("v100", 32 * GIB, (7, 0)),
        Gpu("a10", 23 * GIB, (8, 6)),
        Gpu("a100-40", 40 * GIB, (8, 0)),
        Gpu("a100", 80 * GIB, (8, 0)),
        Gpu("a800", 80 * GIB, (8, 0)),
        Gpu("rtx3090", 24 * GIB, (8, 6)),
        Gpu("rtx4090", 24 * GIB, (8, 9)),
        Gpu("rtx5090", 32 * GIB, (12, 0)),
        Gpu("l4", 23 * GIB, (8, 9)),
        Gpu("l40s", 45 * GIB, (8, 9)),
        Gpu("h20", 96 * GIB, (9, 0)),
        Gpu("h100", 80 * GIB, (9, 0)),
        Gpu("h800", 80 * GIB, (9, 0)),
        Gpu("h200", 140 * GIB, (9, 0)),
        Gpu("gh200", 96 * GIB, (9, 0)),
        Gpu("b200", 180 * GIB, (10, 0)),
        Gpu("b300", 270 * GIB, (10, 3)),
        Gpu("mi250x", 64 * GIB),
        Gpu("mi300x", 192 * GIB),
        Gpu("mi325x", 256 * GIB),
    )
}
"""Accelerators by name; of those sold in two sizes the larger has the plain name."""

UNITS = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": GIB,
}


def shown(size: int) -> str:
    """Write a number of bytes as memory is counted: `81.3 GiB`."""
    for scale, unit in ((GIB, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"


def named(name: str) -> Gpu:
    """Find an accelerator.

    Raises:
        UsageError: it is not in the table.
    """
    known = name.lower().replace("_", "-").removeprefix("nvidia-").removeprefix("amd-").replace("rtx-", "rtx")
    if known not in GPUS:
        message = (
            f"--gpu {name}: not in the table{nearest(known, GPUS)}; give its memory with --gpu-memory 80GiB"
        )
        raise UsageError(message)
    return GPUS[known]


def with_memory(text: str) -> Gpu:
    """Read a size of memory: `80GiB`, `141GB`.

    Raises:
        UsageError: it is none.
    """
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?)\s*([a-z]*)", text.strip().lower())
    if found is None or found[2] not in UNITS or not float(found[1]):
        message = f"--gpu-memory {text}: no size of memory; write it as 80GiB or 141GB"
        raise UsageError(message)
    return Gpu(text.strip(), int(float(found[1]) * UNITS[found[2]]))


def chosen(name: str | None, memory: str | None) -> Gpu | None:
    """Return what the two options stand for; the size that is given wins over that of the table."""
    if name is None:
        return with_memory(memory) if memory else None
    gpu = named(name)
    return Gpu(gpu.name, with_memory(memory).memory, gpu.capability) if memory else gpu
