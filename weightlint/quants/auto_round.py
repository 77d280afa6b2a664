"""AutoRound: numbers that Intel's rounding chose, packed as GPTQ or AWQ packs them.

`packing_format` (`auto_round:auto_gptq`, `auto_round:auto_awq`) says how, `extra_config` has modules with settings of their own; 16 bits and more
are plain. Sources: auto-round 0.9 export/export_to_autoround, inference/convert_model.py; vLLM 0.33 quantization/inc.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from weightlint.grouped import awq, gptq
from weightlint.modules import AnyOf, Listed, Matching, regexes
from weightlint.quant import Quant
from weightlint.quant_table import BITS, GROUPS, bits_and_group, inner, said, texts, whole
from weightlint.scaled import KV_SCALES
from weightlint.scheme import Scheme

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.form import Form
    from weightlint.modules import Modules
    from weightlint.quant import Table

PACKING = "packing_format"
PLAIN_BITS = 16


def _form(table: Table) -> Form:
    bits, group = bits_and_group(table)
    if "awq" in _packing(table):
        return awq(bits, group)
    return gptq(bits, group)


def _packing(table: Table) -> str:
    return said(table, PACKING) or said(table, "backend")


def read(table: Table) -> Scheme:
    """Read a table of AutoRound."""
    return Scheme(
        default=_form(table),
        groups=(*_extra(table), *_outside(table), (Listed(texts(table, "modules_to_not_convert")), None)),
        free=frozenset({"head", "router"}),
        beside=KV_SCALES,
    )


def _extra(table: Table) -> Iterator[tuple[Modules, Form | None]]:
    """Yield the modules that have settings of their own, by name or by expression."""
    for key, own in inner(table, "extra_config").items():
        if not isinstance(own, dict):
            continue
        plain = whole(own, "bits", at=f"extra_config.{key}.", default=0) >= PLAIN_BITS
        name = re.escape(key).replace(r"\.", ".") == key
        modules = Listed([key], whole=True) if name else regexes([f".*{key}"])
        yield modules, None if plain else _form({**table, **own})


def _outside(table: Table) -> Iterator[tuple[Modules, Form | None]]:
    """Yield what lies outside of the blocks that were quantised; heads may be."""
    listed = table.get("block_name_to_quantize")
    blocks = listed.split(",") if isinstance(listed, str) else list(texts(table, "block_name_to_quantize"))
    if blocks:
        inside = tuple(f"{block.strip()}." for block in blocks)
        yield AnyOf((Matching(lambda name: not name.startswith((*inside, "lm_head")), numbers=False),)), None


QUANT = Quant(
    name="auto_round",
    title="AutoRound",
    declared=lambda table: (
        (
            said(table, "quant_method") in {"auto-round", "auto_round", "intel/auto-round", "inc"}
            or PACKING in table
        )
        and not any(word in _packing(table) for word in ("fp8", "compressor", "mxfp", "nvfp"))
        and said(table, "data_type") in {"", "int", "int_sym"}
    ),
    read=read,
    borrows=True,
    guesses=tuple(
        {"quant_method": "auto-round", "bits": bits, "group_size": group, PACKING: f"auto_round:{packing}"}
        for packing in ("auto_gptq", "auto_awq")
        for bits in BITS
        for group in GROUPS
    ),
)
