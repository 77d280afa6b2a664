"""FP8 weights with one scale per block, as DeepSeek-V3 introduced them.

Each linear or expert weight `[out, in]` is F8_E4M3 and has a sister `<weight>_scale_inv` of
`[ceil(out / bo), ceil(in / bi)]`, a multiplier despite its name. Source: DeepSeek-V3 README_WEIGHTS.md, inference/kernel.py; config
keys as in transformers, utils/quantization_config.py FineGrainedFP8Config.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.config import BadFieldError
from weightlint.form import Form, Part
from weightlint.modules import Listed
from weightlint.quant import Quant
from weightlint.quant_table import said, texts
from weightlint.scaled import KV_SCALES, POWERS
from weightlint.scheme import Scheme

if TYPE_CHECKING:
    from weightlint.quant import Table

WEIGHTS = frozenset({"F8_E4M3"})
SCALES = frozenset({"F32", "BF16", "F16", "F8_E8M0"})
"""F32 in DeepSeek and Kimi, BF16 in Qwen3-FP8, F8_E8M0 in DeepSeek-V4; with `scale_fmt` ue8m0 V3.1 has F32 all the same."""

MX_BLOCK = (1, 32)
"""MXFP8: 32 inputs share a power of two, whose exponent may be stored as U8."""

FIELD = "quantization_config.weight_block_size"


def block(table: Table) -> tuple[int, int]:
    """Return the block size `(out, in)` that a quantisation table declares.

    Raises:
        BadFieldError: it is no pair of whole numbers above 0.
    """
    size = table.get("weight_block_size")
    if size is None and said(table, "quant_method") == "mxfp8":
        return MX_BLOCK
    if isinstance(size, list | tuple) and len(size) == 2 and all(type(n) is int and n > 0 for n in size):
        return size[0], size[1]
    raise BadFieldError(FIELD, f"is {size}, not two whole numbers above 0")


def form(rows: int, columns: int, *, powers: bool = False) -> Form:
    """Return FP8 with a scale for each block of so many rows and columns; with `powers` it may be an exponent."""
    return Form(
        name="fp8_block",
        bits=8,
        block=(rows, columns),
        says=f"weight_block_size [{rows}, {columns}]",
        parts=(
            Part(end="weight", dtypes=WEIGHTS, sides=lambda out, into: (out, into)),
            Part(
                end="weight_scale_inv",
                dtypes=SCALES | POWERS if powers or (rows, columns) == MX_BLOCK else SCALES,
                sides=lambda out, into: (out.over(rows), into.over(columns)),
            ),
        ),
    )


def read(table: Table) -> Scheme:
    """Read a table of FP8 in blocks."""
    plain = Listed(texts(table, "modules_to_not_convert", "ignored_layers"))
    default = form(*block(table), powers=said(table, "scale_fmt") == "ue8m0")
    return Scheme(default=default, groups=((plain, None),), mtp=False, beside=KV_SCALES)


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
