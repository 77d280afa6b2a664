"""GPTQ: whole numbers of few bits, packed into words along the inputs.

`qweight`, `qzeros`, `scales`, and `g_idx` with the group of each input. Config keys as in transformers, utils/
quantization_config.py GPTQConfig, quantize_config.json of AutoGPTQ, and GPTQModel quantization/config.py. Formats 1 and 2 differ in the
values of the zero points only.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from weightlint.grouped import gptq, gptq_marlin
from weightlint.modules import Listed, Matching, regexes
from weightlint.quant import Quant
from weightlint.quant_table import BITS, GROUPS, bad, bits_and_group, inner, said, texts
from weightlint.scaled import KV_SCALES
from weightlint.scheme import Scheme

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.form import Form
    from weightlint.modules import Modules
    from weightlint.quant import Table

WORD = "pack_dtype"
WORD_BITS = {"": 32, "int32": 32, "int64": 64, "int16": 16, "int8": 8}
METHODS = frozenset({"gptq", "gptq_v2", "gptq_marlin"})
LAYOUTS = frozenset({"", "gptq", "gptq_v2", "marlin"})


def read(table: Table) -> Scheme:
    """Read a table of GPTQ."""
    return Scheme(
        default=_form(table),
        groups=(
            *_dynamic(table),
            *_others(table),
            (Listed(texts(table, "modules_to_not_convert")), None),
        ),
        free=frozenset({"head", "router"}),
        beside=KV_SCALES,
    )


def _form(table: Table) -> Form:
    bits, group = bits_and_group(table)
    if _layout(table) == "marlin":
        return gptq_marlin(bits, group)
    word = WORD_BITS.get(said(table, WORD).removeprefix("torch."))
    if word is None or word < bits:
        raise bad(WORD, f"is {said(table, WORD)!r}, not one of {', '.join(sorted(WORD_BITS)).strip(', ')}")
    return gptq(bits, group, acts=table.get("desc_act") is True, word=word)


def _layout(table: Table) -> str:
    if table.get("is_marlin_format") is True:
        return "marlin"
    return said(table, "checkpoint_format") or said(table, "format")


def _dynamic(table: Table) -> Iterator[tuple[Modules, Form | None]]:
    """Yield GPTQModel's exceptions: `-:expression` stays plain, `+:expression` or no mark has settings of its own."""
    for key, own in inner(table, "dynamic").items():
        modules = regexes([key.removeprefix("+:").removeprefix("-:")])
        if key.startswith("-:"):
            yield modules, None
        elif isinstance(own, dict):
            yield modules, _form({**table, **own})


def _others(table: Table) -> Iterator[tuple[Modules, Form | None]]:
    """Yield what stays plain where transformers was told which modules of a block to quantise."""
    listed = table.get("modules_in_block_to_quantize")
    flat = (
        [it for each in listed for it in (each if isinstance(each, list) else [each])]
        if isinstance(listed, list)
        else []
    )
    ends = tuple(it for it in flat if isinstance(it, str))
    if ends:
        yield Matching(partial(_is_other, ends), numbers=False), None


def _is_other(ends: tuple[str, ...], name: str) -> bool:
    return not name.endswith(ends)


QUANT = Quant(
    name="gptq",
    title="GPTQ",
    declared=lambda table: (
        said(table, "quant_method") in METHODS
        and said(table, "packing_format") == ""
        and _layout(table) in LAYOUTS
    ),
    read=read,
    guesses=(
        *(
            {"quant_method": "gptq", "bits": bits, "group_size": group}
            for bits in sorted(BITS, key=lambda bits: (bits != 4, -bits))
            for group in GROUPS
        ),
        *(
            {"quant_method": "gptq", "bits": bits, "group_size": group, "checkpoint_format": "marlin"}
            for bits in (4, 8)
            for group in (128, -1)
        ),
        *(
            {"quant_method": "gptq", "bits": bits, "group_size": group, "checkpoint_format": "gptq"}
            for bits in (4, 8)
            for group in (128, -1)
        ),
    ),
)
