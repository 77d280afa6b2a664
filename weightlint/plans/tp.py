"""Tensor parallelism: matrices cut by rows (column parallel) or columns (row parallel), vocabularies by rows.

What is cut where is a hint of the schema (`tp = "column:head"`); heads, padding and copies are the loader's rules.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from weightlint.cut import Cut
from weightlint.expr import ceil_div, round_up
from weightlint.kind import Kind, Share

if TYPE_CHECKING:
    from weightlint.expected import Slot
    from weightlint.plan import Assigned
    from weightlint.spread import Spread

COLUMN, ROW = -2, -1
"""Dimensions of `[..., out, in]`, from the back."""


def share(slot: Slot, spread: Spread) -> Share | None:
    """Cut a slot by its hint, or by what the plan assigns to it."""
    group = "etp" if spread.is_expert(slot) else "tp"
    ways = spread.degree(group)
    weight = spread.weight(slot)
    given = spread.names.assigned(weight)
    if given is not None:
        cut = _assigned(weight, given, spread, ways)
    else:
        cut = None if spread.plan.is_complete else _hinted(weight, spread, ways)
    if cut is None or (ways == 1 and not cut.spans):
        return None
    if weight is slot:
        return Share(group=group, cut=cut)
    dim = _along(slot, weight, cut.dim)
    return None if dim is None else Share(group=group, cut=scaled(cut, slot, dim))


def scaled(cut: Cut, part: Slot, dim: int) -> Cut:
    """Return the cut of a part of a quantised weight, along one of its dimensions, that follows the cut of the weight."""
    size = part.shape[dim]
    block = max(1, ceil_div(cut.whole, size))
    spans = tuple((start // block, ceil_div(stop, block)) for start, stop in cut.spans)
    return replace(cut, dim=dim, size=size, base=cut.whole, block=block, spans=spans)


def _along(part: Slot, weight: Slot, dim: int) -> int | None:
    """Return the dimension of a part that runs along one of its weight, None where none does."""
    if not part.sides:
        return dim if dim < len(part.shape) else None
    back = dim - len(weight.shape)
    if back not in {COLUMN, ROW}:
        return dim if dim < len(part.shape) and part.sides[dim] is None else None
    side = (back == ROW) is not weight.transposed
    return next((at for at, own in enumerate(part.sides) if own == int(side)), None)


def _assigned(slot: Slot, given: Assigned, spread: Spread, ways: int) -> Cut | None:
    axes = len(slot.shape)
    if given.dim is None or given.experts:
        return None
    # a bias goes with the output of its matrix
    dim = 0 if axes == 1 and given.dim == COLUMN else given.dim
    if not -axes <= dim < axes or (axes == 1 and given.dim == ROW):
        return None
    dim %= axes
    return Cut(
        dim=dim,
        size=slot.shape[dim],
        ways=len(given.spans) or ways,
        parts=given.parts,
        spans=given.spans,
        ragged=spread.rules.ragged,
    )


def _hinted(slot: Slot, spread: Spread, ways: int) -> Cut | None:
    how, _, what = (slot.cut or "replicate").partition(":")
    if slot.kind in spread.rules.whole or spread.is_whole(slot):
        return None
    match how:
        case "vocab":
            return _vocabulary(slot, spread, ways)
        case "column" | "row":
            # a vector is what a column parallel matrix adds to its output
            last = len(slot.shape) == 1 or (how == "row") is not slot.transposed
            dim = len(slot.shape) - 1 if last else len(slot.shape) + COLUMN
            cut = Cut(dim=dim, size=slot.shape[dim], ways=ways, ragged=spread.rules.ragged)
            return _by(what, cut, spread)
    return None


def _by(what: str, cut: Cut, spread: Spread) -> Cut:
    if what == "gate_up":
        return replace(cut, parts=2)
    if what == "head" and (heads := spread.heads) and spread.rules.heads and cut.size % heads == 0:
        return replace(cut, unit="head", step=cut.size // heads)
    if what == "kv_head" and (heads := spread.kv_heads) and cut.size % heads == 0:
        copies = cut.ways // heads if spread.rules.kv == "copied" and cut.ways % heads == 0 else 1
        # a rank with half a head of keys cannot be run, even where widths may be ragged
        return replace(cut, unit="kv head", step=cut.size // heads, replicas=copies, ragged=False)
    return cut


def _vocabulary(slot: Slot, spread: Spread, ways: int) -> Cut:
    rules, rows = spread.rules, slot.shape[0]
    cut = Cut(dim=0, size=rows, ways=ways, unit="vocabulary row", ragged=rules.ragged)
    if not rules.vocab:
        return cut
    padded = round_up(rows, rules.vocab)
    if rules.vocab_share == "always" or (rules.vocab_share == "otherwise" and padded % ways):
        padded = round_up(rows, rules.vocab * ways)
    return replace(cut, padded=padded)


PLAN = Kind(name="tp", title="tensor parallelism", share=share)
