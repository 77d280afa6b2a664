"""Which dtypes a parameter takes, where a framework asks at all: torch itself casts whatever it is given."""

from __future__ import annotations

from weightlint.loading.outcome import Failure

RANKS = {
    "float8_e4m3fn": 0,
    "float8_e5m2": 0,
    "float8_e8m0fnu": 0,
    "float16": 1,
    "bfloat16": 1,
    "float32": 2,
    "float64": 3,
}
"""Precision of dtypes as SGLang compares them: sglang/srt/layers/parameter.py, _dtype_rank."""

EIGHT_BITS = ("float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu")
SCALARS = {
    "float8_e4m3fn": "Float8_e4m3fn",
    "float8_e5m2": "Float8_e5m2",
    "float8_e8m0fnu": "Float8_e8m0fnu",
    "float16": "Half",
    "bfloat16": "BFloat16",
    "float32": "Float",
    "float64": "Double",
    "int8": "Char",
    "uint8": "Byte",
    "int16": "Short",
    "int32": "Int",
    "int64": "Long",
    "bool": "Bool",
}
"""torch's names of the types of single numbers."""


def refused(param: str, tensor: str) -> Failure | None:
    """Refuse to copy a dtype into one of less precision, or one that is no floating point: `copy_with_check` there."""
    if param == tensor:
        return None
    both = f"target.dtype=torch.{param}, loaded_weight.dtype=torch.{tensor}"
    room, have = RANKS.get(param), RANKS.get(tensor)
    if room is None or have is None:
        return Failure("ValueError", f"Unsupported copy between dtypes: {both}")
    return Failure("ValueError", f"Downcasting not allowed: {both}") if room < have else None


def promoted(first: str, second: str) -> Failure | None:
    """Refuse to put tensors of different dtypes together where one has 8 bits, as `torch.cat` does."""
    if first == second or not {first, second}.intersection(EIGHT_BITS):
        return None
    names = f"{SCALARS.get(first, first)} and {SCALARS.get(second, second)}"
    return Failure(
        "RuntimeError", f"Promotion for Float8 Types is not supported, attempted to promote {names}"
    )
