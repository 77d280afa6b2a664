"""EETQ: whole numbers of 8 bits with a scale for each output, kept as its kernel wants them: inputs first.

For a weight `[out, in]`: `weight` I8 `[in, out]`, `weight_scales` `[out]`. Source: transformers 5 integrations/eetq.py.
"""

from __future__ import annotations

from weightlint.form import Form, Part
from weightlint.modules import Listed
from weightlint.quant import Quant
from weightlint.quant_table import said, texts
from weightlint.scaled import INTEGERS, KV_SCALES, per_channel, scale
from weightlint.scheme import Scheme

FORM = Form(
    name="eetq",
    bits=8,
    says="int8",
    stack=False,
    parts=(
        Part(end="weight", dtypes=INTEGERS, sides=lambda out, into: (into, out)),
        scale(per_channel, end="weight_scales"),
    ),
)

QUANT = Quant(
    name="eetq",
    title="EETQ",
    declared=lambda table: said(table, "quant_method") == "eetq",
    read=lambda table: Scheme(
        default=FORM,
        groups=((Listed(texts(table, "modules_to_not_convert")), None),),
        free=frozenset({"head", "router"}),
        beside=KV_SCALES,
    ),
    guesses=({"quant_method": "eetq", "weights": "int8"},),
)
