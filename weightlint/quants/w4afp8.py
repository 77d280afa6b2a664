"""W4AFP8: experts of four bits in groups, all other weights FP8 in blocks, as SGLang reads DeepSeek models.

Experts `[out, in]` are I8 `[out, in / 2]` with `weight_scale_inv` `[out, in / 128]`. Source: SGLang 0.5.23, quantization/w4afp8.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.form import Form, Part
from weightlint.modules import Listed, OfKind
from weightlint.quant import Quant
from weightlint.quant_table import above_zero, pair, said, texts
from weightlint.scaled import DYNAMIC, FP8_NUMBERS, KV_SCALES, numbers, per_block, per_group, scale
from weightlint.scheme import Scheme

if TYPE_CHECKING:
    from weightlint.quant import Table

SCALES = "weight_scale_inv"


def read(table: Table) -> Scheme:
    """Read a table of W4AFP8."""
    group = above_zero(table, "group_size", default=128)
    block = pair({"weight_block_size": [128, 128], **table}, "weight_block_size")
    experts = Form(
        name="w4afp8",
        bits=4,
        block=(1, group),
        says=f"group_size {group}",
        parts=(
            Part(
                end="weight",
                dtypes=frozenset({"I8", "U8"}),
                sides=lambda out, into: (out, into.packed(4, 8)),
            ),
            scale(per_group(group), end=SCALES),
            DYNAMIC,
        ),
    )
    others = Form(
        name="w4afp8",
        bits=8,
        block=block,
        says=f"weight_block_size {list(block)}",
        parts=(numbers(FP8_NUMBERS), scale(per_block(*block), end=SCALES)),
    )
    plain = Listed(texts(table, "modules_to_not_convert", "ignored_layers"))
    return Scheme(
        default=others, groups=((plain, None), (OfKind(frozenset({"expert"})), experts)), beside=KV_SCALES
    )


QUANT = Quant(
    name="w4afp8",
    title="W4AFP8",
    declared=lambda table: said(table, "quant_method") == "w4afp8",
    read=read,
    guesses=tuple({"quant_method": "w4afp8", "group_size": group} for group in (128, 64, 32)),
)
