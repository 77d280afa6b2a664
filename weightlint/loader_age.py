"""What an older llama.cpp refuses in a GGUF file that a newer one takes, and which release was the first to take it.

Compares the case with the same file as later releases judge it. Knows nothing of how a difference is told.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from weightlint import llama
from weightlint import schema as schemas
from weightlint.expected import Presence
from weightlint.index import FaultKind
from weightlint.key_faults import key_faults, stopping
from weightlint.keys import Keys
from weightlint.names import fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from weightlint.case import Case
    from weightlint.expected import Slot
    from weightlint.key_faults import KeyFault
    from weightlint.names import Coord


@dataclass(frozen=True, slots=True, kw_only=True)
class Objections:
    """What one release has against a file.

    `keys` are faults of keys by name, `missing` required tensors that are absent, in the order of the schema,
    `extra` names that it does not know, `misfits` names of another shape or type with the slot that they are
    for. `lost` are optional tensors that are absent, and whose absence is the file's fault whatever the release.
    """

    keys: Mapping[str, KeyFault] = field(default_factory=dict)
    missing: Mapping[str, tuple[Slot, Coord]] = field(default_factory=dict)
    extra: frozenset[str] = frozenset()
    misfits: Mapping[str, Slot] = field(default_factory=dict)
    lost: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.keys or self.missing or self.extra or self.misfits)

    def without(self, other: Objections) -> Objections:
        """Return the objections that another release does not share."""
        return replace(
            self,
            keys={name: fault for name, fault in self.keys.items() if name not in other.keys},
            missing={
                name: at
                for name, at in self.missing.items()
                if name not in other.missing and name not in other.lost
            },
            extra=self.extra - other.extra,
            misfits={name: slot for name, slot in self.misfits.items() if name not in other.misfits},
        )


def objections(case: Case) -> Objections:
    """Collect what the case's release has against its file."""
    if case.schema is None or not isinstance(case.config, Keys):
        return Objections()
    keys = {fault.key: fault for fault in key_faults(case.schema, case.config, case.index.rows)}
    if case.bad_field is not None:
        fault = stopping(case.bad_field, case.schema)
        keys.setdefault(fault.key, fault)
    ledger, names = case.ledger, case.index.names
    return Objections(
        keys=keys,
        missing={
            slot.name(coord): (slot, coord)
            for slot, coords in ledger.missing.items()
            if slot.need is Presence.REQUIRED
            for coord in sorted(coords)
        },
        extra=frozenset(names[row] for rows in ledger.extra.values() for row in rows.values()),
        misfits={
            names[row]: slot
            for slot, kinds in ledger.misfits.items()
            for rows in kinds.values()
            for row in rows
        },
        lost=frozenset(_lost(case)),
    )


def _lost(case: Case) -> Iterator[str]:
    """Yield optional tensors that are absent where others of their family are there, or that no model lacks."""
    matched = case.joined.matched if case.spelling else {}
    for slot, coords in case.ledger.missing.items():
        if slot.need is Presence.OPTIONAL and (slot.absent == "error" or (slot.absent and slot in matched)):
            yield from (slot.name(coord) for coord in coords)


def set_aside(case: Case) -> None:
    """Explain in the ledger what only the age of the loader explains, and keep it for the rule that tells it."""
    if llama.release_of(case.loader) is None or not isinstance(case.config, Keys) or case.schema is None:
        return
    if case.checkpoint.absent or any(fault.kind is not FaultKind.ODD for fault in case.checkpoint.faults):
        return
    case.aged = by_release(case)
    for settled in case.aged.values():
        _take(case, settled)


def _take(case: Case, settled: Objections) -> None:
    ledger, index = case.ledger, case.index
    for fault in settled.keys.values():
        ledger.told |= {fault.key, *fault.covers}
        for ignore in fault.explains:
            ledger.forget(index, ignore.matcher())
    for slot, coord in settled.missing.values():
        ledger.take_missing(slot, [coord])
    for name in settled.extra:
        template, coord = fold(name)
        ledger.take_extra(template, [coord])
    for slot, kinds in list(ledger.misfits.items()):
        for kind, rows in list(kinds.items()):
            if settled.misfits.keys() >= {index.names[row] for row in rows}:
                ledger.take_misfits(slot, kind)


def by_release(case: Case) -> dict[str, Objections]:
    """Return the objections that the newest release does not share, by the first release without them."""
    left = objections(case)
    left = left.without(objections(_judged(case, None))) if left else left
    out: dict[str, Objections] = {}
    for release in _later(case) if left else ():
        still = left.without(left.without(objections(_judged(case, release))))
        settled = left.without(still)
        if settled:
            out[release], left = settled, still
    return out


def _later(case: Case) -> Iterable[str]:
    """Return the releases after the case's own with which something of its schema changed, oldest first."""
    from weightlint.version import within

    assert case.schema is not None
    turning = schemas.turning_points(f"gguf/{case.schema.name}")
    mine = llama.release_of(case.loader)
    return [release for release in llama.releases() if release in turning and within(release, f">{mine}")]


def _judged(case: Case, release: str | None) -> Case:
    from weightlint.opening import open_case

    assert case.schema is not None
    loader = (
        None if release is None or case.loader is None else replace(case.loader, version=release, build=None)
    )
    return open_case(case.checkpoint, arch=f"gguf/{case.schema.name}", config=None, loader=loader)
