"""Tensors that a loader treats alike: one family, one dtype and shape, split by layers and experts.

A loader never looks at more of a name than its words, the number of its layer and that of its expert, so that one tensor
stands for all of its group whose layers are of one sort.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from weightlint.loading.model import TORCH
from weightlint.loading.steps import Tensor
from weightlint.names import Template, fold, unfold

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from weightlint.expected import Axis, Slot
    from weightlint.index import Index, Kind
    from weightlint.join import Joined
    from weightlint.names import Coord


@dataclass(frozen=True, slots=True)
class Box:
    """The coordinates of one layer as a product of axes, not written out."""

    layer: int
    axes: tuple[Axis, ...]

    def __len__(self) -> int:
        """Count the coordinates."""
        total = 1
        for axis in self.axes:
            total *= len(axis)
        return total

    def __iter__(self) -> Iterator[Coord]:
        """Yield the coordinates."""
        return itertools.product((self.layer,), *self.axes)

    def __contains__(self, coord: object) -> bool:
        """Tell whether a coordinate is one of them."""
        return isinstance(coord, tuple) and coord in set(self)


@dataclass(frozen=True)
class Group:
    """Rows of one family that have one kind: coordinates by layer, under None where names have no layer.

    `full` are, by number of experts, the layers in which each of so many experts has its tensor, and none beyond.
    """

    index: Index
    template: Template
    kind: Kind
    by_layer: Mapping[int | None, Collection[Coord]]
    full: dict[int, frozenset[int | None]] = field(default_factory=dict)

    def name(self, coord: Coord) -> str:
        """Return the name of one of its tensors."""
        return unfold(self.template, coord)

    def row(self, coord: Coord) -> int:
        """Return the row of one of its tensors in the index."""
        return self.index.rows[self.name(coord)]

    def place(self, coord: Coord) -> tuple[int, str]:
        """Return when one of its tensors is read: file by file, in each by name.

        So a safetensors file gives its names out: safetensors, bindings/python/src/lib.rs, `keys`.
        """
        return self.index.file_ids[self.row(coord)], self.name(coord)

    def tensor(self, coord: Coord) -> Tensor:
        """Return one of its tensors."""
        dtype = self.kind.dtype or ""
        return Tensor(self.name(coord), self.kind.shape or (), TORCH.get(dtype, dtype))

    @property
    def layer_at(self) -> int | None:
        """Position of the layer's number in a coordinate."""
        return after(self.template, "layers")

    @property
    def expert_at(self) -> int | None:
        """Position of the expert's number in a coordinate."""
        return after(self.template, "experts")

    def complete(self, experts: int) -> frozenset[int | None]:
        """Return the layers in which each of so many experts has its tensor, and none beyond."""
        if experts not in self.full:
            at = self.expert_at
            whole = (layer for layer, coords in self.by_layer.items() if _is_whole(coords, at, experts))
            self.full[experts] = frozenset(whole)
        return self.full[experts]


def _is_whole(coords: Collection[Coord], at: int | None, experts: int) -> bool:
    if at is None or len(coords) != experts:
        return False
    if isinstance(coords, Box) and at == 1 and len(coords.axes) == 1:
        return coords.axes[0][-1] == experts - 1
    return max(coord[at] for coord in coords) < experts


def after(template: Template, word: str) -> int | None:
    """Return which of the numbers of a name follows a segment."""
    stars = -1
    before = ""
    for segment in template.split("."):
        if segment == "*":
            stars += 1
            if before == word:
                return stars
        before = segment
    return None


def grouped(index: Index, joined: Joined | None = None) -> list[Group]:
    """Split the rows of a checkpoint into groups, in the order of the files; a join saves the folding of names that it has placed."""
    if joined is None:
        return list(_of_rows(index, range(len(index))))
    out: list[Group] = []
    taken: list[list[int]] = []
    for slot, rows in joined.matched.items():
        ids = set(map(index.kind_ids.__getitem__, rows))
        if slot not in joined.missing and len(ids) == 1:
            out.append(_of_slot(index, slot, index.kinds[ids.pop()]))
            taken.append(rows)
    out += _of_rows(index, _others(len(index), taken))
    return sorted(out, key=_first_row)


def _others(count: int, taken: Iterable[Iterable[int]]) -> Sequence[int]:
    """Return the rows of so many that are not taken."""
    known = set(itertools.chain.from_iterable(taken))
    return [row for row in range(count) if row not in known] if len(known) < count else ()


def _first_row(group: Group) -> int:
    """Return the row of a tensor of the first layer: groups are fed as files are read, since some wait for others."""
    coords = next(iter(group.by_layer.values()))
    return group.row(next(iter(coords)))


def _of_slot(index: Index, slot: Slot, kind: Kind) -> Group:
    """Make a group of a slot of which every tensor is there."""
    if not slot.axes or after(slot.template, "layers") != 0:
        return Group(index, slot.template, kind, _layers(slot.template, slot.coords()))
    by_layer: dict[int | None, Collection[Coord]] = {}
    for box in slot.boxes:
        by_layer |= {layer: Box(layer, box[1:]) for layer in box[0] if layer not in by_layer}
    if sum(map(len, by_layer.values())) != slot.count:
        by_layer = _layers(slot.template, slot.coords())
    return Group(index, slot.template, kind, by_layer)


def _of_rows(index: Index, rows: Sequence[int]) -> Iterator[Group]:
    """Fold the names of rows and make groups of them, in order of reading; of rows with one name the first counts."""
    parts: dict[tuple[Template, int], list[Coord]] = defaultdict(list)
    for row in rows:
        name = index.names[row]
        if index.rows[name] == row:
            template, coord = fold(name)
            parts[template, index.kind_ids[row]].append(coord)
    for (template, kind_id), coords in parts.items():
        yield Group(index, template, index.kinds[kind_id], _layers(template, coords))


def _layers(template: Template, coords: Iterable[Coord]) -> dict[int | None, Collection[Coord]]:
    at = after(template, "layers")
    if at is None:
        return {None: list(coords)}
    out: dict[int | None, list[Coord]] = defaultdict(list)
    for coord in coords:
        out[coord[at]].append(coord)
    return dict(out)


def tensors(index: Index, *, by_name: bool = False) -> list[Tensor]:
    """List the tensors of a checkpoint file by file, in each as its header has them or sorted by name."""
    kinds = [(kind.shape or (), TORCH.get(kind.dtype or "", kind.dtype or "")) for kind in index.kinds]
    rows: Iterable[int] = range(len(index))
    if by_name:
        rows = sorted(rows, key=lambda row: (index.file_ids[row], index.names[row]))
    return [Tensor(index.names[row], *kinds[index.kind_ids[row]]) for row in rows]
