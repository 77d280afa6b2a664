"""How weights are stored against what the scheme gives: plain ones where it quantises, quantised ones where it does not.

What is found is taken from the ledger, with the parts that belong to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.dtype import FLOATS
from weightlint.names import fold
from weightlint.quantising import parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.expected import Slot
    from weightlint.form import Form
    from weightlint.names import Coord

Hits = dict["Slot", "dict[Coord, int]"]
"""Rows by slot and coordinates."""


def plain_rows(case: Case) -> Hits:
    """Return the plain weights that stand where the scheme has quantised ones, and explain them."""
    hits: Hits = {}
    for slot in case.joined.expected.slots:
        plain = slot.plain
        # a dialect may cut a weight in pieces, or number other things: the plain one has another name there
        if plain is None or plain.axes != slot.axes:
            continue
        found = (
            _stored_plain(case, slot, plain) if plain.pattern == slot.pattern else _instead(case, slot, plain)
        )
        if found:
            hits[slot] = found
    return hits


def _stored_plain(case: Case, slot: Slot, plain: Slot) -> dict[Coord, int]:
    """Take the rows of a weight that have its name and are plain."""
    kinds = case.ledger.misfits.get(slot, {})
    wrong = [kind for kind in kinds if kind.dtype in FLOATS and kind.shape == plain.shape]
    rows = {row for kind in wrong for row in case.ledger.take_misfits(slot, kind)}
    by_name = {case.index.names[row]: row for row in rows}
    return {
        coord: by_name[name]
        for coord, name in zip(slot.coords(), slot.names(), strict=True)
        if name in by_name
    }


def _instead(case: Case, slot: Slot, plain: Slot) -> dict[Coord, int]:
    """Take the plain weights that stand beside the names that the scheme gives."""
    missing = case.ledger.missing.get(slot, set())
    rows = {coord: row for coord in missing if (row := case.index.rows.get(plain.name(coord))) is not None}
    extra = {
        coord: row for coord, row in rows.items() if row in case.ledger.extra.get(plain.template, {}).values()
    }
    case.ledger.take_missing(slot, extra)
    case.ledger.take_extra(plain.template, [fold(plain.name(coord))[1] for coord in extra])
    return extra


def formed(case: Case, slot: Slot, form: Form) -> list[int]:
    """Take the weights of a plain slot that are there in a form, with all their parts; return their main rows."""
    own = list(parts(slot, form))
    suspects = {*case.ledger.missing.get(slot, ()), *_misfit_coords(case, slot)}
    index, out = case.index, []
    for coord in sorted(suspects):
        rows = [index.rows.get(part.name(coord)) for part in own]
        beside = [
            row
            for row, part in zip(rows, own, strict=True)
            if row is not None and part.pattern != slot.pattern
        ]
        if rows[0] is None or not beside or not _is_packed(case, slot, rows[0]):
            continue
        out.append(rows[0])
        case.ledger.take_missing(slot, [coord])
        _take_rows(case, slot, {rows[0]})
        for row in beside:
            template, numbers = fold(index.names[row])
            case.ledger.take_extra(template, [numbers])
    return out


def _is_packed(case: Case, slot: Slot, row: int) -> bool:
    return case.index.kind(row).dtype not in slot.dtypes


def _misfit_coords(case: Case, slot: Slot) -> Iterator[Coord]:
    wrong = {row for rows in case.ledger.misfits.get(slot, {}).values() for row in rows}
    if wrong:
        rows = map(case.index.rows.get, slot.names())
        yield from (coord for coord, row in zip(slot.coords(), rows, strict=True) if row in wrong)


def _take_rows(case: Case, slot: Slot, taken: set[int]) -> None:
    """Explain single rows of a slot."""
    for kind in [kind for kind, rows in case.ledger.misfits.get(slot, {}).items() if taken & {*rows}]:
        left = [row for row in case.ledger.take_misfits(slot, kind) if row not in taken]
        if left:
            case.ledger.misfits.setdefault(slot, {})[kind] = left


def without_companions(case: Case, hits: Hits) -> int:
    """Explain the missing companions of plain weights; return how many weights have none."""
    of = {slot.pattern: found for slot, found in hits.items()}
    lost: dict[str, set[Coord]] = {pattern: set() for pattern in of}
    for scale in [slot for slot in case.ledger.missing if slot.of in of]:
        assert scale.of is not None
        lost[scale.of] |= case.ledger.take_missing(scale, of[scale.of])
    return sum(map(len, lost.values()))
