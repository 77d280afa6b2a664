"""Dimensions that do not come out even over the tensor ranks: heads, kv heads, widths, the vocabulary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.limits.refusal import Refusal
from weightlint.spread import HEADS, KV_HEADS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.cut import Cut
    from weightlint.expected import Slot
    from weightlint.spread import Spread

CODE = "WL501"
FIRST = ("head", "kv head", "vocabulary row", "element")
"""Units in the order in which frameworks come to check them."""


Key = tuple[str, int, int, str]
"""Unit, number of units or elements, ranks, dimension."""


def refusals(spread: Spread) -> Iterator[Refusal]:
    """Yield each dimension that cannot be cut over its ranks, once."""
    if "tp" not in spread.rules.kinds and spread.plan.tp > 1:
        yield Refusal(code=CODE, what="", says=f"{_who(spread)} cuts no matrices: tp must be 1")
        return
    uneven: dict[Key, list[Slot]] = {}
    cuts: dict[Key, Cut] = {}
    for slot in spread.expected.slots:
        for cut in uneven_cuts(slot, spread):
            size = cut.units if cut.unit in {"head", "kv head"} else cut.padded or cut.whole // cut.parts
            key = (cut.unit, size, cut.ways, dimension(slot, cut))
            uneven.setdefault(key, []).append(slot)
            cuts[key] = cut
    if spread.heads == spread.kv_heads:
        uneven = _joined(uneven)
    for key in sorted(uneven, key=lambda key: FIRST.index(key[0])):
        yield _refusal(key, cuts[key], tuple(uneven[key]), spread)


def _joined(uneven: dict[Key, list[Slot]]) -> dict[Key, list[Slot]]:
    """Let heads speak for kv heads that are as many."""
    heads = next((key for key in uneven if key[0] == "head"), None)
    if heads is None:
        return uneven
    kept = {key: list(slots) for key, slots in uneven.items() if key[0] != "kv head"}
    kept[heads] += [slot for key, slots in uneven.items() if key[0] == "kv head" for slot in slots]
    return kept


def uneven_cuts(slot: Slot, spread: Spread) -> list[Cut]:
    """Return the cuts of a weight that do not come out even; those of experts to ranks are told apart."""
    if slot.of is not None or slot.kind == "scale":
        return []
    cuts = (share.cut for share in spread.shares(slot) if share.group != "ep")
    return [cut for cut in cuts if cut is not None and not cut.even]


def dimension(slot: Slot, cut: Cut) -> str:
    """Return the dimension that is cut, as the schema writes it."""
    if cut.unit in {"head", "kv head"}:
        return HEADS if cut.unit == "head" else KV_HEADS
    return slot.formula[cut.dim] if slot.formula else slot.pattern


def _refusal(key: Key, cut: Cut, slots: tuple[Slot, ...], spread: Spread) -> Refusal:
    unit, size, ways, what = key
    return Refusal(
        code=CODE, what=what, says=_sum(key, cut, spread), words=_words(unit, size, ways, spread), slots=slots
    )


def _sum(key: Key, cut: Cut, spread: Spread) -> str:
    unit, size, ways, _ = key
    if unit == "kv head":
        why = "neither is a multiple of the other"
        why = why if spread.rules.kv == "copied" else "they cannot be shared out"
        return f"{size} kv heads over {ways} ranks: {why}"
    parts = f"{cut.parts} x " if cut.parts > 1 else ""
    shown = f"{cut.size}, padded to {cut.padded}," if cut.padded and cut.padded != cut.size else str(size)
    return f"{parts}{shown} / {ways} does not come out even"


def _words(unit: str, size: int, ways: int, spread: Spread) -> str:
    """Return what the loader says; of more ranks than kv heads, plain division says it the other way round."""
    words = spread.rules.words
    own = words.get({"head": "heads", "kv head": "kv", "vocabulary row": "vocab"}.get(unit, "even"))
    if own is not None:
        return own.format(size=size, ways=ways)
    turned = unit == "kv head" and ways > size and spread.rules.kv == "copied"
    size, ways = (ways, size) if turned else (size, ways)
    return words.get("even", "").format(size=size, ways=ways)


def _who(spread: Spread) -> str:
    return spread.release.says if spread.release else "this plan"
