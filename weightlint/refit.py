"""Does the config describe another model? Try other values of its fields and join again.

A field is to blame if one other value makes symptoms vanish and brings no new one; `suspects` says
which fields and values to try.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from weightlint.config import FieldError
from weightlint.errors import DialectError, SchemaError
from weightlint.expansion import expand
from weightlint.expected import Presence
from weightlint.join import join
from weightlint.key_faults import still
from weightlint.keys import Keys
from weightlint.names import fold
from weightlint.quantising import quantised
from weightlint.renames import renamed
from weightlint.schema import load
from weightlint.scope import Scope
from weightlint.suspects import suspects

if TYPE_CHECKING:
    from weightlint.case import Case
    from weightlint.config import Config
    from weightlint.join import Joined
    from weightlint.ledger import Ledger
    from weightlint.schema import Schema

MIN_FEW = 2
"""Symptoms that one value must explain, unless it explains all."""


@dataclass(frozen=True, slots=True)
class Refit:
    """A field, what the config says, what the tensors say, and the names that it explains.

    `freed` are optional tensors that are no longer absent from a set, `whole` tells that nothing is
    left unexplained. `rivals` are other fields that are there, with values that fit as well.
    """

    field: str
    said: Any
    fits: Any
    explained: frozenset[str]
    whole: bool
    freed: frozenset[str] = frozenset()
    rivals: tuple[tuple[str, Any], ...] = ()


def refit(case: Case) -> Refit | None:
    """Return the field that is to blame for most symptoms of the ledger, if there is one."""
    assert case.config is not None
    assert case.schema is not None
    before = symptoms(case, case.ledger)
    if not before or not case.joined.matched:
        return None
    scope = Scope(case.schema, case.config)
    spec = case.schema.axes.get("layer", "")
    depth = (
        scope.fields_of(f"[{spec[6:-1]}]") if isinstance(spec, str) and spec.startswith("range(") else set()
    )
    best: Refit | None = None
    rank = (0, 0)
    for name, value in suspects(case, scope):
        joined = _rejoined(case, case.schema, case.config.with_change(name, value))
        after = None if joined is None else _joined_symptoms(case, joined, fewer_than=len(before))
        if (
            after is None
            or not after < before
            or (name in depth and (_layers(after) & _layers(before - after) or _is_cut_off(case, after)))
        ):
            continue
        reached = len(before - after), -doubts(case, case.config.with_change(name, value))
        if after and reached > rank and _renamed(case, before - after):
            continue
        if best is None or reached > rank:
            freed = _optional(case.joined) - _optional(joined) if joined else frozenset()
            best = Refit(name, scope(name), value, before - after, whole=not after, freed=freed)
            rank = reached
        elif reached == rank and name != best.field and case.config.find(name, case.schema.scope)[0]:
            best = replace(best, rivals=(*best.rivals, (name, value)))
    return best if best is not None and (best.whole or len(best.explained) >= MIN_FEW) else None


def _is_cut_off(case: Case, left: frozenset[str]) -> bool:
    """Tell whether what stands behind the layers is missing as well as part of a layer: the model stops there."""
    missing = [(slot, coord) for slot, coords in case.ledger.missing.items() for coord in coords]
    lost = [(slot, coord) for slot, coord in missing if slot.need is Presence.REQUIRED]
    behind = any(not slot.axes and slot.name(coord) in left for slot, coord in lost)
    return behind and any(slot.axes and slot.name(coord) in left for slot, coord in lost)


def _renamed(case: Case, explained: frozenset[str]) -> bool:
    """Tell whether what a value explains is there under other names, which the value does not explain."""
    ledger, names = case.ledger, case.index.names
    missing = {
        slot: {coord for coord in coords if slot.name(coord) in explained}
        for slot, coords in ledger.missing.items()
    }
    left = {
        template: {coord: row for coord, row in rows.items() if names[row] not in explained}
        for template, rows in ledger.extra.items()
    }
    return renamed(case.index, {template: rows for template, rows in left.items() if rows}, missing) > 0


def _optional(joined: Joined) -> frozenset[str]:
    """Return the names of absent tensors whose absence is judged although they are optional."""
    lost = ((slot, coords) for slot, coords in joined.missing.items() if slot.absent is not None)
    return frozenset(slot.name(coord) for slot, coords in lost for coord in coords)


def doubts(case: Case, config: Config) -> int:
    """Count the keys of a GGUF file that would fail a check: of two values, the one that fits them is right."""
    assert case.schema is not None
    return len(still(case.schema, config, case.index.rows)) if isinstance(config, Keys) else 0


def symptoms(case: Case, ledger: Ledger) -> frozenset[str]:
    """Return the names of all tensors that are missing, extra or misfit in a ledger."""
    index = case.index
    missing = {
        slot.name(c)
        for slot, coords in ledger.missing.items()
        if slot.need is Presence.REQUIRED
        for c in coords
    }
    extra = {index.names[row] for rows in ledger.extra.values() for row in rows.values()}
    wrong = {index.names[r] for kinds in ledger.misfits.values() for rows in kinds.values() for r in rows}
    return frozenset(missing | extra | wrong)


def _layers(names: frozenset[str]) -> set[int]:
    """Return the first numbers of names: a layer is explained as a whole or not at all."""
    return {coord[0] for _, coord in map(fold, names) if coord}


def _joined_symptoms(case: Case, joined: Joined, *, fewer_than: int) -> frozenset[str] | None:
    """Return the symptoms of a join, or None where they are not fewer."""
    from weightlint.ledger import Ledger

    lost = case.lost_names
    rough = joined.unmet - len(lost) + sum(map(len, joined.extra.values()))
    rough += sum(len(rows) for kinds in joined.misfits.values() for rows in kinds.values())
    if rough >= fewer_than:
        return None
    missing = {slot: set(coords) for slot, coords in joined.missing.items()}
    ledger = Ledger(missing, joined.extra, joined.misfits)
    ledger.drop_missing(lost)
    return symptoms(case, ledger)


def explained_by(case: Case, arch: str) -> frozenset[str] | None:
    """Return the symptoms that are left under another schema, None if it cannot be expanded."""
    assert case.config is not None
    joined = _rejoined(case, load(arch), case.config)
    return None if joined is None else _joined_symptoms(case, joined, fewer_than=len(case.index) + 1)


def _rejoined(case: Case, schema: Schema, config: Config) -> Joined | None:
    try:
        expected = expand(schema, config)
        if case.scheme is not None and not case.scheme.late:
            expected = quantised(expected, case.scheme)
        spelt = case.spelling.write(expected) if case.spelling else expected
    except (DialectError, FieldError, SchemaError):
        return None
    return join(case.index, spelt)
