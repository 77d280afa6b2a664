"""Element types that a release, a GPU or a device cannot use: what a limit is, and those of hardware.

A loader's own limits stand in its file; of types that it names none of these hold, since it may have a way
around them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightlint.dtype import FP8

if TYPE_CHECKING:
    from weightlint.loader import Release
    from weightlint.running import Running

BF16 = frozenset({"BF16"})
NATIVE_FP8 = (8, 9)
"""Ada and Hopper; source: vLLM 0.33.0, platforms/cuda.py supports_fp8."""
NATIVE_BF16 = (8, 0)
"""Ampere; source: vLLM 0.8.4, worker/worker.py _check_if_gpu_supports_dtype."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Types that cannot be used: below a compute capability, on some devices, or by a range of releases.

    `dtypes` are the types, `experts` tells whether only experts (True) or all but them (False) are meant,
    `formats` in which files. With `computed`, what counts is the type of the computation. Where `falls_to`
    is given the loader takes that type instead, unless the user asked for the other. `says` is the error as the
    loader prints it.
    """

    dtypes: frozenset[str]
    why: str
    cure: str
    span: str = ""
    below: tuple[int, int] | None = None
    devices: frozenset[str] = frozenset()
    experts: bool | None = None
    formats: frozenset[str] = frozenset({"safetensors", "torch", "dcp", "snapshot"})
    computed: bool = False
    falls_to: str | None = None
    says: str = ""

    def holds(self, running: Running, loader: Release | None) -> bool:
        """Tell whether it holds for this release on this hardware; what is not known limits nothing."""
        if self.span and (loader is None or not loader.within(self.span)):
            return False
        if self.computed and running.dtype not in {None, *self.dtypes}:
            return False
        if self.below is not None:
            capability = running.gpu.capability if running.gpu else None
            return capability is not None and capability < self.below
        return not self.devices or running.device in self.devices


HARDWARE = (
    Limit(
        dtypes=FP8,
        below=NATIVE_FP8,
        why="it multiplies no FP8 (that begins with sm89), and Triton has no such type for it",
        says="type fp8e4nv not supported in this architecture",
        cure="take the BF16 copy of the model, or a GPU from sm89 on; name the loader with --loader: some unpack FP8 "
        "for older GPUs",
    ),
    Limit(
        dtypes=FP8,
        devices=frozenset({"mps"}),
        why="PyTorch has no float8 on MPS",
        says="Trying to convert Float8_e4m3fn to the MPS backend but it does not have support for that dtype.",
        cure="take the BF16 copy of the model, or a GGUF or MLX conversion of it",
    ),
    Limit(
        dtypes=BF16,
        below=NATIVE_BF16,
        computed=True,
        why="it computes no bfloat16 (that begins with sm80)",
        says="Bfloat16 is only supported on GPUs with compute capability of at least 8.0",
        cure="run it with --dtype float16, if the model bears it (WL404), or on a GPU from sm80 on",
    ),
)


def limits_of(loader: Release | None) -> tuple[Limit, ...]:
    """Return the limits of a loader, and those of hardware for types that it does not speak of."""
    own = loader.loader.limits if loader is not None else ()
    spoken = {bool(limit.devices): frozenset[str]() for limit in HARDWARE}
    for limit in own:
        spoken[bool(limit.devices)] |= limit.dtypes
    return (*own, *(limit for limit in HARDWARE if not limit.dtypes <= spoken[bool(limit.devices)]))


def fallback(running: Running, loader: Release | None) -> str | None:
    """Return the type that a loader computes with in the place of one that the GPU does not have."""
    if running.dtype is not None:
        return None
    held = (limit for limit in limits_of(loader) if limit.computed and limit.holds(running, loader))
    return next((limit.falls_to for limit in held), None)
