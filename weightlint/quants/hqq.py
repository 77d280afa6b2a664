"""HQQ: numbers of few bits in groups of the flattened weight, packed into bytes, with what it needs to read them beside.

For a weight `[out, in]` of 4 bits and `axis` 1: `W_q` U8 `[out * in / group / 2, group]`, `scale` and `zero` `[out * in / group, 1]`. Sources:
hqq core/quantize.py Quantizer.quantize, core/bitpack.py; transformers utils/quantization_config.py HqqConfig.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.dtype import FLOATS
from weightlint.form import ONE, Dim, Form, Part
from weightlint.modules import Listed
from weightlint.quant import Quant
from weightlint.quant_table import above_zero, bad, inner, said, texts, whole
from weightlint.scheme import Scheme

if TYPE_CHECKING:
    from weightlint.quant import Table

BYTES = {8: 1, 4: 2, 2: 4, 1: 8}
"""Numbers in a byte; those of 3 bits are kept ten to a word."""

META = (
    *(
        "axis",
        "bias",
        "channel_wise",
        "compute_dtype",
        "encoded_state_dict",
        "group_size",
        "nbits",
        "offload_meta",
    ),
    *("optimize", "packing", "quant_scale", "quant_zero", "round_zero", "shape", "stores_quant_config"),
    *("unpack_view_dtype", "view_as_float", "meta"),
)
"""Settings that HQQ writes as tensors."""

INNER = "quant_config"
PARAMS = "weight_quant_params"


def form(bits: int, group: int, axis: int) -> Form:
    """Return HQQ of some bits and group size along an axis."""
    side = Dim(group, str(group))
    many = BYTES.get(bits, 1)

    def groups(out: Dim, into: Dim) -> Dim:
        return out.by(into).over(group)

    def packed(out: Dim, into: Dim) -> tuple[Dim, ...]:
        return (groups(out, into).over(many), side) if axis else (side.over(many), groups(out, into))

    return Form(
        name="hqq",
        bits=bits,
        says=f"nbits {bits}, group_size {group}, axis {axis}",
        stack=False,
        beside=META,
        parts=(
            Part(end="W_q", dtypes=frozenset({"U8", "I32"}), sides=packed, opaque=bits not in BYTES),
            *(
                Part(end=end, dtypes=FLOATS, sides=lambda out, into: (groups(out, into), ONE), ones=True)
                for end in ("scale", "zero")
            ),
        ),
    )


def read(table: Table) -> Scheme:
    """Read a table of HQQ."""
    said_ = inner(inner(table, INNER), PARAMS, at=f"{INNER}.") or table
    at = f"{INNER}.{PARAMS}." if said_ is not table else ""
    bits, axis = whole(said_, "nbits", at=at, default=4), whole(said_, "axis", at=at, default=1)
    if bits not in {*BYTES, 3}:
        raise bad(f"{at}nbits", f"is {bits}, not one of 1, 2, 3, 4, 8")  # noqa: EM102 -- a key
    if axis not in {0, 1}:
        raise bad(f"{at}axis", f"is {axis}, neither 0 nor 1")  # noqa: EM102
    group = above_zero(said_, "group_size", at=at, default=64)
    plain = Listed(texts(table, "skip_modules", "modules_to_not_convert"))
    return Scheme(
        default=form(bits, group, axis), groups=((plain, None),), free=frozenset({"head", "router"})
    )


def _table(bits: int, group: int, axis: int) -> Table:
    params = {"nbits": bits, "group_size": group, "axis": axis}
    return {"quant_method": "hqq", INNER: {PARAMS: params}}


QUANT = Quant(
    name="hqq",
    title="HQQ",
    declared=lambda table: said(table, "quant_method") == "hqq",
    read=read,
    guesses=tuple(
        _table(bits, group, axis) for bits in (4, 8, 2, 1) for group in (64, 128, 32, 16) for axis in (1, 0)
    ),
)
