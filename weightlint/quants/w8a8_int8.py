"""W8A8 in whole numbers, as SGLang reads it: a scale for each output.

For a weight `[out, in]`: `weight` I8 `[out, in]`, `weight_scale` `[out, 1]`. Source: SGLang 0.5.23 srt/layers/quantization/w8a8_int8.py.
"""

from __future__ import annotations

from weightlint.form import Form
from weightlint.modules import Listed
from weightlint.quant import Quant
from weightlint.quant_table import said, texts
from weightlint.scaled import DYNAMIC, INTEGERS, KV_SCALES, numbers, per_channel, scale
from weightlint.scheme import Scheme

FORM = Form(
    name="w8a8_int8",
    bits=8,
    says="a scale for each output",
    parts=(numbers(INTEGERS), scale(per_channel), DYNAMIC),
)

QUANT = Quant(
    name="w8a8_int8",
    title="W8A8 in whole numbers",
    declared=lambda table: said(table, "quant_method") == "w8a8_int8",
    read=lambda table: Scheme(
        default=FORM,
        groups=((Listed(texts(table, "modules_to_not_convert", "ignore")), None),),
        free=frozenset({"head", "router"}),
        beside=KV_SCALES,
    ),
    guesses=({"quant_method": "w8a8_int8"},),
    borrows=True,
)
