"""FP8 weights with one scale each, and with one for their inputs where `activation_scheme` is static.

vLLM and SGLang read `weight_scale` and `input_scale` (vllm 0.33.0, quantization/fp8.py), transformers writes `weight_scale_inv` and
`activation_scale` (5.24.0, integrations/finegrained_fp8.py FP8Linear without a block size); the tables are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.form import Form
from weightlint.modules import Listed
from weightlint.quant import Quant
from weightlint.quant_table import said, texts, word
from weightlint.scaled import DYNAMIC, FP8_NUMBERS, KV_SCALES, numbers, per_tensor, scale, single, spare
from weightlint.scheme import Scheme

if TYPE_CHECKING:
    from weightlint.quant import Table

SCHEMES = frozenset({"static", "dynamic"})


def form(*, static: bool, spelling: tuple[str, str] = ("weight_scale", "input_scale")) -> Form:
    """Return FP8 with a scale for each weight; the two names are those of its scale and of its inputs' scale."""
    weight, inputs = spelling
    return Form(
        name="fp8_tensor",
        bits=8,
        says=f"activation_scheme {'static' if static else 'dynamic'}",
        parts=(
            numbers(FP8_NUMBERS),
            scale(per_tensor, end=weight),
            single(inputs) if static else spare(inputs, DYNAMIC.why or ""),
        ),
    )


def read(table: Table) -> Scheme:
    """Read a table of FP8 without blocks."""
    static = word(table, "activation_scheme", SCHEMES, default="dynamic") == "static"
    return _scheme(table, form(static=static), _scheme(table, form(static=static, spelling=TRANSFORMERS)))


TRANSFORMERS = ("weight_scale_inv", "activation_scale")


def _scheme(table: Table, default: Form, *alike: Scheme) -> Scheme:
    plain = Listed(texts(table, "modules_to_not_convert", "ignored_layers"))
    return Scheme(
        default=default,
        groups=((plain, None),),
        free=frozenset({"head", "router"}),
        beside=KV_SCALES,
        alike=alike,
    )


def _table(scheme: str) -> Table:
    return {"quant_method": "fp8", "activation_scheme": scheme}


QUANT = Quant(
    name="fp8_tensor",
    title="FP8 with a scale for each weight",
    declared=lambda table: said(table, "quant_method") == "fp8" and table.get("weight_block_size") is None,
    read=read,
    guesses=(_table("static"), _table("dynamic")),
)
