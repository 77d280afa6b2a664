"""GPTQ: whole numbers of few bits, packed into words of 32 bits along the inputs.

For a weight `[out, in]`: `qweight` I32 `[in * bits / 32, out]`, `qzeros` I32 `[in / group, out * bits / 32]`, `scales` F16
`[in / group, out]`, `g_idx` I32 `[in]` with the group of each input. Sources: GPTQModel nn_modules/qlinear/__init__.py; config keys as in
transformers, utils/quantization_config.py GPTQConfig, and quantize_config.json of AutoGPTQ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weightlint.dtype import FLOATS
from weightlint.expected import Presence
from weightlint.form import WORDS, Form, Part
from weightlint.modules import Listed, regexes
from weightlint.quant import Quant
from weightlint.quant_table import BITS, GROUPS, bits_and_group, said, texts
from weightlint.scheme import Scheme

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.modules import Modules
    from weightlint.quant import Table


def form(bits: int, group: int, *, acts: bool = False) -> Form:
    """Return GPTQ of some bits and group size (-1: one group); with `acts` the order of inputs must be there."""
    return Form(
        name="gptq",
        bits=bits,
        block=(1, max(group, 1)),
        says=f"bits {bits}, group_size {group}",
        parts=(
            Part(end="qweight", dtypes=WORDS, sides=lambda out, into: (into.packed(bits), out)),
            Part(end="qzeros", dtypes=WORDS, sides=lambda out, into: (into.groups(group), out.packed(bits))),
            Part(end="scales", dtypes=FLOATS, sides=lambda out, into: (into.groups(group), out)),
            Part(
                end="g_idx",
                dtypes=frozenset({"I32", "I64"}),
                sides=lambda out, into: (into,),  # noqa: ARG005 -- every shape is of both sides
                need=Presence.REQUIRED if acts else Presence.OPTIONAL,
                why=None if acts else "the inputs are in order: desc_act is false",
            ),
        ),
    )


def read(table: Table) -> Scheme:
    """Read a table of GPTQ."""
    bits, group = bits_and_group(table)
    default = form(bits, group, acts=bool(table.get("desc_act")))
    return Scheme(
        default=default,
        groups=(*_dynamic(table, bits, group), *_only(table)),
        free=frozenset({"head", "router"}),
    )


def _dynamic(table: Table, bits: int, group: int) -> Iterator[tuple[Modules, Form | None]]:
    """Yield GPTQModel's exceptions: `-:expression` stays plain, `+:expression` or no mark has settings of its own."""
    dynamic = table.get("dynamic")
    for key, own in dynamic.items() if isinstance(dynamic, dict) else ():
        modules = regexes([key.removeprefix("+:").removeprefix("-:")])
        if key.startswith("-:"):
            yield modules, None
        elif isinstance(own, dict):
            yield modules, form(*bits_and_group({"bits": bits, "group_size": group, **_known(own)}))


def _known(own: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in own.items() if key in {"bits", "group_size"}}


def _only(table: Table) -> Iterator[tuple[Modules, Form | None]]:
    """Yield the modules that are left plain by name, in exporters that say so."""
    yield Listed(texts(table, "modules_to_not_convert")), None


QUANT = Quant(
    name="gptq",
    title="GPTQ",
    declared=lambda table: (
        said(table, "quant_method") in {"gptq", "gptq_marlin"}
        and said(table, "checkpoint_format") in {"", "gptq", "gptq_v2"}
    ),
    read=read,
    guesses=tuple(
        {"quant_method": "gptq", "bits": bits, "group_size": group}
        for bits in sorted(BITS, key=lambda bits: (bits != 4, -bits))
        for group in GROUPS
    ),
)
