"""Parts of weights that have scales beside them: how many scales there are, and how small numbers are packed.

Names and shapes are those of compressed-tensors (quantization/lifecycle/initialize.py, compressors/), ModelOpt, Quark and
transformers' FP8, which differ in which of these parts they write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.dtype import FLOATS
from weightlint.expected import Presence
from weightlint.form import ONE, WORDS, Dim, Part

if TYPE_CHECKING:
    from collections.abc import Callable

    Sides = Callable[[Dim, Dim], tuple[Dim, ...]]

FP8_NUMBERS = frozenset({"F8_E4M3"})
INTEGERS = frozenset({"I8"})
PACKED_FP4 = frozenset({"U8"})
POWERS = frozenset({"U8", "F8_E8M0"})
"""Scales that are powers of two: the exponent as a byte, or as the type that means the same."""

TWO = Dim(2, "2")
ANY = frozenset({"I8", "U8", "I32", "I64", "F8_E4M3", *FLOATS})


def per_tensor(out: Dim, into: Dim) -> tuple[Dim, ...]:  # noqa: ARG001 -- every shape is of both sides
    """Return the shape of one scale for all."""
    return ()


def per_channel(out: Dim, into: Dim) -> tuple[Dim, ...]:  # noqa: ARG001 -- every shape is of both sides
    """Return the shape of one scale for each output."""
    return out, ONE


def per_group(size: int) -> Sides:
    """Return the shape of one scale for so many inputs of each output, -1 for all of them."""
    return lambda out, into: (out, into.groups(size))


def per_block(rows: int, columns: int) -> Sides:
    """Return the shape of one scale for so many outputs by so many inputs."""
    return lambda out, into: (out.over(rows), into.over(columns))


def numbers(dtypes: frozenset[str], *, end: str = "weight") -> Part:
    """Return the weight itself, one number for each element."""
    return Part(end=end, dtypes=dtypes, sides=lambda out, into: (out, into))


def fp4(*, end: str = "weight") -> Part:
    """Return numbers of four bits, two in a byte along the inputs."""
    return Part(end=end, dtypes=PACKED_FP4, sides=lambda out, into: (out, into.packed(4, 8)))


def words(bits: int) -> Part:
    """Return numbers of some bits, close together in words of 32 bits along the inputs."""
    return Part(end="weight_packed", dtypes=WORDS, sides=lambda out, into: (out, into.packed(bits)))


def scale(sides: Sides, *, end: str = "weight_scale", dtypes: frozenset[str] = FLOATS) -> Part:
    """Return the scales of a weight; where there is one for each output, `[out]` is `[out, 1]`."""
    few = sides is per_tensor or sides is per_channel
    return Part(end=end, dtypes=dtypes, sides=sides, ones=few)


def single(end: str, *, why: str | None = None, dtypes: frozenset[str] = FLOATS) -> Part:
    """Return one number for the whole weight; it may be absent if it is said why."""
    need = Presence.REQUIRED if why is None else Presence.OPTIONAL
    return Part(end=end, dtypes=dtypes, sides=per_tensor, ones=True, need=need, why=why)


def spare(end: str, why: str, *, dtypes: frozenset[str] = ANY) -> Part:
    """Return a part that some write and nobody reads, whatever its shape."""
    return Part(
        end=end, dtypes=dtypes, sides=per_tensor, need=Presence.OPTIONAL, why=why, opaque=True, idle=True
    )


DYNAMIC = spare("input_scale", "activations are scaled as they come")
"""A scale of activations that a loader does not read."""

KV_SCALES = {
    f"*.{of}_{what}": "scale of the cache of keys and values: 1 where there is none"
    for of in ("q", "k", "v", "kv")
    for what in ("scale", "zero_point", "global_scale")
}
"""Scales of a quantised cache, beside `k_proj` and `v_proj` or in the attention module."""
