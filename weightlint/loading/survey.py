"""One rank's load, worked out per group of tensors instead of per tensor.

Gives the same as `load.load` (a test holds them against each other) at a cost that hardly depends on the number of
tensors or experts.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from weightlint.loading.gathering import missed
from weightlint.loading.load import Loader
from weightlint.loading.outcome import Failure, Fill, Outcome, Skip, written

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from weightlint.dtype import Shape
    from weightlint.loading.building import Built
    from weightlint.loading.family import Family
    from weightlint.loading.groups import Group
    from weightlint.loading.model import Model
    from weightlint.loading.site import Site
    from weightlint.names import Coord


class Row(NamedTuple):
    """Tensors of one group in one layer: those of `coords` whose expert is `among` the rank's, or is not.

    `whole` tells that they are all the experts that the rank holds. `at` is the position of the expert's number.
    """

    layer: int | None
    coords: Collection[Coord]
    whole: bool = False
    at: int = 0
    among: Mapping[int, object] | None = None
    inside: bool = True

    def members(self) -> Iterator[Coord]:
        """Yield the coordinates."""
        if self.among is None:
            return iter(self.coords)
        return (coord for coord in self.coords if (coord[self.at] in self.among) is self.inside)


@dataclass(frozen=True, slots=True)
class Alike:
    """Tensors of one group with one outcome; `outcome` is that of the first of `cell`."""

    group: Group
    cell: Sequence[Row]
    outcome: Outcome

    @property
    def coords(self) -> Iterator[Coord]:
        """Yield the coordinates of the tensors."""
        return (coord for row in self.cell for coord in row.members())


@dataclass
class Survey:
    """What one rank, and every rank like it, ends up with; `last` is what is raised when all is read."""

    loader: Loader
    parts: list[Alike] = field(default_factory=list)
    written: dict[str, int] = field(default_factory=dict)
    last: Failure | None = None

    @property
    def built(self) -> Built:
        """The rank's parameters."""
        return self.loader.built

    @property
    def failures(self) -> list[Alike]:
        """What raises."""
        return [part for part in self.parts if isinstance(part.outcome, Failure)]

    @property
    def first_failure(self) -> tuple[tuple[int, str], Alike] | None:
        """What raises first: its place in the order of reading, and the tensors that fare alike."""
        found = [(min(map(it.group.place, it.coords)), at) for at, it in enumerate(self.failures)]
        if not found:
            return None
        place, at = min(found)
        return place, self.failures[at]

    @property
    def lacking(self) -> dict[str, tuple[int, int]]:
        """Parameters of which elements stay without a value that serves, with the numbers written and in all."""
        out: dict[str, tuple[int, int]] = {}
        for name, param in self.built.params.items():
            got = self.written.get(name, 0)
            if got != param.elements and not (got == 0 and (param.default or param.sound)):
                out[name] = (got, param.elements)
        return out


class Surveyor:
    """Surveys ranks of one model; what does not depend on the rank is worked out once."""

    def __init__(self, model: Model, family: Family, groups: Sequence[Group]) -> None:
        self.model = model
        self.family = family
        self.groups = groups
        sorts = sorts_of_layers(model)
        self.rows = [list(_rows(group, sorts, model.experts)) for group in groups]

    def survey(self, site: Site) -> Survey:
        """Survey one rank."""
        loader = Loader(self.model, self.family, site)
        out = Survey(loader, last=loader.last)
        if out.built.error is not None:
            return out
        gone = self._missed(loader)
        out.last = gone or out.last
        out.parts = [] if gone else list(self._followed(loader, site))
        cover = Cover(site, loader.places)
        for part in out.parts:
            for fill in written(part.outcome):
                cover.add(part.group, part.cell, fill)
        out.written = cover.written()
        return out

    def _missed(self, loader: Loader) -> Failure | None:
        """Return what a load function raises that looks for some tensors before it copies any."""
        if loader.shared is None or not self.groups:
            return None
        return missed(loader.shared, self.model, self.groups[0].index.rows)

    def _followed(self, loader: Loader, site: Site) -> Iterator[Alike]:
        """Follow each cell by its first tensor; tensors that wait for others one by one, in the order of reading."""
        waiting: list[tuple[tuple[int, str], Group, Row]] = []
        for group, rows in zip(self.groups, self.rows, strict=True):
            for cell in self._cells(group, rows, site):
                outcome = loader.follow(group.tensor(next(cell[0].members())))
                if isinstance(outcome, Skip) and outcome.why == "half":
                    waiting += [(group.place(next(row.members())), group, row) for row in cell]
                    loader.forget()
                else:
                    yield Alike(group, cell, outcome)
        late: dict[str, Alike] = {}
        for _, group, row in sorted(waiting, key=lambda it: it[0]):
            tensor = group.tensor(next(row.members()))
            outcome = loader.follow(tensor)
            late[tensor.name] = Alike(group, [row], outcome)
            for name in outcome.beside if isinstance(outcome, Fill) else ():
                late[name] = replace(late[name], outcome=outcome)
        yield from late.values()

    def _cells(self, group: Group, rows: list[tuple[object, Row]], site: Site) -> Iterator[list[Row]]:
        """Split a group into tensors that this rank treats alike."""
        cells: dict[tuple[object, ...], list[Row]] = defaultdict(list)
        local, layers, count = site.experts, site.layers, self.model.experts
        at = group.expert_at if count else None
        has_all = len(local) == count
        for number, row in rows:
            layer, coords, whole = row[:3]
            sort = number, layer is None or layer in layers
            if at is None or (whole and has_all):
                cells[sort].append(row)
            elif whole:
                if local:
                    cells[*sort, "here"].append(Row(layer, coords, whole=True, at=at, among=local))
                cells[*sort, "away"].append(Row(layer, coords, at=at, among=local, inside=False))
            else:
                halves: dict[tuple[bool, bool], list[Coord]] = defaultdict(list)
                for coord in coords:
                    halves[coord[at] in local, coord[at] >= count].append(coord)
                for half, some in halves.items():
                    cells[*sort, *half].append(Row(layer, some, at=at))
        yield from cells.values()


def _rows(group: Group, sorts: Mapping[int, int], experts: int) -> Iterator[tuple[object, Row]]:
    """Yield the layers of a group with the number of their sort; `whole` are those with all the experts of the model."""
    whole = group.complete(experts) if group.expert_at is not None and experts else frozenset()
    for layer, coords in group.by_layer.items():
        yield None if layer is None else sorts.get(layer), Row(layer, coords, whole=layer in whole)


PLAIN = frozenset({-1})
"""Stands for the numbers of experts where a parameter is no stack of them."""


class Cover:
    """Which regions of which parameters of a rank are written."""

    def __init__(self, site: Site, places: Mapping[int, tuple[int, ...]]) -> None:
        self.site = site
        self.places = places
        self.regions: dict[str, dict[tuple[Shape, Shape], tuple[int, frozenset[int]]]] = defaultdict(dict)
        self._stack = site.local_experts

    def add(self, group: Group, cell: Sequence[Row], fill: Fill) -> None:
        """Note what a cell of tensors writes, of which the first one does `fill`."""
        at = group.expert_at
        stacked = at is not None and len(fill.start) > len(fill.shape)
        region = (fill.start[1:] if stacked else fill.start, fill.shape)
        old = None if group.layer_at is None else f"layers.{cell[0].layer}."
        everywhere = frozenset(self.site.experts)
        for row in cell:
            name = fill.param if old is None else fill.param.replace(old, f"layers.{row.layer}.", 1)
            if not stacked or at is None:
                numbers = PLAIN
            else:
                numbers = everywhere if row.whole else frozenset(coord[at] for coord in row.members())
            regions = self.regions[name]
            if region in regions:
                numbers = regions[region][1] | numbers
            regions[region] = fill.elements, numbers

    def written(self) -> dict[str, int]:
        """Return the elements that are written of each parameter."""
        return {
            name: sum(size * self._places(numbers) for size, numbers in regions.values())
            for name, regions in self.regions.items()
        }

    def _places(self, numbers: frozenset[int]) -> int:
        """Count the places that experts take on the rank, 1 for what is no expert's."""
        if numbers is PLAIN:
            return 1
        if len(numbers) == len(self.site.experts) and -1 not in numbers:
            return self._stack
        return sum(1 if number < 0 else len(self.places.get(number, ())) for number in numbers)


def sorts_of_layers(model: Model) -> dict[int, int]:
    """Give a number to each sort of layer: of one sort are those in which the same slots have a tensor."""
    has: dict[int, list[int]] = defaultdict(list)
    for at, slot in enumerate(model.expected.slots):
        for layer in {n for box in slot.boxes if box for n in box[0]}:
            has[layer].append(at)
    numbers: dict[tuple[int, ...], int] = {}
    return {layer: numbers.setdefault(tuple(slots), len(numbers)) for layer, slots in has.items()}
