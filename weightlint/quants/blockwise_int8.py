"""Whole numbers of 8 bits with one scale per block, as SGLang reads them: FP8 in blocks with another type.

For a weight `[out, in]`: `weight` I8 `[out, in]`, `weight_scale_inv` `[ceil(out / bo), ceil(in / bi)]`. Source: SGLang 0.5.23
srt/layers/quantization/blockwise_int8.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.form import Form
from weightlint.modules import Listed
from weightlint.quant import Quant
from weightlint.quant_table import pair, said, texts
from weightlint.scaled import DYNAMIC, INTEGERS, KV_SCALES, numbers, per_block, scale
from weightlint.scheme import Scheme

if TYPE_CHECKING:
    from weightlint.quant import Table

BLOCK = "weight_block_size"


def read(table: Table) -> Scheme:
    """Read a table of whole numbers in blocks."""
    rows, columns = pair(table, BLOCK)
    form = Form(
        name="blockwise_int8",
        bits=8,
        block=(rows, columns),
        says=f"{BLOCK} [{rows}, {columns}]",
        parts=(numbers(INTEGERS), scale(per_block(rows, columns), end="weight_scale_inv"), DYNAMIC),
    )
    plain = Listed(texts(table, "modules_to_not_convert", "ignored_layers"))
    return Scheme(default=form, groups=((plain, None),), free=frozenset({"head"}), beside=KV_SCALES)


QUANT = Quant(
    name="blockwise_int8",
    title="INT8 in blocks",
    declared=lambda table: said(table, "quant_method") == "blockwise_int8",
    read=read,
    guesses=tuple({"quant_method": "blockwise_int8", BLOCK: [size, size]} for size in (128, 64, 32, 16)),
)
