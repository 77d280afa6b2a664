"""An expectation -> a dialect's, and back: scales, layers for MTP and tied heads on the way.

What a table says line by line is worked out in `weightlint.moving.translation`.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from weightlint.dtype import FLOATS
from weightlint.errors import DialectError
from weightlint.expected import Layout, Presence, boxed
from weightlint.moving.domain import first_in, meet
from weightlint.moving.move import MoveError
from weightlint.moving.translation import Model, Translator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weightlint.dialect import Dialect, Variant
    from weightlint.expected import Box, Expected, Slot

MTP = "mtp"
"""Name of the layout of MTP layers: there as a whole, or not at all."""


def rewrite(dialect: Dialect, expected: Expected, variant: Variant) -> Expected:
    """Return the expectation in a dialect that has a table.

    MTP layers come as a layout: there as a whole or not at all.

    Raises:
        DialectError: the dialect has no way of writing this model.
    """
    if dialect.schemas and expected.schema not in dialect.schemas:
        message = f"{dialect.title} ({dialect.name}) has no way of writing {expected.schema or 'this model'}"
        raise DialectError(message)
    plain, scales = (expected.slots, ()) if dialect.scale else consumed(expected.slots)
    trunk, ahead = parted(plain, frozenset(expected.axes.get(MTP, ())))
    work = _translated(dialect, trunk, expected, variant, "trunk")
    more = _translated(dialect, () if dialect.lacks_mtp else ahead, expected, variant, MTP)
    lost = ahead if dialect.lacks_mtp else more.dropped
    recipes = work.finished()
    after = tuple(replace(recipe, ahead=True) for recipe in more.finished())
    layout = tuple(slot for recipe in after for slot in recipe.targets)
    return replace(
        expected,
        slots=tuple(slot for recipe in recipes for slot in recipe.targets),
        layouts=(Layout(MTP, frozenset(), layout),) if layout else (),
        ignores=(*expected.ignores, *dialect.ignores),
        axes={**expected.axes, MTP: ()},
        recipes=(*recipes, *after),
        dropped=(*scales, *work.dropped, *lost),
    )


def restore(expected: Expected) -> Expected:
    """Return the schema's slots that a rewritten expectation is made of; what was dropped is lost.

    Raises:
        MoveError: a slot has a shape that the dialect cannot have given it.
    """
    if not expected.recipes:
        return expected
    every = (*expected.slots, *(slot for layout in expected.layouts for slot in layout.slots))
    slots = {(slot.pattern, slot.boxes): slot for slot in every}
    whole = [it for it in expected.recipes if not it.derived]
    back = [new for it in whole for new in it.back([_current(slot, slots) for slot in it.targets])]
    return replace(expected, slots=tuple(back), recipes=(), layouts=(), dropped=())


def _current(slot: Slot, slots: Mapping[tuple[str, tuple[Box, ...]], Slot]) -> Slot:
    """Return a slot with the shape that it has now."""
    now = slots.get((slot.pattern, slot.boxes))
    return slot if now is None else replace(slot, shape=now.shape)


def _translated(
    dialect: Dialect, slots: Sequence[Slot], expected: Expected, variant: Variant, part: str
) -> Translator:
    first_mtp = min(expected.axes.get(MTP, ()), default=0)
    model = Model(expected.schema, expected.sizes, expected.extents, first_mtp, variant.spread)
    work = Translator(slots, model, dialect)
    try:
        for line in dialect.lines:
            if line.part in {"", part} and line.holds(expected.schema, variant.tags):
                work.use(line)
    except MoveError as error:
        message = f"{dialect.title} ({dialect.name}) cannot write {expected.schema}: {error}"
        raise DialectError(message) from error
    if dialect.rest is not None:
        work.keep(dialect.rest)
    _refuse_twice(dialect, expected, work)
    work.dropped += work.left()
    left = [slot.pattern for slot in work.left() if slot.need is Presence.REQUIRED]
    if left:
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        message = f"{dialect.title} ({dialect.name}) has no name for {left[0]}{more} of {expected.schema}"
        raise DialectError(message)
    return work


def _refuse_twice(dialect: Dialect, expected: Expected, work: Translator) -> None:
    """Refuse a stack of which some members only are quantised: it would be two tensors of one name."""
    patterns: dict[str, list[Slot]] = {}
    for recipe in work.recipes:
        for slot in recipe.targets:
            patterns.setdefault(slot.pattern, []).append(slot)
    for pattern, slots in patterns.items():
        if any(meet([a.boxes, b.boxes]) for a, b in itertools.combinations(slots, 2)):
            message = f"{dialect.title} ({dialect.name}) cannot write {expected.schema}: {pattern} would be of two kinds"
            raise DialectError(message)


def consumed(slots: Sequence[Slot]) -> tuple[tuple[Slot, ...], tuple[Slot, ...]]:
    """Return the slots with their block scales taken in, and these scales."""
    scales = tuple(slot for slot in slots if slot.of)
    weights = {slot.of for slot in scales}
    groups: dict[tuple[object, ...], list[Slot]] = {}
    for slot in slots:
        if slot.of is None:
            plain = replace(slot, dtypes=FLOATS) if slot.pattern in weights else slot
            groups.setdefault((plain.pattern, plain.shape, plain.dtypes, plain.need), []).append(plain)
    return tuple(map(_merged, groups.values())), scales


def _merged(parts: Sequence[Slot]) -> Slot:
    if len(parts) == 1:
        return parts[0]
    return replace(parts[0], boxes=boxed(coord for slot in parts for coord in slot.coords()))


def parted(slots: Sequence[Slot], ahead: frozenset[int]) -> tuple[list[Slot], list[Slot]]:
    """Part slots into those of the decoder and those of the layers `ahead` of it."""
    trunk, mtp = [], []
    for slot in slots:
        inside = first_in(slot.boxes, lambda number: number not in ahead) if slot.axes else slot.boxes
        if inside:
            trunk.append(slot if inside == slot.boxes else replace(slot, boxes=inside))
        if inside != slot.boxes:
            mtp.append(replace(slot, boxes=first_in(slot.boxes, lambda number: number in ahead)))
    return trunk, mtp
