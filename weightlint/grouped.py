"""Forms of whole numbers in groups, packed into words: those of GPTQ, AWQ and the kernels that have a layout of their own.

For a weight `[out, in]`. Sources: GPTQModel nn_modules/qlinear/__init__.py; AutoAWQ awq/modules/linear/{gemm,gemv,gemv_fast,marlin}.py;
AutoGPTQ nn_modules/qlinear/qlinear_marlin.py.
"""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

from weightlint.dtype import FLOATS
from weightlint.expected import Presence
from weightlint.expr import ceil_div
from weightlint.form import WORDS, Form, Part

if TYPE_CHECKING:
    from weightlint.form import Dim

ORDER = frozenset({"I32", "I64"})
BIAS = ("bias",)
"""Packers write a bias of zeros for modules that have none."""

TILE = 16
"""Rows of a tile of Marlin."""


def gptq(bits: int, group: int, *, acts: bool = False, word: int = 32) -> Form:
    """Return GPTQ in words of so many bits, packed along the inputs; with `acts` the order of inputs must be there."""
    return Form(
        name="gptq",
        bits=bits,
        block=(1, max(group, 1)),
        word=(_in_word(bits, word), _in_word(bits, word)),
        says=f"bits {bits}, group_size {group}",
        stack=False,
        beside=BIAS,
        parts=(
            Part(end="qweight", dtypes=WORDS, sides=lambda out, into: (into.packed(bits, word), out)),
            Part(
                end="qzeros",
                dtypes=WORDS,
                sides=lambda out, into: (into.groups(group), out.packed(bits, word)),
            ),
            Part(end="scales", dtypes=FLOATS, sides=lambda out, into: (into.groups(group), out)),
            Part(
                end="g_idx",
                dtypes=ORDER,
                sides=lambda out, into: (into,),  # noqa: ARG005 -- every shape is of both sides
                need=Presence.REQUIRED if acts else Presence.OPTIONAL,
                why=None if acts else "the inputs are in order: desc_act is false",
            ),
        ),
    )


def gptq_marlin(bits: int, group: int) -> Form:
    """Return the layout of the kernel Marlin as AutoGPTQ and llm-compressor's forerunner wrote it: tiles of 16 rows."""
    return Form(
        name="gptq",
        bits=bits,
        block=(1, max(group, 1)),
        says=f"bits {bits}, group_size {group}, checkpoint_format marlin",
        stack=False,
        beside=(*BIAS, "workspace"),
        parts=(
            Part(
                end="B",
                dtypes=WORDS,
                sides=lambda out, into: (into.over(TILE), out.times(TILE * bits // 32)),
            ),
            Part(end="s", dtypes=FLOATS, sides=lambda out, into: (into.groups(group), out)),
        ),
    )


def awq(bits: int, group: int, *, zeros: bool = True) -> Form:
    """Return AWQ (gemm), packed along the outputs; without `zeros` it is symmetric and needs no zero points."""
    return Form(
        name="awq",
        bits=bits,
        block=(1, max(group, 1)),
        word=(_in_word(bits), 1),
        says=f"bits {bits}, group_size {group}",
        stack=False,
        beside=BIAS,
        parts=(
            Part(end="qweight", dtypes=WORDS, sides=lambda out, into: (into, out.packed(bits))),
            Part(
                end="qzeros",
                dtypes=WORDS,
                sides=lambda out, into: (into.groups(group), out.packed(bits)),
                need=Presence.REQUIRED if zeros else Presence.OPTIONAL,
                why=None if zeros else "zero_point is false",
            ),
            Part(end="scales", dtypes=FLOATS, sides=lambda out, into: (into.groups(group), out)),
        ),
    )


def awq_kernel(version: str, bits: int, group: int) -> Form:
    """Return AWQ in the layout of one kernel: gemv, gemv_fast or marlin."""
    pack = 32 // bits
    ends: tuple[Part, ...]

    def zeros(into: Dim) -> Dim:
        return _zeros_width(into, group, pack)

    if version == "gemv":
        ends = (
            Part(end="qweight", dtypes=WORDS, sides=lambda out, into: (out, into.packed(bits))),
            Part(end="qzeros", dtypes=WORDS, sides=lambda out, into: (out, zeros(into))),
            Part(end="scales", dtypes=FLOATS, sides=lambda out, into: (out, zeros(into).times(pack))),
        )
    elif version == "gemv_fast":
        ends = (
            Part(end="qweight", dtypes=frozenset({"I16"}), sides=lambda out, into: (out.over(4), into)),
            Part(end="qzeros", dtypes=FLOATS, sides=lambda out, into: (zeros(into).times(pack), out)),
            Part(end="scales", dtypes=FLOATS, sides=lambda out, into: (zeros(into).times(pack), out)),
        )
    else:
        ends = (
            Part(
                end="qweight",
                dtypes=WORDS,
                sides=lambda out, into: (into.over(TILE), out.times(TILE * bits // 32)),
            ),
            Part(end="scales", dtypes=FLOATS, sides=lambda out, into: (into.groups(group), out)),
        )
    return Form(
        name="awq",
        bits=bits,
        block=(1, max(group, 1)),
        says=f"bits {bits}, group_size {group}, version {version}",
        stack=False,
        beside=BIAS,
        parts=ends,
    )


def _zeros_width(into: Dim, group: int, pack: int) -> Dim:
    """Return the words of zero points of one output, filled up for small groups (AutoAWQ calculate_zeros_width)."""
    several = {64: 2, 32: 4}.get(group, 1)
    words = into.groups(group).over(pack)
    size = ceil_div(words.size, several) * several
    return words if size == words.size else words._replace(size=size, text=str(size))


def _in_word(bits: int, word: int = 32) -> int:
    """Return the fewest numbers that fill whole words."""
    return word // gcd(bits, word)
