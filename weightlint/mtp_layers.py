"""Layers for multi-token prediction (MTP, drafts): which numbers they have, what of them is there.

Knows the axes `layer` and `mtp` of schemas and the join; what to say of it is for the rule.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from weightlint.keys import Keys
from weightlint.names import MIN_LIKENESS, likeness

if TYPE_CHECKING:
    from collections.abc import Iterable

    from weightlint.case import Case
    from weightlint.expected import Slot
    from weightlint.names import Coord


def announced_layers(case: Case) -> frozenset[int]:
    """Return the numbers of the MTP layers that the config announces."""
    return frozenset(case.joined.expected.axes.get("mtp", ()))


def heads_of(case: Case) -> frozenset[str]:
    """Return what stands before the layer number: `model.layers.`, or as the files spell it."""
    layered = (slot for slot in case.joined.expected.slots if slot.axes[:1] in {("layer",), ("mtp",)})
    return frozenset(slot.literals[0] for slot in layered)


def at(slot: Slot, coords: Iterable[Coord], number: int, heads: frozenset[str]) -> set[Coord]:
    """Return the coordinates of one layer, of a slot whose names begin as layers do."""
    return {coord for coord in coords if coord[:1] == (number,)} if slot.literals[0] in heads else set()


def is_present(case: Case, number: int) -> bool:
    """Tell whether any tensor of this layer was found: not all that it may have are missing."""
    heads = heads_of(case)
    slots = [slot for slot in case.joined.expected.slots if slot.literals[0] in heads]
    expected = sum(prod(map(len, box[1:])) for slot in slots for box in slot.boxes if number in box[0])
    missing = case.joined.missing
    return expected > sum(len(at(slot, missing.get(slot, ()), number, heads)) for slot in slots)


def is_passed_over(case: Case, number: int, wanted: dict[Slot, set[Coord]]) -> bool:
    """Tell whether a layer that is there in part lacks the tensor by which the loader finds it."""
    probe = case.schema.probe if case.schema is not None else None
    lacking = next((slot for slot in wanted if slot.literals[-1] == f".{probe}"), None)
    if lacking is None or not is_present(case, number):
        return False
    return all(likeness(lacking.template, other) < MIN_LIKENESS for other in case.ledger.extra)


def is_draft_only(case: Case) -> bool:
    """Tell whether the file holds draft layers and nothing of the decoder: convert_hf_to_gguf.py --mtp."""
    if not isinstance(case.config, Keys) or not announced_layers(case):
        return False
    found = {coord[0] for slot in case.joined.matched for coord in _found(case, slot) if slot.axes}
    return bool(found) and found <= announced_layers(case)


def _found(case: Case, slot: Slot) -> set[Coord]:
    return {*slot.coords()} - {*case.joined.missing.get(slot, ())}


def last_layer(case: Case) -> int:
    """Return the last layer that may be there: in a dialect MTP layers are no axis, only slots."""
    heads = heads_of(case)
    slots = [slot for slot in case.joined.expected.slots if slot.literals[0] in heads]
    last = max((box[0][-1] for slot in slots for box in slot.boxes), default=-1)
    return max((last, *case.joined.expected.axes.get("layer", ()), *announced_layers(case)))


def beyond(case: Case) -> dict[int, list[int]]:
    """Return the extra rows behind the decoder and the announced MTP layers, by layer number."""
    last = last_layer(case)
    heads = [f"{head}*" for head in heads_of(case)]
    zones: dict[int, list[int]] = {}
    for template, rows in case.ledger.extra.items():
        if any(template.startswith(head) for head in heads):
            for coord, row in rows.items():
                if coord[0] > last:
                    zones.setdefault(coord[0], []).append(row)
    return zones
