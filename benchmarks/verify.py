"""Measure how fast `weightlint verify` looks at bytes that are in the page cache, beside what else can be done with them.

    python benchmarks/verify.py [--gib 2] [--rounds 5]

Random BF16, FP8 and Q4_K numbers, all of them finite. Everything runs in turn, so that a busy machine slows all of it, and
the best of some rounds counts. torch looks at the same file, mapped, one tensor of 64 MiB after the other.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from timing import timed

from weightlint.probe import Hash, Job, Span
from weightlint.runners.threads import Threads
from weightlint.scanning.chunks import CHUNK
from weightlint.scanning.scan import Scan
from weightlint.stores.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MIB, GIB = 1 << 20, 1 << 30
UNITS = {"BF16": 2, "F8_E4M3": 1, "Q4_K": 144}
"""Bytes of a number, or of a block."""

TENSOR = 64 * MIB
SPARSE = 20 * 10**9


def numbers(name: str, chance: np.random.Generator) -> bytes:
    """Return the numbers of one tensor, as training and quantisers leave them."""
    if name == "F8_E4M3":
        return (chance.integers(0, 256, TENSOR, np.uint8) & 0xF7).tobytes()
    if name == "BF16":
        weights = chance.standard_normal(TENSOR // 2, np.float32) * np.float32(0.02)
        return (weights.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    blocks = chance.integers(0, 256, (TENSOR // 144, 144), np.uint8)
    scales = np.abs(chance.standard_normal((len(blocks), 2))) * 0.01 + 1e-4
    blocks[:, :4] = scales.astype(np.float16).view(np.uint8)
    return blocks.tobytes()


def written(folder: Path, gib: float) -> None:
    """Write a file of each type, which leaves it in the page cache."""
    chance = np.random.default_rng(0)
    for name in UNITS:
        data = numbers(name, chance)
        with (folder / name).open("wb") as file:
            for _ in range(max(1, int(gib * GIB) // len(data))):
                file.write(data)


def jobs(folder: Path, name: str, *, parts: int = 1, values: bool = True, sha256: bool = False) -> list[Job]:
    """Cut a file into jobs of equal parts, each with its tensors."""
    size, unit = (folder / name).stat().st_size, UNITS[name]
    one = TENSOR // unit * unit
    share = -(-size // one // parts) * one
    return [
        Job(
            key=f"{name} {start}",
            file=name,
            size=size,
            start=start,
            stop=stop,
            spans=tuple(Span(f"{at}", name, at, at + one, unit=unit) for at in range(start, stop, one)),
            hashes=(Hash("sha256", start, stop),) if sha256 else (),
            values=values,
        )
        for start in range(0, size, share)
        for stop in [min(size, start + share)]
    ]


def scanned(folder: Path, some: list[Job]) -> None:
    """Do jobs as `verify` does, each in a thread of its own."""
    for row in Threads(len(some)).run(some, Scan(LocalStore(folder)), lambda _: None):
        assert not row.errors
        assert all(not stats.counts for stats in row.stats)


def read(folder: Path, some: list[Job], *, sha256: bool) -> None:
    """Read the bytes of jobs into one buffer each, and hash them."""

    def one(job: Job) -> None:
        buffer, state = bytearray(CHUNK), hashlib.sha256()
        with (folder / job.file).open("rb", buffering=0) as file:
            file.seek(job.start)
            for _ in range(job.start, job.stop, CHUNK):
                file.readinto(buffer)
                if sha256:
                    state.update(buffer)

    with ThreadPoolExecutor(len(some)) as pool:
        list(pool.map(one, some))


def mapped(folder: Path, name: str) -> Any:
    """Map a file as the numbers that torch knows."""
    import torch

    torch.set_num_threads(1)
    kind = torch.bfloat16 if name == "BF16" else torch.float8_e4m3fn
    path = folder / name
    return torch.from_file(str(path), shared=True, size=path.stat().st_size, dtype=torch.uint8).view(kind)


def by_torch(numbers: Any) -> None:
    """Ask torch whether all numbers are finite, tensor by tensor; of eight bits it has to make others first."""
    import torch

    for part in numbers.split(TENSOR // numbers.element_size()):
        assert torch.isfinite(part if numbers.element_size() > 1 else part.to(torch.float32)).all()


def ways(folder: Path, cores: int) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield what is measured, by name."""
    for name in UNITS:
        yield f"{name}: scan", partial(scanned, folder, jobs(folder, name))
    for name in ("BF16", "F8_E4M3"):
        yield f"{name}: torch.isfinite", partial(by_torch, mapped(folder, name))
    for parts, where in {1: "one thread", cores: f"{cores} threads"}.items():
        plain = jobs(folder, "BF16", parts=parts)
        both = jobs(folder, "BF16", parts=parts, sha256=True)
        yield f"read, {where}", partial(read, folder, plain, sha256=False)
        yield f"scan, {where}", partial(scanned, folder, plain)
        yield f"sha256, {where}", partial(read, folder, plain, sha256=True)
        yield f"scan and sha256, {where}", partial(scanned, folder, both)


def seconds(way: Callable[[], None]) -> float:
    """Return how long it takes."""
    began = time.perf_counter()
    way()
    return time.perf_counter() - began


def told(best: Mapping[str, float], size: int, cores: int) -> Iterator[tuple[str, str, str]]:
    """Yield lines: what, how fast it is, and what it is to be."""
    limits = {f"{name}: scan": "4 or more" for name in UNITS}
    for name, took in best.items():
        yield name, f"{size / took / 1e9:.2f} GB/s", limits.get(name, "")
    for name, least in {"BF16": 3, "F8_E4M3": 8}.items():
        ratio = best[f"{name}: torch.isfinite"] / best[f"{name}: scan"]
        yield f"{name}: scan, times as fast as torch", f"{ratio:.1f}", f"{least} or more"
    for where in dict.fromkeys(("one thread", f"{cores} threads")):
        if f"sha256, {where}" in best:
            ratio = best[f"scan and sha256, {where}"] / best[f"sha256, {where}"]
            yield f"scan and sha256, times as long as sha256, {where}", f"{ratio:.2f}", "1.15 or less"


def sparse(folder: Path) -> int:
    """Verify a file of 20 GB that takes no room; return the peak memory in MB."""
    table = {"w": {"dtype": "BF16", "shape": [SPARSE // 2], "data_offsets": [0, SPARSE]}}
    header = json.dumps(table).encode().ljust(88)
    path = folder / "sparse.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    os.truncate(path, 8 + len(header) + SPARSE)
    result = timed([sys.executable, "-m", "weightlint", "verify", str(path)])
    path.unlink()
    assert result is not None
    return result[1]


def main() -> None:
    """Write the files, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        # a process is said to have at least the memory that the one had which started it, so this comes first
        peak = sparse(folder)
        written(folder, asked.gib)
        best: dict[str, float] = {}
        every = [*ways(folder, cores)]
        for _ in range(asked.rounds):
            for name, way in every:
                best[name] = min(best.get(name, float("inf")), seconds(way))
        lines = [*told(best, (folder / "BF16").stat().st_size, cores)]
        lines.append(("20 GB, sparse: peak memory", f"{peak} MB", "300 or less"))
    wide = max(len(what) for what, _, _ in lines) + 2
    for line in lines:
        print(f"{line[0]:{wide}}{line[1]:>12}   {line[2]}".rstrip())


if __name__ == "__main__":
    main()
