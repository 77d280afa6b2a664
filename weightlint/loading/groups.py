"""Tensors that a loader treats alike: one family, one dtype and shape, split by layers and experts.

A loader never looks at more of a name than its words, the number of its layer and that of its expert, so that one tensor
stands for all of its group whose layers are of one sort.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from weightlint.loading.model import TORCH
from weightlint.loading.steps import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from weightlint.index import Index, Kind
    from weightlint.names import Coord, Template


@dataclass(frozen=True)
class Group:
    """Rows of one family that have one kind, by coordinate."""

    index: Index
    template: Template
    kind: Kind
    rows: Mapping[Coord, int]

    def tensor(self, coord: Coord) -> Tensor:
        """Return one of its tensors."""
        dtype = self.kind.dtype or ""
        return Tensor(self.index.names[self.rows[coord]], self.kind.shape or (), TORCH.get(dtype, dtype))

    @cached_property
    def layer_at(self) -> int | None:
        """Position of the layer's number in a coordinate."""
        return _after(self.template, "layers")

    @cached_property
    def expert_at(self) -> int | None:
        """Position of the expert's number in a coordinate."""
        return _after(self.template, "experts")

    @cached_property
    def by_layer(self) -> Mapping[int | None, list[Coord]]:
        """Coordinates by number of layer, None for all where there is none."""
        at = self.layer_at
        if at is None:
            return {None: list(self.rows)}
        out: dict[int | None, list[Coord]] = defaultdict(list)
        for coord in self.rows:
            out[coord[at]].append(coord)
        return dict(out)

    def complete(self, experts: int) -> frozenset[int | None]:
        """Return the layers in which each of so many experts has its tensor, and none beyond."""
        return self._complete(experts)

    @cached_property
    def _complete(self) -> Callable[[int], frozenset[int | None]]:
        at = self.expert_at
        known: dict[int, frozenset[int | None]] = {}

        def complete(experts: int) -> frozenset[int | None]:
            if experts not in known:
                known[experts] = frozenset(
                    layer
                    for layer, coords in self.by_layer.items()
                    if at is not None
                    and len(coords) == experts
                    and max(coord[at] for coord in coords) < experts
                )
            return known[experts]

        return complete


def _after(template: Template, word: str) -> int | None:
    """Return which of the numbers of a name follows a segment."""
    segments = template.split(".")
    stars = [at for at, segment in enumerate(segments) if segment == "*"]
    return next((n for n, at in enumerate(stars) if at and segments[at - 1] == word), None)


def grouped(index: Index) -> list[Group]:
    """Split the rows of a checkpoint into groups, in order of reading."""
    out: list[Group] = []
    for template, rows in index.families.items():
        ids = set(map(index.kind_ids.__getitem__, rows.values()))
        if len(ids) == 1:
            out.append(Group(index, template, index.kinds[ids.pop()], rows))
            continue
        parts: dict[int, dict[Coord, int]] = defaultdict(dict)
        for coord, row in rows.items():
            parts[index.kind_ids[row]][coord] = row
        out += [Group(index, template, index.kinds[kind_id], part) for kind_id, part in parts.items()]
    return out


def tensors(index: Index) -> list[Tensor]:
    """List the tensors of a checkpoint in order of reading: file by file, in each as its header has them."""
    kinds = [(kind.shape or (), TORCH.get(kind.dtype or "", kind.dtype or "")) for kind in index.kinds]
    return [Tensor(name, *kinds[kind_id]) for name, kind_id in zip(index.names, index.kind_ids, strict=True)]
