"""FP8 weights with one scale per block, as DeepSeek-V3 introduced them.

Each linear or expert weight `[out, in]` is F8_E4M3 and has a sister `<weight>_scale_inv` of
`[ceil(out / bo), ceil(in / bi)]`. Source: DeepSeek-V3 README_WEIGHTS.md; config keys as in
transformers, utils/quantization_config.py FineGrainedFP8Config.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from weightlint.config import BadFieldError
from weightlint.expected import Slot
from weightlint.expr import ceil_div
from weightlint.quant import Plain, Quant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from weightlint.expected import Expected

WEIGHTS = frozenset({"F8_E4M3"})
SCALE_DTYPES = frozenset({"F32", "BF16", "F16", "F8_E8M0"})
"""F32 in DeepSeek and Kimi, BF16 in Qwen3-FP8."""

KINDS = frozenset({"linear", "expert"})
FIELD = "quantization_config.weight_block_size"


def block(table: Mapping[str, Any]) -> tuple[int, int]:
    """Return the block size `(out, in)` that a quantisation table declares.

    Raises:
        BadFieldError: it is no pair of whole numbers above 0.
    """
    size = table["weight_block_size"]
    if isinstance(size, list) and len(size) == 2 and all(type(n) is int and n > 0 for n in size):
        return size[0], size[1]
    raise BadFieldError(FIELD, f"is {size}, not two whole numbers above 0")


def rewrite(expected: Expected, table: Mapping[str, Any]) -> Expected:
    """Expect FP8 and a block scale for every linear and expert weight that is not left plain."""
    size = block(table)
    plain = Plain(entry for entry in table.get("modules_to_not_convert") or () if isinstance(entry, str))
    return expected.replace(lambda slot: quantised(slot, plain, size))


def quantised(slot: Slot, plain: Plain, size: tuple[int, int]) -> Iterator[Slot]:
    """Yield what stands in the place of one slot."""
    if slot.kind not in KINDS or not slot.quant or len(slot.shape) < 2:
        yield slot
        return
    is_plain = plain.holds(slot)
    kept = slot.where(is_plain) if plain.families else None
    rest = slot.where(lambda coord: not is_plain(coord)) if plain.families else slot
    if kept is not None:
        yield replace(kept, quant=False)
    if rest is not None:
        yield replace(rest, dtypes=WEIGHTS)
        yield _scale(rest, size)


def _scale(slot: Slot, size: tuple[int, int]) -> Slot:
    *outer, rows, columns = slot.shape
    formula: tuple[str, ...] = ()
    if slot.formula:
        *before, a, b = slot.formula
        formula = (*before, f"ceil_div({a}, {size[0]})", f"ceil_div({b}, {size[1]})")
    return Slot(
        pattern=f"{slot.pattern}_scale_inv",
        boxes=slot.boxes,
        shape=(*outer, ceil_div(rows, size[0]), ceil_div(columns, size[1])),
        formula=formula,
        dtypes=SCALE_DTYPES,
        kind="scale",
        need=slot.need,
        why=slot.why,
        cut=slot.cut,
        stage=slot.stage,
        quant=False,
        of=slot.pattern,
        origin=f"quants/fp8_block.py of {slot.origin}",
    )


QUANT = Quant(
    name="fp8_block",
    declared=lambda table: (
        table.get("quant_method") == "fp8"
        and "weight_block_size" in table
        and table["weight_block_size"] is not None
    ),
    rewrite=rewrite,
    dtypes=WEIGHTS,
)
