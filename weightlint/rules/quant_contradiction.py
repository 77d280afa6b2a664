"""The quantisation that the config declares and the tensors contradict each other.

Checks: weights that are plain where the config quantises, quantised where it excludes or declares nothing; block sizes.
Matters: vLLM copies BF16 weights into FP8 parameters, SGLang serves FP8 without scales: garbage with green health.
Example: quantization_config says fp8 and every linear weight is BF16.
Cure: take config and weights of one export: remove the declaration from a plain copy, restore it for a quantised one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.dtype import FLOATS, FP8
from weightlint.expr import ceil_div
from weightlint.finding import Level, Place
from weightlint.quant import scale_names
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.case import Case
    from weightlint.dtype import Shape
    from weightlint.expected import Slot
    from weightlint.finding import Finding
    from weightlint.names import Coord, Template


Hits = dict["Slot", "dict[Coord, int]"]
"""Rows by slot and coordinates."""


def check(case: Case) -> Iterator[Finding]:
    """Compare declared and real quantisation, weight by weight."""
    if case.bad_field is not None:
        return
    plain = _misfits(case, FLOATS, quantised=True)
    if plain:
        yield _plain(case, plain)
    hidden = _scaled(case, _misfits(case, FP8, quantised=False))
    if hidden:
        yield _undeclared(case, hidden)
    yield from _blocks(case)


def _misfits(case: Case, dtypes: frozenset[str], *, quantised: bool) -> Hits:
    """Return the rows of the right shape whose dtype is of the other sort."""
    hits: Hits = {}
    for slot, kinds in case.ledger.misfits.items():
        if slot.kind == "scale" or bool(slot.dtypes & FP8) is not quantised:
            continue
        wrong = {
            row
            for kind, rows in kinds.items()
            if kind.dtype in dtypes and kind.shape == slot.shape
            for row in rows
        }
        if wrong:
            rows = map(case.index.rows.get, slot.names())
            hits[slot] = {coord: row for coord, row in zip(slot.coords(), rows, strict=True) if row in wrong}
    return hits


def _settle(case: Case, hits: Hits) -> list[int]:
    """Take the rows from the ledger, and return them."""
    for slot, rows in hits.items():
        taken = set(rows.values())
        for kind in list(case.ledger.misfits[slot]):
            left = [row for row in case.ledger.take_misfits(slot, kind) if row not in taken]
            if left:
                case.ledger.misfits.setdefault(slot, {})[kind] = left
    return [row for rows in hits.values() for row in rows.values()]


def _plain(case: Case, hits: Hits) -> Finding:
    assert case.quant is not None
    scales = {slot.of: slot for slot in case.joined.expected.slots if slot.of}
    rows = _settle(case, hits)
    lost = sum(
        len(case.ledger.take_missing(scales[slot.pattern], coords))
        for slot, coords in hits.items()
        if slot.pattern in scales
    )
    stored = len(rows) - lost
    dtype = case.index.kind(rows[0]).dtype
    with_scales = f"; {stored:,} of them have scales all the same" if stored else " without scales"
    return _finding(
        case,
        rows,
        f"the config declares {case.quant.name}, but {_count(rows)} stored as {dtype}{with_scales}",
        expected=f"{'/'.join(sorted(case.quant.dtypes))} with a scale each",
        found=f"{dtype}",
        cure="if this is a plain copy, remove quantization_config from the config; if single modules stay "
        "plain, name them in modules_to_not_convert; else download the quantised shards",
    )


def _scales(case: Case, row: int) -> list[str]:
    name = case.index.names[row]
    return [scale for scale in scale_names(name) if scale in case.index.rows]


def _scaled(case: Case, hits: Hits) -> Hits:
    """Keep the weights beside which a scale stands."""
    kept = {
        slot: {coord: row for coord, row in rows.items() if _scales(case, row)} for slot, rows in hits.items()
    }
    return {slot: rows for slot, rows in kept.items() if rows}


def _undeclared(case: Case, hits: Hits) -> Finding:
    from weightlint.names import fold

    rows = _settle(case, hits)
    families: dict[Template, list[Coord]] = {}
    for row in rows:
        for scale in _scales(case, row):
            template, coord = fold(scale)
            families.setdefault(template, []).append(coord)
    for template, coords in families.items():
        case.ledger.take_extra(template, coords)
    declared = case.quant is not None
    dtype = case.index.kind(rows[0]).dtype
    config = case.checkpoint.config_path
    what = (
        "the config excludes them from quantisation"
        if declared
        else f"{config} declares no quantization_config that weightlint knows"
    )
    return _finding(
        case,
        rows,
        f"{_count(rows)} {dtype} with scales, but {what}",
        expected="BF16, F16 or F32",
        found=f"{dtype} with scales",
        cure="remove these modules from modules_to_not_convert" if declared else _restored(case, rows),
    )


def _restored(case: Case, rows: list[int]) -> str:
    """Say which quantization_config the scales ask for."""
    kinds = ((case.index.kind(row), case.index.kind(case.index.rows[_scales(case, row)[0]])) for row in rows)
    block = _fitting(sorted({(weight.shape or (), scale.shape or ()) for weight, scale in kinds}))
    table = f': {{"quant_method": "fp8", "weight_block_size": {list(block)}}}' if block else ""
    return f"restore quantization_config in the config{table}"


def _blocks(case: Case) -> Iterator[Finding]:
    """Find the block size that fits, where most scales have another shape than declared."""
    scales = [slot for slot in case.ledger.misfits if slot.of]
    rows = [
        (slot, kind, row)
        for slot in scales
        for kind, group in case.ledger.misfits[slot].items()
        for row in group
    ]
    matched = sum(len(rows) for slot, rows in case.joined.matched.items() if slot.of)
    weights = {slot.pattern: slot for slot in case.joined.expected.slots}
    pairs = {(weights[slot.of or ""].shape, kind.shape or ()) for slot, kind, _ in rows}
    block = _fitting(sorted(pairs)) if 2 * len(rows) > matched else None
    if block is None:
        return
    from weightlint.names import patterns

    for slot, kind, _ in rows:
        case.ledger.take_misfits(slot, kind)
    slot, kind, _ = rows[0]
    yield RULE.finding(
        f"{len(rows):,} block scales have other shapes than weight_block_size of the config gives",
        place=Place(
            tensors=tuple(patterns(case.index.names[row] for *_, row in rows)),
            files=(case.checkpoint.config_path,),
        ),
        count=len(rows),
        expected=f"{list(slot.shape)} for {slot.patterns()[0]}",
        found=f"{list(kind.shape or ())}, as blocks of {list(block)} give",
        cure=f"set weight_block_size to {list(block)}",
    )


def _fitting(pairs: Sequence[tuple[Shape, Shape]]) -> tuple[int, int] | None:
    """Return the block size that makes each weight's shape its scale's, if a power of two does."""
    sizes = [1 << power for power in range(11)]
    square = [(size, size) for size in sizes]
    lines = [block for size in sizes for block in ((1, size), (size, 1))]
    return next((block for block in (*square, *lines) if all(_fits(*pair, block) for pair in pairs)), None)


def _fits(weight: Shape, scale: Shape, block: tuple[int, int]) -> bool:
    return scale[-2:] == tuple(ceil_div(n, b) for n, b in zip(weight[-2:], block, strict=True))


def _count(rows: list[int]) -> str:
    return "1 weight is" if len(rows) == 1 else f"{len(rows):,} weights are"


def _finding(case: Case, rows: list[int], message: str, *, expected: str, found: str, cure: str) -> Finding:
    return RULE.finding(
        message, place=case.place(rows), count=len(rows), expected=expected, found=found, cure=cure
    )


RULE = Rule(
    code="WL401",
    name="quant-contradiction",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    needs=frozenset({Need.TABLE, Need.HEADERS, Need.EXPECTED}),
    turn=18,
)
