"""The quantisation that the config declares and the tensors contradict each other.

Checks: weights that are plain where the config quantises, quantised where it excludes or declares nothing; block sizes.
Matters: vLLM copies BF16 weights into FP8 parameters, SGLang serves FP8 without scales: garbage with green health.
Example: quantization_config says fp8 and every linear weight is BF16.
Cure: take config and weights of one export: remove the declaration from a plain copy, restore it for a quantised one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.block_size import fitting
from weightlint.dtype import FLOATS, FP8
from weightlint.finding import Level, Place
from weightlint.keys import Keys
from weightlint.packing import take_packed
from weightlint.quant import scale_names
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.expected import Slot
    from weightlint.finding import Finding
    from weightlint.names import Coord, Template


QUANTISABLE = frozenset({"linear", "expert"})
"""Kinds of slots that schemes quantise; a head where a config says so."""

Hits = dict["Slot", "dict[Coord, int]"]
"""Rows by slot and coordinates."""


def check(case: Case) -> Iterator[Finding]:
    """Compare declared and real quantisation, weight by weight."""
    if case.bad_field is not None:
        return
    plain = _misfits(case, FLOATS, quantised=True)
    if plain:
        yield _plain(case, plain)
    hidden = _scaled(case, _misfits(case, FP8 | {"I8"}, quantised=False))
    if hidden:
        yield _undeclared(case, hidden)
    yield from _blocks(case)
    yield from _packed(case)


def _packed(case: Case) -> Iterator[Finding]:
    """Report weights that a quantiser packed, of which the config says nothing."""
    config = case.checkpoint.config_path
    for it in take_packed(case) if not isinstance(case.config, Keys) else ():
        method, rows = it.packer.method, it.weights + it.state
        field = "quantization" if method == "mlx" else f'quantization_config ("quant_method": "{method}")'
        says = f"{config} declares {case.quant.name}" if case.quant else f"{config} declares no quantisation"
        ends = ", ".join(end.removeprefix(".weight") for end in it.ends(case))
        yield _finding(
            case,
            rows,
            f"{'1 weight is' if it.count == 1 else f'{it.count:,} weights are'} packed as {it.packer.title} does, but {says}",
            expected="BF16, F16 or F32",
            found=f"{case.index.kind(rows[0]).dtype or 'packed weights'} with {ends}",
            cure=f"restore {field} in the config; for a loader or converter of plain weights take the original",
        )


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
    dtype = case.index.kind(rows[0]).dtype
    what, cure = _contradicted(case, list(hits), rows)
    return _finding(
        case,
        rows,
        f"{_count(rows)} {dtype} with scales, but {what}",
        expected="BF16, F16 or F32",
        found=f"{dtype} with scales",
        cure=cure,
    )


def _contradicted(case: Case, slots: list[Slot], rows: list[int]) -> tuple[str, str]:
    """Say what is against these weights being quantised, and what to do."""
    if case.quant is None:
        config = case.checkpoint.config_path
        return f"{config} declares no quantization_config that weightlint knows", _restored(case, rows)
    kinds = sorted({slot.kind for slot in slots if not slot.quant and slot.kind not in QUANTISABLE})
    if kinds:
        what = (
            f"most loaders keep this module plain ({', '.join(kinds)}): they have no parameter for its scale"
        )
        cure = (
            "export the model again with these modules plain, or take their plain weights from the original"
        )
        return what, cure
    return "the config excludes them from quantisation", "remove these modules from modules_to_not_convert"


def _restored(case: Case, rows: list[int]) -> str:
    """Say which quantization_config the scales ask for."""
    index = case.index
    pairs = {row: _scales(case, row)[0] for row in rows}
    in_blocks = all(scale.endswith(("_scale_inv", ".scale")) for scale in pairs.values())
    shapes = {
        (index.kind(row).shape or (), index.kind(index.rows[scale]).shape or ())
        for row, scale in pairs.items()
    }
    block = fitting(sorted(shapes)) if in_blocks else None
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
    block = fitting(sorted(pairs)) if 2 * len(rows) > matched else None
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
