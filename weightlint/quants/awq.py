"""AWQ: whole numbers of four bits, packed into words of 32 bits along the outputs.

For a weight `[out, in]`: `qweight` I32 `[in, out / 8]`, `qzeros` I32 `[in / group, out / 8]`, `scales` F16 `[in / group, out]`. Sources:
AutoAWQ awq/modules/linear/gemm.py; config keys as in transformers, utils/quantization_config.py AwqConfig.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.dtype import FLOATS
from weightlint.expected import Presence
from weightlint.form import WORDS, Form, Part
from weightlint.modules import containing
from weightlint.quant import Quant
from weightlint.quant_table import GROUPS, bits_and_group, said, texts
from weightlint.scheme import Scheme

if TYPE_CHECKING:
    from weightlint.quant import Table


def form(bits: int, group: int, *, zeros: bool = True) -> Form:
    """Return AWQ (gemm) of some bits and group size; without `zeros` it is symmetric and needs no zero points."""
    return Form(
        name="awq",
        bits=bits,
        block=(1, max(group, 1)),
        says=f"bits {bits}, group_size {group}",
        parts=(
            Part(end="qweight", dtypes=WORDS, sides=lambda out, into: (into, out.packed(bits))),
            Part(
                end="qzeros",
                dtypes=WORDS,
                sides=lambda out, into: (into.groups(group), out.packed(bits)),
                need=Presence.REQUIRED if zeros else Presence.OPTIONAL,
                why=None if zeros else "zero_point is false",
            ),
            Part(end="scales", dtypes=FLOATS, sides=lambda out, into: (into.groups(group), out)),
        ),
    )


def read(table: Table) -> Scheme:
    """Read a table of AWQ."""
    plain = containing(texts(table, "modules_to_not_convert"))
    return Scheme(
        default=form(*bits_and_group(table), zeros=bool(table.get("zero_point", True))),
        groups=((plain, None),),
        free=frozenset({"head", "router"}),
    )


QUANT = Quant(
    name="awq",
    title="AWQ",
    declared=lambda table: (
        said(table, "quant_method") in {"awq", "awq_marlin"}
        and str(table.get("version", "gemm")).lower() == "gemm"
    ),
    read=read,
    guesses=tuple(
        {"quant_method": "awq", "bits": 4, "group_size": group, "version": "gemm"} for group in GROUPS
    ),
)
