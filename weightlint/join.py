"""Index x Expected -> Joined: which slot each row fills, what is missing, what is left over.

The names of the slots are built and looked up, which costs a fifth of folding every name that
was found; only what is left over is folded.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightlint.expected import Expected, Ignore, Layout, Presence, Slot
from weightlint.names import Coord, Template, fold

if TYPE_CHECKING:
    from weightlint.dtype import Shape
    from weightlint.index import Index, Kind

Extra = dict[Template, dict[Coord, int]]
"""Rows that no slot asked for, by folded name."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The outcome of one join.

    `matched` has the rows of each slot; `missing` the coordinates that a slot lacks, `partly` the
    slots of which some but not all tensors are there; `misfits` the rows of a slot whose kind
    (dtype, shape) it does not allow.
    """

    expected: Expected
    matched: dict[Slot, list[int]]
    missing: dict[Slot, list[Coord]]
    extra: Extra
    ignored: int
    misfits: dict[Slot, dict[Kind, list[int]]]

    @property
    def checked(self) -> int:
        """Number of rows that a slot, an ignored name or a rule for extras has judged."""
        return sum(map(len, self.matched.values())) + self.ignored + sum(map(len, self.extra.values()))

    @property
    def unmet(self) -> int:
        """Number of required tensors that are missing."""
        return sum(len(coords) for slot, coords in self.missing.items() if slot.need is Presence.REQUIRED)


def join(index: Index, expected: Expected) -> Joined:
    """Match every row of the index with the slots, by name, dtype and shape."""
    for layout in expected.layouts:
        expected = settle(index, expected, layout)
    rows = index.rows
    seen = bytearray(len(index))
    matched: dict[Slot, list[int]] = {}
    missing: dict[Slot, list[Coord]] = {}
    for slot in expected.slots:
        found = list(map(rows.get, slot.names()))
        if None in found:
            missing[slot] = [c for c, row in zip(slot.coords(), found, strict=True) if row is None]
        there = [row for row in found if row is not None]
        if there:
            matched[slot] = there
            for row in there:
                seen[row] = 1
    extra, ignored = _leftover(index, expected, seen)
    misfits = {slot: odd for slot, there in matched.items() if (odd := misfit(index, slot, there))}
    return Joined(expected, matched, missing, extra, ignored, misfits)


def settle(index: Index, expected: Expected, layout: Layout) -> Expected:
    """Choose between a layout and the plain slots, for each number of the first axis."""
    heads = {
        coord[:1]
        for slot in layout.slots
        for coord, name in zip(slot.coords(), slot.names(), strict=True)
        if name in index.rows and _tells(index, layout, slot, name)
    }
    return expected.choose(layout, frozenset(heads))


def _tells(index: Index, layout: Layout, slot: Slot, name: str) -> bool:
    """Tell whether a tensor is of this layout: by its name, or by a type that a plain weight of that name has not."""
    if not layout.marks or slot.pattern in layout.marks:
        return True
    dtype = index.kind(index.rows[name]).dtype
    if not layout.by_type or slot.plain is None:
        return False
    return dtype in slot.dtypes and dtype not in slot.plain.dtypes


def _leftover(index: Index, expected: Expected, seen: bytearray) -> tuple[Extra, int]:
    extra: Extra = defaultdict(dict)
    if seen.count(1) == len(index.rows):
        return {}, 0
    ends = tuple(end for ignore in expected.ignores if (end := _end(ignore)) is not None)
    matchers = [ignore.matcher() for ignore in expected.ignores if _end(ignore) is None]
    ignored = 0
    for name, row in index.rows.items():
        if seen[row]:
            continue
        if name.endswith(ends) or any(matches(name) for matches in matchers):
            ignored += 1
            continue
        template, coord = fold(name)
        extra[template][coord] = row
    return dict(extra), ignored


def _end(ignore: Ignore) -> str | None:
    """Return what a name must end with, where that is all: such a test is much faster."""
    end = ignore.pattern[1:]
    return end if ignore.pattern.startswith("*") and not set(end) & {"*", "{"} else None


def misfit(index: Index, slot: Slot, rows: list[int]) -> dict[Kind, list[int]]:
    """Return the rows whose dtype or shape the slot does not allow, by kind."""
    ids = set(map(index.kind_ids.__getitem__, rows))
    wrong = {kind_id for kind_id in ids if not fits(slot, index.kinds[kind_id])}
    if not wrong:
        return {}
    out: dict[Kind, list[int]] = defaultdict(list)
    for row in rows:
        if index.kind_ids[row] in wrong:
            out[index.kind(row)].append(row)
    return dict(out)


def fits(slot: Slot, kind: Kind) -> bool:
    """Tell whether a slot allows this dtype and shape; what is unknown is allowed."""
    return has_shape(slot, kind) and (kind.dtype is None or kind.dtype in slot.dtypes)


def has_shape(slot: Slot, kind: Kind) -> bool:
    """Tell whether a slot allows this shape; an unknown one is allowed."""
    if kind.shape is None or slot.opaque or kind.shape == slot.shape or _padded(slot, kind.shape):
        return True
    if slot.ones:
        return [size for size in kind.shape if size != 1] == [size for size in slot.shape if size != 1]
    return slot.outer_ones and _without_outer_ones(kind.shape) == _without_outer_ones(slot.shape)


def _without_outer_ones(shape: Shape) -> Shape:
    first = next((at for at, size in enumerate(shape) if size != 1), len(shape))
    return shape[first:]


def _padded(slot: Slot, shape: Shape) -> bool:
    """Tell whether a shape is that of a slot with more rows, filled up to a multiple."""
    more = bool(slot.padding and shape) and shape[1:] == slot.shape[1:] and shape[0] > slot.shape[0]
    return more and shape[0] % slot.padding == 0
