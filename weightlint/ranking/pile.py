"""The rows of all ranks, brought together under the names of the whole model."""

from __future__ import annotations

from array import array
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from weightlint.index import Index, Kind
from weightlint.ranking.stages import renumber

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from weightlint.expected import Expected, Slot
    from weightlint.ranking.ranks import Ranks
    from weightlint.sharding import Rank


class Group(NamedTuple):
    """What tensors have in common that are judged as one.

    `rows` are file id and kind id of each row, in order of reading. `placed` tells that such tensors lie
    whole on one tensor rank, `local` that each expert rank has its own.
    """

    slot: Slot | None
    rows: tuple[tuple[int, int], ...]
    placed: bool
    local: bool


@dataclass(frozen=True, slots=True)
class Pile:
    """The rows of all ranks: `rows` by the name in the whole model, `places` the ranks by file id.

    `lost` are the files of which no tensor could be listed.
    """

    index: Index
    ranks: Ranks
    places: Sequence[Rank]
    rows: Mapping[str, Sequence[int]]
    lost: AbstractSet[str]

    def whole(self, kinds: Mapping[str, Kind], again: Sequence[tuple[str, int]] = ()) -> Index:
        """Return one row per name, of these kinds where given, and one for each row told `again`."""
        index = self.index
        table = {kind: at for at, kind in enumerate(index.kinds)}
        names = [*self.rows, *(name for name, _ in again)]
        firsts = [*(rows[0] for rows in self.rows.values()), *(row for _, row in again)]
        kind_ids = [
            table.setdefault(kinds[name], len(table)) if name in kinds else index.kind_ids[row]
            for name, row in zip(names, firsts, strict=True)
        ]
        return Index(
            names=names,
            kind_ids=array("I", kind_ids),
            starts=array("Q", map(index.starts.__getitem__, firsts)),
            stops=array("Q", map(index.stops.__getitem__, firsts)),
            file_ids=array("I", map(index.file_ids.__getitem__, firsts)),
            files=index.files,
            kinds=list(table),
        )

    def groups(self, expected: Expected | None) -> dict[Group, list[str]]:
        """Bring together the names of one slot that lie in the same way in the same files."""
        slots = {name: slot for slot in expected.slots for name in slot.names()} if expected else {}
        file_ids, kind_ids = self.index.file_ids, self.index.kind_ids
        sharding = self.ranks.sharding
        groups: dict[Group, list[str]] = defaultdict(list)
        for name, rows in self.rows.items():
            placed = sharding.placed is not None and sharding.placed in name
            local = sharding.experts is not None and sharding.experts.search(name) is not None
            key = tuple((file_ids[row], kind_ids[row]) for row in rows)
            groups[Group(slots.get(name), key, placed, local)].append(name)
        return groups


def pile(index: Index, ranks: Ranks, lost: AbstractSet[str] = frozenset()) -> Pile:
    """Bring the rows of all ranks under the names of the whole model."""
    places = [ranks.places[file.path] for file in index.files]
    rows: dict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(renumber(index, places, ranks.sharding)):
        rows[name].append(row)
    return Pile(index, ranks, places, rows, lost)
