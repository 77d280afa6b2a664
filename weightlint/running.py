"""How a checkpoint is meant to be run: the dtype of the computation, the device, the memory of each.

What users write is understood in the spellings of torch, vLLM, SGLang and LitGPT.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightlint.errors import UsageError, nearest

if TYPE_CHECKING:
    from weightlint.gpu import Gpu

SPELLINGS = {
    "auto": None,
    "float16": "F16", "half": "F16", "fp16": "F16", "f16": "F16", "16-true": "F16",
    "bfloat16": "BF16", "bf16": "BF16", "bf16-true": "BF16",
    "float32": "F32", "float": "F32", "fp32": "F32", "f32": "F32", "32-true": "F32",
}  # fmt: skip
DEVICES = ("cpu", "mps", "cuda", "rocm", "xpu", "npu", "hpu", "tpu", "auto")


@dataclass(frozen=True, slots=True)
class Running:
    """The dtype that weights are cast to, in the house's spelling, the device and what it is; None if not said."""

    dtype: str | None = None
    device: str | None = None
    gpu: Gpu | None = None


def running(
    dtype: str | None, device: str | None, *, gpu: str | None = None, gpu_memory: str | None = None
) -> Running:
    """Read what the user said of dtype, device and memory.

    Raises:
        UsageError: a word that stands for none of them.
    """
    return Running(
        _dtype(dtype) if dtype else None,
        _device(device) if device else None,
        _gpu(gpu, gpu_memory) if gpu or gpu_memory else None,
    )


def _gpu(name: str | None, memory: str | None) -> Gpu | None:
    from weightlint.gpu import chosen

    return chosen(name, memory)


def _dtype(word: str) -> str | None:
    known = word.lower().removeprefix("torch.")
    if known not in SPELLINGS:
        message = (
            f"--dtype {word}: no such dtype{nearest(known, SPELLINGS)}; there are float16, bfloat16, float32"
        )
        raise UsageError(message)
    return SPELLINGS[known]


def _device(word: str) -> str | None:
    known = word.lower().partition(":")[0]
    if known not in DEVICES:
        message = f"--device {word}: no such device{nearest(known, DEVICES)}; there are {', '.join(DEVICES)}"
        raise UsageError(message)
    return None if known == "auto" else known
