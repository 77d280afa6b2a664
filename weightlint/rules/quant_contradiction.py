"""The quantisation that the config declares and the tensors contradict each other.

Checks: weights that are plain where the config quantises, quantised where it excludes or declares nothing; block sizes.
Matters: vLLM copies BF16 weights into FP8 parameters, SGLang serves FP8 without scales: garbage with green health.
Example: quantization_config says fp8 and every linear weight is BF16.
Cure: take config and weights of one export: remove the declaration from a plain copy, restore it for a quantised one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.dtype import FLOATS, FP8
from weightlint.finding import Level, Place
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.expected import Slot
    from weightlint.finding import Finding
    from weightlint.index import Kind
    from weightlint.names import Coord


SCALES = ("_scale_inv", "_scale")
"""What a scale adds to the name of its weight: block scales, and those per tensor or channel."""

Hits = list[tuple["Slot", int, "Coord"]]


def check(case: Case) -> Iterator[Finding]:
    """Compare declared and real quantisation, weight by weight."""
    if case.bad_field is not None:
        return
    plain = _misfits(case, FLOATS, quantised=True)
    if plain:
        yield _plain(case, plain)
    hidden = [hit for hit in _misfits(case, FP8, quantised=False) if _scales(case, hit)]
    if hidden:
        yield _undeclared(case, hidden)
    yield from _blocks(case)


def _is_quantised(slot: Slot) -> bool:
    return slot.kind != "scale" and bool(slot.dtypes & FP8)


def _misfits(case: Case, dtypes: frozenset[str], *, quantised: bool) -> Hits:
    """Return the rows of the right shape whose dtype is of the other sort."""
    names = case.index.names
    hits: Hits = []
    for slot, kinds in case.ledger.misfits.items():
        if _is_quantised(slot) is quantised and slot.kind != "scale":
            wrong = {
                row
                for kind, rows in kinds.items()
                if kind.dtype in dtypes and kind.shape == slot.shape
                for row in rows
            }
            by_name = {names[row]: row for row in wrong}
            hits += [
                (slot, by_name[n], c)
                for c, n in zip(slot.coords(), slot.names(), strict=True)
                if n in by_name
            ]
    return hits


def _settle(case: Case, hits: Hits) -> None:
    for slot, row, _ in hits:
        kinds = case.ledger.misfits.get(slot, {})
        for kind in [kind for kind, rows in kinds.items() if row in rows]:
            case.ledger.take_misfits(slot, kind)


def _scale_slots(case: Case) -> dict[str, Slot]:
    return {slot.of: slot for slot in case.joined.expected.slots if slot.of}


def _plain(case: Case, hits: Hits) -> Finding:
    assert case.quant is not None
    scales, stored = _scale_slots(case), 0
    for slot, _, coord in hits:
        scale = scales.get(slot.pattern)
        if scale is not None:
            stored += not case.ledger.take_missing(scale, [coord])
    _settle(case, hits)
    dtype = case.index.kind(hits[0][1]).dtype
    return _finding(
        case,
        hits,
        f"the config declares {case.quant.name}, but {_count(hits)} stored as {dtype}"
        + (f"; {stored:,} of them have scales all the same" if stored else " without scales"),
        expected=f"{'/'.join(sorted(case.quant.dtypes))} with a scale each",
        found=f"{dtype}",
        cure="if this is a plain copy, remove quantization_config from the config; if single modules stay "
        "plain, name them in modules_to_not_convert; else download the quantised shards",
    )


def _scales(case: Case, hit: tuple[Slot, int, Coord]) -> list[str]:
    name = case.index.names[hit[1]]
    return [name + suffix for suffix in SCALES if name + suffix in case.index.rows]


def _undeclared(case: Case, hits: Hits) -> Finding:
    from weightlint.names import fold

    for hit in hits:
        for scale in _scales(case, hit):
            template, coord = fold(scale)
            case.ledger.take_extra(template, [coord])
    _settle(case, hits)
    declared = case.quant is not None
    dtype = case.index.kind(hits[0][1]).dtype
    what = (
        "the config excludes them from quantisation"
        if declared
        else f"{case.checkpoint.config_path} declares no quantization_config that weightlint knows"
    )
    return _finding(
        case,
        hits,
        f"{_count(hits)} {dtype} with scales, but {what}",
        expected="BF16, F16 or F32",
        found=f"{dtype} with scales",
        cure="remove these modules from modules_to_not_convert"
        if declared
        else "restore quantization_config "
        'in the config, for block scales {"quant_method": "fp8", "weight_block_size": [128, 128]}',
    )


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
    if not rows or 2 * len(rows) <= matched:
        return
    weights = {slot.pattern: slot for slot in case.joined.expected.slots}
    block = _fitting(weights, rows)
    names = [case.index.names[row] for _, _, row in rows]
    for slot, kind, _ in rows:
        case.ledger.take_misfits(slot, kind)
    from weightlint.names import patterns

    slot, kind, _ = rows[0]
    yield RULE.finding(
        f"{len(rows):,} block scales have other shapes than weight_block_size of the config gives",
        place=Place(tensors=tuple(patterns(names)), files=(case.checkpoint.config_path,)),
        count=len(rows),
        expected=f"{list(slot.shape)} for {slot.patterns()[0]}",
        found=f"{list(kind.shape or ())}" + (f", as blocks of {list(block)} give" if block else ""),
        cure=f"set weight_block_size to {list(block)}" if block else "take config and weights of one export",
    )


def _fitting(weights: dict[str, Slot], rows: list[tuple[Slot, Kind, int]]) -> tuple[int, int] | None:
    for size in (32, 64, 128, 256, 512, 1):
        for block in ((size, size), (1, size), (size, 1)):
            if all(_fits(weights.get(slot.of or ""), kind, block) for slot, kind, _ in rows):
                return block
    return None


def _fits(weight: Slot | None, kind: Kind, block: tuple[int, int]) -> bool:
    if weight is None or kind.shape is None:
        return False
    return kind.shape[-2:] == tuple(-(-n // b) for n, b in zip(weight.shape[-2:], block, strict=True))


def _count(hits: Hits) -> str:
    return "1 weight is" if len(hits) == 1 else f"{len(hits):,} weights are"


def _finding(case: Case, hits: Hits, message: str, *, expected: str, found: str, cure: str) -> Finding:
    from weightlint.names import patterns

    rows = [row for _, row, _ in hits]
    files = tuple(dict.fromkeys(case.index.file(row) for row in rows))
    place = Place(tensors=tuple(patterns(case.index.names[row] for row in rows)), files=files)
    return RULE.finding(message, place=place, count=len(rows), expected=expected, found=found, cure=cure)


RULE = Rule(
    code="WL401",
    name="quant-contradiction",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    needs=frozenset({Need.TABLE, Need.HEADERS, Need.EXPECTED}),
    turn=30,
)
