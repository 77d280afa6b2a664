"""The tables of all ranks as one index of whole tensors, and what does not add up.

The slices of a tensor make one row with its whole shape, so that every rule works as on a checkpoint
that was never cut. What is wrong between ranks becomes a `Lapse`, and the row gets the shape that it
should have: one cause is told once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from weightlint.index import Index, Kind
from weightlint.ranking.lapse import Lapse, Slip, merged
from weightlint.ranking.slices import fits, guess
from weightlint.ranking.worlds import settle_world

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from weightlint.dtype import Shape
    from weightlint.expected import Expected
    from weightlint.ranking.pile import Group, Pile
    from weightlint.ranking.worlds import World
    from weightlint.sharding import Rank

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Gathered:
    """One row per tensor of the whole model, and what does not add up between ranks."""

    index: Index
    lapses: tuple[Lapse, ...]


def gather(heap: Pile, expected: Expected | None) -> Gathered:
    """Make one row of whole shape for every tensor; a second copy within a rank stays a second row."""
    groups = heap.groups(expected)
    world = settle_world(heap, groups)
    judge = Judge(heap, world, strict=expected is None)
    lapses = list(world.lapses)
    kinds: dict[str, Kind] = {}
    again: list[tuple[str, int]] = []
    for group, names in groups.items():
        held, repeated = judge.held(group)
        kinds |= dict.fromkeys(names, judge.kind(group, held))
        lapses += [lapse for lapse in judge.lapses(group, held, names) if lapse.ranks]
        again += [(name, heap.rows[name][at]) for name in names for at in repeated]
    return Gathered(heap.whole(kinds, again), tuple(merged(lapses)))


class Judge:
    """Compares what the ranks hold of one tensor; `strict` asks for tensors without a slot as well."""

    def __init__(self, heap: Pile, world: World, *, strict: bool) -> None:
        self.heap = heap
        self.world = world
        self.strict = strict
        listed = zip(heap.index.files, heap.places, strict=True)
        self.lanes = {rank._replace(part=0) for file, rank in listed if file.path not in heap.lost}
        self.lanes -= world.foreign
        lost = (rank for file, rank in heap.ranks.places.items() if file in heap.lost)
        self.wanted = self.lanes | {rank._replace(part=0) for rank in (*heap.ranks.absent, *lost)}

    def held(self, group: Group) -> tuple[dict[Rank, Kind], list[int]]:
        """Return the kind that each rank holds, and which of the rows repeat another of their rank."""
        held: dict[Rank, Kind] = {}
        repeated: list[int] = []
        for at, (file_id, kind_id) in enumerate(group.rows):
            rank = self.heap.places[file_id]._replace(part=0)
            if rank in held:
                repeated.append(at)
            elif rank in self.lanes:
                held[rank] = self.heap.index.kinds[kind_id]
        return dict(sorted(held.items(), key=lambda pair: (pair[0].pp, pair[0]))), repeated

    def kind(self, group: Group, held: dict[Rank, Kind]) -> Kind:
        """Return dtype and shape of the whole tensor."""
        kinds = list(held.values()) or [self.heap.index.kinds[group.rows[0][1]]]
        dtype = _usual(kind.dtype for kind in kinds)
        slices = _known(self._slices(held).values())
        if not slices:
            return Kind(dtype, None)
        alike = len(set(slices)) == 1
        if group.slot is None:
            return Kind(dtype, slices[0])
        if not alike or fits(group.slot, slices, ways=self._ways(group, held)):
            return Kind(dtype, group.slot.shape)
        return Kind(dtype, guess(group.slot, slices[0], ways=self._ways(group, held)))

    def lapses(self, group: Group, held: dict[Rank, Kind], names: Sequence[str]) -> Iterator[Lapse]:
        """Say what the ranks do not agree about; for a tensor that nobody asked for only if `strict`."""
        if not held or (group.slot is None and not self.strict):
            return
        listed = tuple(names)
        lacking = tuple(sorted(self._needed(group, held) - set(held)))
        yield Lapse(slip=Slip.LACKS, ranks=lacking, names=listed, slot=group.slot)
        dtype = _usual(kind.dtype for kind in held.values())
        for odd, ranks in _odd({rank: kind.dtype for rank, kind in held.items()}, dtype).items():
            yield Lapse(
                slip=Slip.DTYPE,
                ranks=ranks,
                names=listed,
                slot=group.slot,
                expected=dtype or "",
                found=odd or "",
            )
        yield from self._shape_lapses(group, held, listed)

    def _shape_lapses(self, group: Group, held: dict[Rank, Kind], names: tuple[str, ...]) -> Iterator[Lapse]:
        slices = {rank: kind.shape for rank, kind in held.items() if kind.shape is not None}
        if len(set(slices.values())) < 2:
            return
        ways = self._ways(group, held)
        first = self._slices(held)
        slot = group.slot
        if slot is not None and fits(slot, _known(first.values()), ways=ways) and self._copies_agree(slices):
            return
        usual = self._usual_slice(group, slices, ways)
        if usual is None:
            found = " and ".join(str(list(shape)) for shape in dict.fromkeys(slices.values()))
            yield Lapse(slip=Slip.SUM, ranks=tuple(slices), names=names, slot=slot, found=found)
            return
        for odd, ranks in _odd(slices, usual).items():
            yield Lapse(
                slip=Slip.SHAPE,
                ranks=ranks,
                names=names,
                slot=slot,
                expected=str(list(usual)),
                found=str(list(odd)),
            )

    def _usual_slice(self, group: Group, slices: dict[Rank, Shape], ways: int) -> Shape | None:
        """Return the slice that all ranks should have: one that fits, else that of most of them."""
        counts = Counter(slices.values()).most_common()
        slot = group.slot
        if slot is not None:
            fitting = (shape for shape, _ in counts if fits(slot, [shape] * ways, ways=ways))
            if (shape := next(fitting, None)) is not None:
                return shape
        shape, count = counts[0]
        return shape if 2 * count > len(slices) else None

    def _copies_agree(self, slices: dict[Rank, Shape]) -> bool:
        by_tensor_rank: dict[int, set[Shape]] = defaultdict(set)
        for rank, shape in slices.items():
            by_tensor_rank[rank.tp].add(shape)
        return all(len(shapes) == 1 for shapes in by_tensor_rank.values())

    def _slices(self, held: dict[Rank, Kind]) -> dict[int, Shape | None]:
        """Return the shape on each tensor rank, that of the first stage and expert rank that has it."""
        slices: dict[int, Shape | None] = {}
        for rank, kind in held.items():
            slices.setdefault(rank.tp, kind.shape)
        return dict(sorted(slices.items()))

    def _needed(self, group: Group, held: dict[Rank, Kind]) -> set[Rank]:
        """Return the ranks that should hold a tensor, given those that do."""
        if group.placed:
            return set(held)
        stages, experts = {rank.pp for rank in held}, {rank.ep for rank in held}
        lanes = {rank for rank in self.lanes if rank.pp in stages}
        return {rank for rank in lanes if rank.ep in experts} if group.local else lanes

    def _ways(self, group: Group, held: dict[Rank, Kind]) -> int:
        """Return into how many slices a tensor is cut."""
        if group.placed:
            return 1
        if group.local:
            experts = {rank.ep for rank in held}
            return len({rank.tp for rank in self.wanted if rank.ep in experts})
        return self.world.ways


def _known(shapes: Iterable[Shape | None]) -> list[Shape]:
    return [shape for shape in shapes if shape is not None]


def _usual(values: Iterable[T]) -> T:
    return Counter(values).most_common(1)[0][0]


def _odd(values: dict[Rank, T], usual: T | None) -> dict[T, tuple[Rank, ...]]:
    """Return the ranks that hold something else than the usual, by what they hold."""
    odd: dict[T, list[Rank]] = defaultdict(list)
    for rank, value in values.items():
        if value != usual:
            odd[value].append(rank)
    return {value: tuple(sorted(ranks)) for value, ranks in odd.items()}
