"""FP8 weights with a scale for each output, as FBGEMM and SGLang read them; inputs are scaled as they come.

Sources: transformers 5.24.0, integrations/fbgemm_fp8.py FbgemmFp8Linear; config keys in utils/quantization_config.py FbgemmFp8Config;
SGLang 0.5.23, quantization/w8a8_fp8.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.form import Form
from weightlint.modules import Listed
from weightlint.quant import Quant
from weightlint.quant_table import said, texts
from weightlint.scaled import DYNAMIC, FP8_NUMBERS, KV_SCALES, numbers, per_channel, scale, spare
from weightlint.scheme import Scheme

if TYPE_CHECKING:
    from weightlint.quant import Table

FORM = Form(
    name="fp8_channel",
    bits=8,
    parts=(
        numbers(FP8_NUMBERS),
        scale(per_channel),
        DYNAMIC,
        spare("input_scale_ub", "the upper bound is in the config"),
    ),
)


def read(table: Table) -> Scheme:
    """Read a table of FP8 by outputs."""
    return Scheme(
        default=FORM,
        groups=((Listed(texts(table, "modules_to_not_convert")), None),),
        free=frozenset({"head", "router"}),
        beside=KV_SCALES,
    )


QUANT = Quant(
    name="fp8_channel",
    title="FP8 with a scale for each output",
    declared=lambda table: said(table, "quant_method") in {"fbgemm_fp8", "w8a8_fp8"},
    read=read,
)
