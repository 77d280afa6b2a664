"""Of how many tensor ranks are the slices? Every rank says it with the sizes of its tensors.

A rank file that an earlier run with another number of ranks left behind gives itself away so, and a
set of files that was renamed or only copied in part.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightlint.ranking.lapse import Lapse, Slip
from weightlint.ranking.slices import implied

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weightlint.ranking.pile import Group, Pile
    from weightlint.sharding import Rank

SHARE = 2 / 3
"""Share of its cut tensors that must agree before a rank has said anything: heads of keys and a wrong
field of the config make some disagree.
"""  # fmt: skip


@dataclass(frozen=True, slots=True)
class World:
    """The number of tensor ranks that slices were cut for, and the ranks that are of another number."""

    ways: int
    foreign: frozenset[Rank] = frozenset()
    lapses: tuple[Lapse, ...] = ()


def settle_world(heap: Pile, groups: Mapping[Group, Sequence[str]]) -> World:
    """Find the number of ranks for which most slices fit, preferring one whose ranks are all there."""
    said = _said(heap, groups)
    width = heap.ranks.width
    if not said or set(said.values()) == {width}:
        return World(width)
    counts = Counter(said.values())

    def worth(ways: int) -> tuple[bool, bool, int]:
        there = {rank.tp for rank, said_ways in said.items() if said_ways == ways}
        return there >= set(range(ways)), ways == heap.ranks.degrees.tp, counts[ways]

    ways = max(counts, key=worth)
    foreign = {rank: other for rank, other in said.items() if other != ways}
    surplus = {rank for rank in said if rank.tp >= ways} - set(foreign)
    if foreign:
        return World(ways, frozenset({*foreign, *surplus}), tuple(_foreign(foreign, ways)))
    lapse = Lapse(
        slip=Slip.WORLD,
        ranks=tuple(sorted(said)),
        expected=str(ways),
        found=str(width),
    )
    return World(ways, frozenset(surplus), (lapse,))


def _said(heap: Pile, groups: Mapping[Group, Sequence[str]]) -> dict[Rank, int]:
    """Return for each rank the number of ranks that its slices are made for, where they agree on one."""
    votes: dict[Rank, Counter[int]] = defaultdict(Counter)
    kinds = heap.index.kinds
    for group, names in groups.items():
        slot = group.slot
        if slot is None or group.placed or (slot.cut or "replicate").startswith("replicate"):
            continue
        for file_id, kind_id in group.rows:
            shape = kinds[kind_id].shape
            ways = None if shape is None else implied(slot, shape)
            if ways is not None:
                votes[heap.places[file_id]._replace(part=0)][ways] += len(names)
    best = {rank: counts.most_common(1)[0] for rank, counts in votes.items()}
    return {rank: ways for rank, (ways, count) in best.items() if count >= SHARE * votes[rank].total()}


def _foreign(foreign: Mapping[Rank, int], ways: int) -> list[Lapse]:
    by_ways: dict[int, list[Rank]] = defaultdict(list)
    for rank, other in sorted(foreign.items()):
        by_ways[other].append(rank)
    return [
        Lapse(slip=Slip.FOREIGN, ranks=tuple(ranks), expected=str(ways), found=str(other))
        for other, ranks in by_ways.items()
    ]
