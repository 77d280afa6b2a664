"""msmodelslim (Ascend): whole numbers of 8 bits, activations scaled by fixed numbers (W8A8) or as they come (W8A8_DYNAMIC).

For a weight `[out, in]`: `weight` I8 `[out, in]`; dynamic `weight_scale` and `weight_offset` `[out, 1]`; static `deq_scale` and
`quant_bias` `[out]`, `input_scale` and `input_offset` `[1]`. quant_model_description.json gives the type of each tensor. Sources: vllm-ascend
quantization/w8a8.py, w8a8_dynamic.py; the files of GLM-5.1-w8a8.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from weightlint.declarations import IN
from weightlint.expected import Presence
from weightlint.form import Form, Part
from weightlint.modules import Listed
from weightlint.quant import Quant
from weightlint.quant_table import said
from weightlint.scaled import INTEGERS, numbers, per_channel, scale, single
from weightlint.scheme import Scheme

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.modules import Modules
    from weightlint.quant import Table

KIND = "model_quant_type"
WHY = "the loader has the sums of both in deq_scale and quant_bias"


def _spare(end: str) -> Part:
    return Part(
        end=end,
        dtypes=frozenset({"F32", "F16", "BF16", "I32", "I8"}),
        sides=per_channel,
        ones=True,
        need=Presence.OPTIONAL,
        why=WHY,
    )


STATIC = Form(
    name="modelslim",
    bits=8,
    says="W8A8",
    stack=False,
    parts=(
        numbers(INTEGERS),
        scale(per_channel, end="deq_scale", dtypes=frozenset({"F32", "I64", "I32"})),
        scale(per_channel, end="quant_bias", dtypes=frozenset({"I32"})),
        single("input_scale"),
        single("input_offset", dtypes=frozenset({"F32", "F16", "BF16", "I8", "I32"})),
        _spare("weight_scale"),
        _spare("weight_offset"),
    ),
)
DYNAMIC = Form(
    name="modelslim",
    bits=8,
    says="W8A8_DYNAMIC",
    stack=False,
    parts=(numbers(INTEGERS), scale(per_channel), scale(per_channel, end="weight_offset")),
)
FORMS = {"FLOAT": None, "W8A8": STATIC, "W8A8_DYNAMIC": DYNAMIC}

BESIDE = {
    "*norm.bias": "msmodelslim shifts the inputs of a norm and takes it back there",
    "*norm.module.weight": "the norm before that shift",
    "*norm.module.bias": "the norm before that shift",
    "*.kv_cache_scale": "scale of the cache of keys and values",
    "*.kv_cache_offset": "zero point of the cache of keys and values",
    "rot.weight": "the rotation that the weights were multiplied with",
}


def read(table: Table) -> Scheme:
    """Read a description: the type of each tensor by its name; what it does not name is of the model's type."""
    usual = FORMS.get(said(table, KIND).upper(), DYNAMIC)
    return Scheme(
        default=usual,
        groups=tuple(_named(table)),
        free=frozenset({"head", "router"}),
        ways=tuple(form for form in (STATIC, DYNAMIC) if form is not usual),
        beside=BESIDE,
    )


def _named(table: Table) -> Iterator[tuple[Modules, Form | None]]:
    """Yield the weights of each type."""
    names: dict[str, list[str]] = defaultdict(list)
    for name, kind in table.items():
        if name.endswith(".weight") and isinstance(kind, str):
            names[kind].append(name)
    for kind, modules in names.items():
        yield Listed(modules, whole=True), FORMS[kind]


def _is_known(table: Table) -> bool:
    kinds = {str(kind) for name, kind in table.items() if name.endswith(".weight")}
    return kinds <= FORMS.keys()


QUANT = Quant(
    name="modelslim",
    title="msmodelslim",
    declared=lambda table: (
        said(table, "quant_method") in {"modelslim", "ascend"}
        and (IN in table or KIND in table or bool(table.keys() - {"quant_method"}))
        and _is_known(table)
    ),
    read=read,
    guesses=({"quant_method": "modelslim", KIND: "W8A8_DYNAMIC"},),
    file="quant_model_description.json",
)
