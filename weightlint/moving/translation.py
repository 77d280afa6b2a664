"""Slots of a schema, the table of a dialect -> recipes: which line takes which slot, over which numbers.

Knows nothing of files and nothing of which dialect it works for.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from weightlint import expr
from weightlint.expected import Presence, Slot
from weightlint.moving.domain import by_last, first_in, meet, without
from weightlint.moving.line import LEAVES
from weightlint.moving.move import Concat, MoveError, Stack
from weightlint.moving.opaque import Repack
from weightlint.moving.recipe import Recipe
from weightlint.moving.sizes import Dim, dims_of, formula_of, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from weightlint.dialect import Dialect
    from weightlint.expected import Axis
    from weightlint.moving.domain import Domain
    from weightlint.moving.line import Line
    from weightlint.moving.move import Move, Row

_HOLE = re.compile(r"\*|\{\w+\}")
_INSIDE = re.compile(r"(?<=[^.])\*")
COMPANION = "_scale_inv"
"""What a block scale's name has behind that of its weight, in a schema's spelling."""


@dataclass(frozen=True, slots=True)
class Model:
    """What a table needs to know of one model: sizes and axes by name, formulas of axes, its schema.

    `spread` are the numbers of placeholders that only the dialect has.
    """

    arch: str
    sizes: Mapping[str, int] = field(default_factory=dict)
    extents: Mapping[str, str] = field(default_factory=dict)
    first_mtp: int = 0
    spread: Mapping[str, Axis] = field(default_factory=dict)

    def measure(self, text: str) -> int:
        """Evaluate an expression over config fields.

        Raises:
            MoveError: a field is not known.
        """
        try:
            return int(expr.parse(text).value(self.sizes.__getitem__))
        except expr.EvaluationError as error:
            message = f"{text} is not known: {error}"
            raise MoveError(message) from error


class Translator:
    """Takes slots, line by line, and remembers what was taken; the first line that fits wins."""

    def __init__(self, slots: Sequence[Slot], model: Model, dialect: Dialect) -> None:
        self.slots = slots
        self.model = model
        self.dialect = dialect
        self.recipes: list[Recipe] = []
        self.dropped: list[Slot] = []
        self.taken: dict[Slot, list[Domain]] = {}
        self.spelt: dict[str, str] = {}
        self.by_template: dict[str, list[Slot]] = {}
        for slot in slots:
            self.by_template.setdefault(slot.template, []).append(slot)
        self.routed = {n for slot in slots if len(slot.axes) > 1 for box in slot.boxes for n in box[0]}

    def use(self, line: Line) -> None:
        """Take what a line is for: weights, biases, and the scales of its weights."""
        spell = self.dialect.scale
        for leaf in LEAVES:
            targets = tuple(target + leaf for target in line.targets)
            self._take(line, [source + leaf for source in line.sources], targets)
            if spell is not None:
                scales = () if line.packs else tuple(map(spell, targets))
                self._take(line, [source + leaf + COMPANION for source in line.sources], scales)

    def keep(self, spell: Callable[[str], str]) -> None:
        """Let all that no line has taken keep its shape, under names that `spell` gives."""
        for slot in self.left():
            named = replace(slot, pattern=spell(slot.pattern))
            self._note(Recipe((slot,), (), (self._typed(named),)))
        self.taken = {slot: [slot.boxes] for slot in self.slots}

    def left(self) -> list[Slot]:
        """Return what no line has taken."""
        rest = ((slot, self._rest(slot)) for slot in self.slots)
        return [slot if boxes == slot.boxes else replace(slot, boxes=boxes) for slot, boxes in rest if boxes]

    def _rest(self, slot: Slot) -> Domain:
        return without(slot.boxes, self.taken.get(slot, ()))

    def finished(self) -> tuple[Recipe, ...]:
        """Return the recipes, with ties and companions spelt as their targets are."""
        return tuple(replace(it, targets=tuple(map(self._linked, it.targets))) for it in self.recipes)

    def _linked(self, slot: Slot) -> Slot:
        if slot.tie is None and slot.of is None:
            return slot
        tie, of = (name and self.spelt.get(name, name) for name in (slot.tie, slot.of))
        return replace(slot, tie=tie, of=of)

    def _take(self, line: Line, sources: Sequence[str], targets: tuple[str, ...]) -> None:
        groups = [self.by_template.get(source, []) for source in sources]
        for slots in itertools.product(*groups):
            domain = meet([slot.boxes if line.copy else self._rest(slot) for slot in slots])
            if line.layers:
                wanted = line.layers == "moe"
                domain = first_in(domain, lambda number: (number in self.routed) is wanted)  # noqa: B023 -- used at once
            if not targets:
                self._drop(slots, domain)
                continue
            for gathered, boxes in _gathered(slots[0], targets[0], domain):
                named = (
                    tuple(_INSIDE.sub(str(gathered[0]), target) for target in targets)
                    if gathered
                    else targets
                )
                self._make(line, slots, named, gathered, boxes)

    def _drop(self, slots: Sequence[Slot], domain: Domain) -> None:
        for slot in slots if domain else ():
            self.dropped.append(replace(slot, boxes=domain))
            self.taken.setdefault(slot, []).append(domain)

    def _make(
        self, line: Line, slots: Sequence[Slot], targets: tuple[str, ...], gathered: Axis, boxes: Domain
    ) -> None:
        spread = self._spread(targets[0])
        row: Row = [dims_of(slot.shape, slot.formula) for slot in slots for _ in gathered or (0,)]
        moves: list[Move] = []
        for move in line.moves:
            moves.append(self._bound(move, row, slots[0], gathered, len(targets) * (len(spread) or 1)))
            row = moves[-1].apply(row)
        shift = self.model.first_mtp if "{mtp}" in targets[0] else 0
        domain = tuple(_shifted(box, shift) + ((spread,) if spread else ()) for box in boxes)
        made = tuple(
            self._typed(_target(line, slots, pattern, domain, dims))
            for pattern, dims in zip(targets, row[:: len(spread) or 1], strict=True)
        )
        self._note(Recipe(tuple(slots), tuple(moves), made, gathered, spread, shift, line.copy))
        if not line.copy:
            whole = tuple((*box, gathered) for box in boxes) if gathered else boxes
            for slot in slots:
                self.taken.setdefault(slot, []).append(whole)

    def _spread(self, target: str) -> Axis:
        return next((axis for name, axis in self.model.spread.items() if f"{{{name}}}" in target), ())

    def _bound(self, move: Move, row: Row, slot: Slot, gathered: Axis, parts: int) -> Move:
        if isinstance(move, Repack):
            return Repack(parts, tuple(row))
        if isinstance(move, Stack) and not move.count:
            count = len(gathered)
            return Stack(Dim(count, self.model.extents.get(slot.axes[-1]) or str(count)))
        return move.bound(row, self.model.measure)

    def _typed(self, slot: Slot) -> Slot:
        if self.dialect.dtypes is not None:
            slot = replace(slot, dtypes=self.dialect.dtypes(slot))
        if self.dialect.stores_tied and slot.need is Presence.TIED:
            slot = replace(slot, need=Presence.REQUIRED, tie=None)
        return slot

    def _note(self, recipe: Recipe) -> None:
        self.recipes.append(recipe)
        if len(recipe.targets) == 1 and not recipe.derived:
            self.spelt |= dict.fromkeys((slot.pattern for slot in recipe.sources), recipe.targets[0].pattern)


def _gathered(slot: Slot, target: str, domain: Domain) -> Iterator[tuple[Axis, Domain]]:
    """Group a domain by the numbers of its last axis that go into one target.

    All of them where the target has no place for them; one by one where its place is inside a segment
    (`weight3`), since such a number is part of a name's text.
    """
    if _INSIDE.search(target):
        yield from (((n,), boxes) for last, boxes in by_last(domain).items() for n in last)
    elif len(slot.axes) > target.count("*") + target.count("{mtp}"):
        yield from by_last(domain).items()
    elif domain:
        yield (), domain


def _shifted(box: tuple[Axis, ...], shift: int) -> tuple[Axis, ...]:
    return (tuple(number - shift for number in box[0]), *box[1:]) if shift else box


def _target(line: Line, slots: Sequence[Slot], target: str, boxes: Domain, dims: tuple[Dim, ...]) -> Slot:
    first = next((slot for slot in slots if slot.need is Presence.REQUIRED), slots[0])
    axes = iter(first.axes)
    return replace(
        first,
        pattern=_HOLE.sub(lambda hole: _placeholder(hole[0], axes), target),
        boxes=boxes,
        shape=shape_of(dims),
        formula=formula_of(dims),
        dtypes=line.dtypes or first.dtypes,
        kind=line.kind or first.kind,
        cut=first.cut if all(_keeps_cut(move) for move in line.moves) else None,
        parts=tuple(slots) if len(slots) > 1 else (),
        opaque=line.packs,
        padding=line.padding,
    )


def _keeps_cut(move: Move) -> bool:
    """Tell whether a tensor is still cut as its parts were."""
    return isinstance(move, Stack) or (isinstance(move, Concat) and move.per_rank)


def _placeholder(hole: str, axes: Iterator[str]) -> str:
    if hole == "{mtp}":
        next(axes)
    return hole if hole != "*" else f"{{{next(axes)}}}"
