"""What an architecture needs, as slots, and the rewrites that all quants and dialects are made with.

Every rewrite returns a new `Expected`. Knows nothing of files or of what was found.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from weightlint.dtype import FLOATS, Shape
from weightlint.names import Coord, Template, brace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from weightlint.form import Form
    from weightlint.moving.recipe import Recipe

Axis = tuple[int, ...]
"""The whole numbers, rising, that one placeholder of a name may take."""

Box = tuple[Axis, ...]
"""One axis per placeholder, left to right; stands for their product."""

NOT_LAYERS = frozenset({"expert", "draft", "vision"})
"""Axes that number something else than the layers of the decoder: drafts are MTP layers with names of their own."""

DRAFT = re.compile(r"(^|[.])mtp[._]")
"""What stands in the names of MTP layers that are no decoder layers by number."""

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Presence(StrEnum):
    """Whether a tensor must be there."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    TIED = "tied"
    IGNORABLE = "ignorable"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slot:
    """One expected family over a domain of coordinates.

    `pattern` names the tensors with `{axis}` placeholders; `boxes` are disjoint and together the
    domain, so that a ragged family needs several. `shape` is row-major `[out, in]`, `formula` the
    same as the schema writes it. `cut` and `stage` are the schema's hints for tensor and pipeline
    parallelism. `of` is, for a companion such as a block scale, the pattern of its weight. `parts` are
    the slots that a fused tensor is made of, in order. `absent` is how the absence of an optional tensor is
    judged. With `outer_ones`, outermost dimensions of 1 are of no account, with `ones` all of them; where a slot is `opaque` its shape
    is not known; with `padding` it may have more rows, a multiple of that number. A `transposed` matrix is `[in, out]`. Of a
    quantised weight, `form` says how it is stored and `plain` is the slot of the weight itself; `sides` tells along which
    side of the weight each dimension runs, 0 for out, 1 for in.
    """

    pattern: str
    boxes: tuple[Box, ...]
    shape: Shape
    formula: tuple[str, ...] = ()
    dtypes: frozenset[str] = FLOATS
    kind: str = "param"
    need: Presence = Presence.REQUIRED
    why: str | None = None
    absent: str | None = None
    outer_ones: bool = False
    ones: bool = False
    tie: str | None = None
    cut: str | None = None
    stage: str | None = None
    quant: bool = True
    of: str | None = None
    origin: str = ""
    parts: tuple[Slot, ...] = ()
    opaque: bool = False
    padding: int = 0
    transposed: bool = False
    plain: Slot | None = None
    form: Form | None = None
    sides: tuple[int | None, ...] = ()

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the placeholders, left to right."""
        return tuple(_PLACEHOLDER.findall(self.pattern))

    @property
    def is_layered(self) -> bool:
        """Tell whether the first number of a name is that of a layer of the decoder, or of an MTP layer behind it."""
        return bool(self.axes) and self.axes[0] not in NOT_LAYERS

    @property
    def is_draft(self) -> bool:
        """Tell whether the names are those of an MTP layer that is not numbered on from the decoder's."""
        return DRAFT.search(self.pattern) is not None

    @property
    def literals(self) -> tuple[str, ...]:
        """Literal text around the placeholders, one piece more than there are axes."""
        return tuple(_PLACEHOLDER.split(self.pattern)[::2])

    @property
    def template(self) -> Template:
        """The name with every whole-number segment as `*`, as `names.fold` would give it."""
        parts = _PLACEHOLDER.sub("0", self.pattern).split(".")
        return Template(".".join("*" if part.isdigit() else part for part in parts))

    @property
    def count(self) -> int:
        """Number of tensors."""
        total = 0
        for box in self.boxes:
            size = 1
            for axis in box:
                size *= len(axis)
            total += size
        return total

    def coords(self) -> Iterator[Coord]:
        """Yield the domain, in the same order as `names`."""
        return itertools.chain.from_iterable(itertools.product(*box) for box in self.boxes)

    def names(self) -> list[str]:
        """Build every name of the domain."""
        first, *rest = self.literals
        out: list[str] = []
        for box in self.boxes:
            heads = [first]
            for axis, literal in zip(box, rest, strict=True):
                tails = [f"{number}{literal}" for number in axis]
                heads = [head + tail for head in heads for tail in tails]
            out += heads
        return out

    def name(self, coord: Coord) -> str:
        """Build one name."""
        first, *rest = self.literals
        return first + "".join(f"{at}{text}" for at, text in zip(coord, rest, strict=True))

    def patterns(self, coords: Iterable[Coord] | None = None) -> list[str]:
        """Write some coordinates, or all, as exact brace patterns."""
        return brace(self.literals, set(self.coords() if coords is None else coords))

    def where(self, keep: Callable[[Coord], bool]) -> Slot | None:
        """Return the slot over the coordinates that `keep` accepts, or None if none is left."""
        kept = [coord for coord in self.coords() if keep(coord)]
        if len(kept) == self.count:
            return self
        return replace(self, boxes=boxed(kept)) if kept else None


def boxed(coords: Iterable[Coord]) -> tuple[Box, ...]:
    """Cover a set of coordinates by disjoint boxes."""
    members = set(coords)
    if not members:
        return ()
    if not next(iter(members)):
        return ((),)
    tails: dict[int, set[Coord]] = {}
    for head, *tail in members:
        tails.setdefault(head, set()).add(tuple(tail))
    heads: dict[frozenset[Coord], list[int]] = {}
    for head in sorted(tails):
        heads.setdefault(frozenset(tails[head]), []).append(head)
    return tuple((tuple(group), *rest) for tail, group in heads.items() for rest in boxed(tail))


@dataclass(frozen=True, slots=True)
class Ignore:
    """Tensors to accept without a slot: `*` stands for any text, `{axis}` for its numbers."""

    pattern: str
    why: str
    axes: Mapping[str, frozenset[int]] = field(default_factory=dict)

    def matcher(self) -> Callable[[str], bool]:
        """Compile the pattern."""
        source = "".join(self._piece(part) for part in re.split(r"(\*|\{\w+\})", self.pattern))
        regex = re.compile(source, re.DOTALL)
        axes = [self.axes[name] for name in _PLACEHOLDER.findall(self.pattern)]

        def matches(name: str) -> bool:
            found = regex.fullmatch(name)
            return found is not None and all(
                int(number) in axis for number, axis in zip(found.groups(), axes, strict=True)
            )

        return matches

    @staticmethod
    def _piece(part: str) -> str:
        if part == "*":
            return ".*"
        return r"(\d{1,9})" if _PLACEHOLDER.fullmatch(part) else re.escape(part)


@dataclass(frozen=True, slots=True)
class Layout:
    """An equal alternative: `slots` in place of the slots whose patterns are `dropped`.

    One of the two holds for each number of their first common axis. Companions go with their weight.
    One that is `refused` is known, so that it can be told as what it is; the text says who takes it. `marks` are the
    patterns of the slots whose presence tells that it is this one; all of them where none are given. With `by_type`
    a type that the plain tensor of that name cannot have tells it as well.
    """

    name: str
    dropped: frozenset[str]
    slots: tuple[Slot, ...]
    refused: str | None = None
    marks: frozenset[str] = frozenset()
    by_type: bool = False


@dataclass(frozen=True)
class Expected:
    """All slots of one model, with what may stand beside them.

    `axes` are the evaluated axes of the schema by name, `extents` the formulas of those that count from
    0, `sizes` the whole numbers of the config. Where a dialect has rewritten the slots, `recipes` say how,
    and `dropped` are the slots that it leaves out.
    """

    slots: tuple[Slot, ...]
    ignores: tuple[Ignore, ...] = ()
    layouts: tuple[Layout, ...] = ()
    axes: Mapping[str, Axis] = field(default_factory=dict)
    schema: str = ""
    extents: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    recipes: tuple[Recipe, ...] = ()
    dropped: tuple[Slot, ...] = ()

    @cached_property
    def by_template(self) -> dict[Template, list[Slot]]:
        """Slots by folded name; several where one name has several shapes."""
        table: dict[Template, list[Slot]] = {}
        for slot in self.slots:
            table.setdefault(slot.template, []).append(slot)
        return table

    @property
    def count(self) -> int:
        """Number of tensors of all slots that must be there."""
        return sum(slot.count for slot in self.slots if slot.need is Presence.REQUIRED)

    def replace(self, rewrite: Callable[[Slot], Iterable[Slot]]) -> Expected:
        """Give for every slot the slots that stand in its place."""
        return replace(
            self,
            slots=tuple(new for slot in self.slots for new in rewrite(slot)),
            layouts=tuple(
                replace(layout, slots=tuple(new for slot in layout.slots for new in rewrite(slot)))
                for layout in self.layouts
            ),
        )

    def rename(self, spell: Callable[[str], str]) -> Expected:
        """Spell every name anew, companions, ties, layouts and ignored names as well."""

        def respell(slot: Slot) -> Slot:
            return replace(
                slot,
                pattern=spell(slot.pattern),
                tie=slot.tie and spell(slot.tie),
                of=slot.of and spell(slot.of),
                plain=slot.plain and respell(slot.plain),
            )

        renamed = self.replace(lambda slot: [respell(slot)])
        return replace(
            renamed,
            ignores=tuple(replace(ignore, pattern=spell(ignore.pattern)) for ignore in self.ignores),
            layouts=tuple(
                replace(
                    layout,
                    dropped=frozenset(map(spell, layout.dropped)),
                    marks=frozenset(map(spell, layout.marks)),
                )
                for layout in renamed.layouts
            ),
            recipes=tuple(
                replace(recipe, targets=tuple(map(respell, recipe.targets))) for recipe in self.recipes
            ),
        )

    def choose(self, layout: Layout, heads: frozenset[Coord]) -> Expected:
        """Use a layout where the first number is one of these and the plain slots elsewhere.

        A head is a coordinate cut to its first number, empty for names without numbers.
        """
        others = tuple(it for it in self.layouts if it is not layout)
        if not heads:
            return replace(self, layouts=others)
        plain = (
            slot.where(lambda coord: coord[:1] not in heads)
            if slot.pattern in layout.dropped or slot.of in layout.dropped
            else slot
            for slot in self.slots
        )
        chosen = (slot.where(lambda coord: coord[:1] in heads) for slot in layout.slots)
        kept = tuple(slot for slot in (*plain, *chosen) if slot is not None)
        return replace(self, slots=kept, layouts=others)
