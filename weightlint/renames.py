"""Under which other name is a missing tensor there? The extra family most like a missing slot.

Numbers must agree, but for one that was put in or moved; shapes must agree where they are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightlint.join import has_shape
from weightlint.names import MIN_LIKENESS, likeness

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weightlint.expected import Slot
    from weightlint.index import Index
    from weightlint.join import Extra
    from weightlint.names import Coord, Template

OLD_WORDS = {"gamma": "weight", "beta": "bias"}
"""Last parts of names in TensorFlow; source: transformers 4.57, modeling_utils.py _fix_state_dict_key_on_load."""


@dataclass(frozen=True, slots=True)
class Mate:
    """An extra family and, for coordinates of the slot, those of the family.

    `moved` tells that a number stands in another place, `number` is the one that was put in.
    """

    template: Template
    coords: Mapping[Coord, Coord]
    moved: bool = False
    number: int | None = None


def mate(index: Index, extra: Extra, slot: Slot, wanted: set[Coord]) -> Mate | None:
    """Return the extra family most like a slot, where it has these coordinates."""
    best: tuple[float, Mate] | None = None
    for template, rows in extra.items():
        alike = alikeness(slot.template, template)
        if alike < MIN_LIKENESS or (best and alike <= best[0]):
            continue
        pairs = {mine: its for mine, its in _paired(slot.template, template, rows).items() if mine in wanted}
        kinds = (index.kind(rows[its]) for its in pairs.values())
        if pairs and all(has_shape(slot, kind) for kind in kinds):
            at = _inserted(slot.template, template)
            number = None if at is None else next(iter(pairs.values()))[at - 1]
            best = alike, Mate(template, pairs, _is_moved(slot.template, template), number)
    return None if best is None else best[1]


def alikeness(slot: str, other: str) -> float:
    """Compare the folded name of a slot with another: 1 if a known change makes one of the other."""
    above, _, last = other.rpartition(".")
    if f"{above}.{OLD_WORDS.get(last, last)}" == slot or _is_moved(slot, other) or _inserted(slot, other):
        return 1.0
    return likeness(slot, other)


def _is_moved(slot: str, other: str) -> bool:
    """Tell whether one number stands elsewhere between the same words."""
    a, b = slot.split("."), other.split(".")
    if a == b or a.count("*") != b.count("*") or _words(a) != _words(b):
        return False
    return any(b == [*rest[:at], "*", *rest[at:]] for rest in _without_one(a) for at in range(len(a)))


def _words(segments: list[str]) -> list[str]:
    return [segment for segment in segments if segment != "*"]


def _without_one(segments: list[str]) -> list[list[str]]:
    """Return a folded name without each of its numbers in turn."""
    return [[*segments[:at], *segments[at + 1 :]] for at, it in enumerate(segments) if it == "*"]


def _inserted(slot: str, other: str) -> int | None:
    """Return which number of the other name, counted from 1, is one too many; None if that is not all."""
    a, numbers = slot.split("."), _without_one(other.split("."))
    return next((at for at, rest in enumerate(numbers, 1) if rest == a), None)


def _paired(slot: str, other: str, rows: Mapping[Coord, int]) -> dict[Coord, Coord]:
    """Return the family's coordinates by those that the slot has in their place."""
    extra = _inserted(slot, other)
    if extra is None:
        return {coord: coord for coord in rows}
    if len({coord[extra - 1] for coord in rows}) > 1:
        return {}
    return {(*coord[: extra - 1], *coord[extra:]): coord for coord in rows}


def renamed(index: Index, extra: Extra, missing: Mapping[Slot, set[Coord]]) -> int:
    """Count the missing tensors that are there under another name."""
    mates = (mate(index, extra, slot, coords) for slot, coords in missing.items() if coords)
    return sum(len(it.coords) for it in mates if it is not None)
