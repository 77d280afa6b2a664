"""FP8 weights with one scale per block, as DeepSeek-V3 introduced them.

Each linear or expert weight `[out, in]` is F8_E4M3 and has a sister `<weight>_scale_inv` of
`[ceil(out / bo), ceil(in / bi)]`, a multiplier despite its name. Source: DeepSeek-V3 README_WEIGHTS.md, inference/kernel.py; config
keys as in transformers, utils/quantization_config.py FineGrainedFP8Config. DeepSeek-V4 calls the scales `<module>.scale` and has its
experts in FP4 (`expert_dtype`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.form import Form, Part
from weightlint.modules import Listed, OfKind
from weightlint.quant import Quant
from weightlint.quant_table import pair, said, texts, word
from weightlint.scaled import KV_SCALES, POWERS
from weightlint.scheme import Scheme

if TYPE_CHECKING:
    from weightlint.quant import Table

WEIGHTS = frozenset({"F8_E4M3"})
SCALES = frozenset({"F32", "BF16", "F16", "F8_E8M0"})
"""F32 in DeepSeek and Kimi, BF16 in Qwen3-FP8, F8_E8M0 in DeepSeek-V4; with `scale_fmt` ue8m0 V3.1 has F32 all the same."""

MX_BLOCK = (1, 32)
"""MXFP8: 32 inputs share a power of two, whose exponent may be stored as U8."""

SCALE = "weight_scale_inv"
FP4_GROUP = 32
"""Inputs that share a scale. Source: transformers, integrations/finegrained_fp8.py FP8Experts."""


def block(table: Table) -> tuple[int, int]:
    """Return the block size `(out, in)` that a quantisation table declares.

    Raises:
        BadFieldError: it is no pair of whole numbers above 0.
    """
    if table.get("weight_block_size") is None and said(table, "quant_method") == "mxfp8":
        return MX_BLOCK
    return pair(table, "weight_block_size")


def form(rows: int, columns: int, scale: str = SCALE, *, powers: bool = False) -> Form:
    """Return FP8 with a scale, whose name ends so, for each block of so many rows and columns.

    With `powers` a scale may be an exponent.
    """
    return Form(
        name="mxfp8" if (rows, columns) == MX_BLOCK else "fp8_block",
        bits=8,
        block=(rows, columns),
        says=f"weight_block_size [{rows}, {columns}]",
        parts=(
            Part(end="weight", dtypes=WEIGHTS, sides=lambda out, into: (out, into)),
            Part(
                end=scale,
                dtypes=SCALES | POWERS if powers or (rows, columns) == MX_BLOCK else SCALES,
                sides=lambda out, into: (out.over(rows), into.over(columns)),
            ),
        ),
    )


def fp4(scale: str) -> Form:
    """Return FP4 (E2M1), two numbers to a byte along the inputs, with a scale for each 32 of a row."""
    return Form(
        name="fp4",
        bits=4,
        block=(1, FP4_GROUP),
        says="expert_dtype fp4",
        parts=(
            Part(
                end="weight", dtypes=frozenset({"I8", "U8"}), sides=lambda out, into: (out, into.packed(4, 8))
            ),
            Part(end=scale, dtypes=SCALES | POWERS, sides=lambda out, into: (out, into.over(FP4_GROUP))),
        ),
    )


def read(table: Table) -> Scheme:
    """Read a table of FP8 in blocks.

    Raises:
        BadFieldError: a value cannot be.
    """
    plain = Listed(texts(table, "modules_to_not_convert", "ignored_layers"))
    scale = word(table, "scale_name", {SCALE, "scale"}, default=SCALE)
    experts = word(table, "expert_dtype", {"fp8", "fp4"}, default="fp8")
    packed = ((OfKind(frozenset({"expert"})), fp4(scale)),) if experts == "fp4" else ()
    default = form(*block(table), scale, powers=said(table, "scale_fmt") == "ue8m0")
    return Scheme(default=default, groups=((plain, None), *packed), mtp=False, beside=KV_SCALES)


def _table(rows: int, columns: int) -> Table:
    return {"quant_method": "fp8", "weight_block_size": [rows, columns]}


SIZES = [1 << power for power in range(11)]

QUANT = Quant(
    name="fp8_block",
    title="FP8 in blocks",
    declared=lambda table: (
        said(table, "quant_method") == "mxfp8"
        or (said(table, "quant_method") == "fp8" and table.get("weight_block_size") is not None)
    ),
    read=read,
    guesses=(
        _table(128, 128),
        *(_table(size, size) for size in SIZES if size != 128),
        *(_table(*block) for size in SIZES for block in ((1, size), (size, 1))),
    ),
)
