"""Symptoms that no rule has explained yet; a rule takes from here what it explains.

That is how one cause gives one finding: what a particular rule has taken, a general one does not see.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from weightlint.index import FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Set as AbstractSet

    from weightlint.case import Case
    from weightlint.expected import Slot
    from weightlint.index import Index, Kind
    from weightlint.join import Extra
    from weightlint.names import Coord, Template


@dataclass
class Ledger:
    """Symptoms not yet explained.

    `missing` are coordinates of slots that nothing fills, `extra` rows that no slot asked for,
    `misfits` rows of a slot by a kind that it does not allow, `doubled` pairs of rows of one name. `told` are
    keys of a GGUF file that a rule has spoken of.
    """

    missing: dict[Slot, set[Coord]] = field(default_factory=dict)
    extra: Extra = field(default_factory=dict)
    misfits: dict[Slot, dict[Kind, list[int]]] = field(default_factory=dict)
    doubled: list[tuple[int, int]] = field(default_factory=list)
    told: set[str] = field(default_factory=set)

    def take_missing(self, slot: Slot, coords: Iterable[Coord] | None = None) -> set[Coord]:
        """Explain missing tensors of a slot, all or these; return which."""
        there = self.missing.get(slot, set())
        taken = set(there) if coords is None else there & set(coords)
        left = there - taken
        if left:
            self.missing[slot] = left
        else:
            self.missing.pop(slot, None)
        return taken

    def take_extra(self, template: Template, coords: Iterable[Coord] | None = None) -> dict[Coord, int]:
        """Explain extra rows of a family, all or these; return them."""
        there = self.extra.get(template, {})
        wanted = set(there) if coords is None else set(coords) & set(there)
        taken = {coord: there[coord] for coord in wanted}
        left = {coord: row for coord, row in there.items() if coord not in wanted}
        if left:
            self.extra[template] = left
        else:
            self.extra.pop(template, None)
        return taken

    def take_misfits(self, slot: Slot, kind: Kind) -> list[int]:
        """Explain the rows of a slot that have this kind; return them."""
        kinds = self.misfits.get(slot, {})
        rows = kinds.pop(kind, [])
        if not kinds:
            self.misfits.pop(slot, None)
        return rows

    def forget(self, index: Index, explained: Callable[[str], bool]) -> None:
        """Explain every symptom of the tensors whose names are explained."""
        for slot in list(self.missing):
            self.take_missing(slot, [coord for coord in self.missing[slot] if explained(slot.name(coord))])
        for template in list(self.extra):
            family = self.extra[template]
            self.take_extra(template, [coord for coord, row in family.items() if explained(index.names[row])])
        for slot, kinds in list(self.misfits.items()):
            for kind, misfits in list(kinds.items()):
                if all(explained(index.names[row]) for row in misfits):
                    self.take_misfits(slot, kind)

    def leave_out(self, told: Ledger) -> None:
        """Explain what another ledger holds as well, all extra rows, and pairs of one name."""
        missing = {slot.name(coord) for slot, coords in told.missing.items() for coord in coords}
        rows = {row for kinds in told.misfits.values() for each in kinds.values() for row in each}
        self.extra.clear()
        self.doubled.clear()
        self.drop_missing(missing)
        for slot, kinds in list(self.misfits.items()):
            for kind, wrong in list(kinds.items()):
                if rows.issuperset(wrong):
                    self.take_misfits(slot, kind)

    def drop_missing(self, names: AbstractSet[str]) -> int:
        """Explain missing tensors by name; return how many."""
        before = sum(map(len, self.missing.values()))
        for slot in list(self.missing):
            self.take_missing(slot, [coord for coord in self.missing[slot] if slot.name(coord) in names])
        return before - sum(map(len, self.missing.values()))


def opened(case: Case) -> Ledger:
    """Open the ledger without the symptoms that follow from files that could not be listed."""
    index = case.index
    ledger = Ledger(doubled=[pair for pair in index.duplicates if index.file(pair[0]) != index.file(pair[1])])
    if case.spelling is None:
        return ledger
    joined = case.joined
    ledger.missing = {slot: set(coords) for slot, coords in joined.missing.items()}
    ledger.extra = {template: dict(rows) for template, rows in joined.extra.items()}
    ledger.misfits = {slot: dict(kinds) for slot, kinds in joined.misfits.items()}
    checkpoint = case.checkpoint
    in_parts = any(fault.kind is FaultKind.SPLIT for fault in checkpoint.faults) or case.lacks_ranks
    if checkpoint.map is None and (checkpoint.lost_files or checkpoint.series_gaps() or in_parts):
        ledger.missing.clear()
    ledger.drop_missing(case.lost_names)
    return ledger
