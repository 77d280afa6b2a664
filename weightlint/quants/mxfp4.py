"""MXFP4 as gpt-oss has it: experts in one tensor, `_blocks` of 32 numbers in 16 bytes and `_scales` of one byte each.

Sources: transformers 5.24.0, integrations/mxfp4.py; vllm 0.33.0, models/gpt_oss.py. The numbers lie along the inputs, whichever way round
the plain weight is stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.form import Dim, Form, Part
from weightlint.modules import Listed
from weightlint.quant import Quant
from weightlint.quant_table import said, texts
from weightlint.scaled import POWERS
from weightlint.scheme import Scheme

if TYPE_CHECKING:
    from weightlint.quant import Table

BLOCK = 32
BYTES = Dim(BLOCK // 2, str(BLOCK // 2))

FORM = Form(
    name="mxfp4",
    bits=4,
    block=(1, BLOCK),
    parts=(
        Part(
            end="weight_blocks",
            dtypes=frozenset({"U8"}),
            sides=lambda out, into: (out, into.over(BLOCK), BYTES),
        ),
        Part(end="weight_scales", dtypes=POWERS, sides=lambda out, into: (out, into.over(BLOCK))),
    ),
)


def read(table: Table) -> Scheme:
    """Read a table of MXFP4."""
    plain = Listed(texts(table, "modules_to_not_convert"))
    return Scheme(default=FORM, groups=((plain, None),), kinds=frozenset({"expert"}))


QUANT = Quant(
    name="mxfp4",
    title="MXFP4",
    declared=lambda table: said(table, "quant_method") in {"mxfp4", "gpt_oss_mxfp4"},
    read=read,
    guesses=({"quant_method": "mxfp4"},),
)
