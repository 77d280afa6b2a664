"""Sound files for tests of `weightlint verify`, one byte of damage, and what a report says of both."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save

from weightlint import api

if TYPE_CHECKING:
    from pathlib import Path

    from weightlint.finding import Finding, Report


def weights(seed: int, rows: int = 64) -> bytes:
    """Return a safetensors file with one tensor of normal numbers."""
    values = np.random.default_rng(seed).standard_normal((rows, 256)).astype(np.float32)
    return save({f"model.layers.{seed}.mlp.down_proj.weight": values})


def shards(count: int) -> dict[str, bytes]:
    """Return the shards of a checkpoint by name."""
    return {f"model-{at + 1:05d}-of-{count:05d}.safetensors": weights(at) for at in range(count)}


def laid(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files into a folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def flip(path: Path, back: int = 77) -> None:
    """Change the lowest bit of one number, so many bytes before the end of a file, and keep its dates."""
    import os

    state = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) - back // 4 * 4] ^= 1
    real = path.resolve()
    real.chmod(0o644)
    real.write_bytes(data)
    os.utime(real, ns=(state.st_atime_ns, state.st_mtime_ns))


def sha256(data: bytes) -> str:
    """Return the sha256 of some bytes in hex."""
    return hashlib.sha256(data).hexdigest()


def silent(target: Path, **options: Any) -> Report:
    """Verify what must be sound."""
    report = api.verify(str(target), **options)
    assert report.findings == ()
    assert report.exit_code() == 0
    return report


def blamed(target: Path, file: str, origin: str, **options: Any) -> Finding:
    """Verify what has one wrong file; it must be the one finding, with the source that says so."""
    (found,) = api.verify(str(target), **options).findings
    assert (found.code, found.place.files) == ("WL705", (file,))
    assert origin in found.message
    return found
