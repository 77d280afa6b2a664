"""Widths of a rank that break the blocks or groups of a quantisation, or come apart where matrices are fused."""

from __future__ import annotations

from math import gcd, lcm
from typing import TYPE_CHECKING, NamedTuple

from weightlint.limits.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.expected import Slot
    from weightlint.form import Form
    from weightlint.spread import Spread

CODE = "WL502"
KINDS = frozenset({"linear", "expert"})


class Width(NamedTuple):
    """What a rank has of one dimension: elements in all, ranks, its own, those of a block, and its message."""

    size: int
    ways: int
    width: int
    block: int
    words: str
    what: str


def refusals(spread: Spread) -> Iterator[Refusal]:
    """Yield each width that is not a whole number of blocks, once, and that the loader does not take."""
    broken: dict[Width, list[Slot]] = {}
    for slot in spread.expected.slots:
        if slot.form is not None and _bound(slot.form) != (1, 1) and slot.kind in KINDS:
            for width in _widths(spread.weight(slot), spread, slot.form):
                if width.width % width.block:
                    broken.setdefault(width, []).append(slot)
    for width, slots in broken.items():
        yield _refusal(width, tuple(slots), spread)


def _widths(slot: Slot, spread: Spread, form: Form) -> Iterator[Width]:
    """Yield the sides of a weight that are held to the blocks."""
    how = (slot.cut or "").partition(":")[0]
    expert = spread.is_expert(slot)
    if how not in {"column", "row"} or (expert and _refined(slot, spread, form)):
        return
    cuts = (share.cut for share in spread.shares(slot) if share.group != "ep")
    cut = next((cut for cut in cuts if cut is not None), None)
    if cut is not None and not cut.even:
        return
    bound = _bound(form)
    side, block, dim = ("n", bound[0], -2) if how == "column" else ("k", bound[1], -1)
    size, ways, width = slot.shape[dim], 1, slot.shape[dim]
    if cut is not None:
        size, ways, width = cut.size, cut.pieces, cut.width
    if _is_held(slot, spread, cut=cut is not None, side=side, expert=expert):
        what = slot.formula[dim] if slot.formula else slot.pattern
        words = _words(slot, spread, form, side)
        yield Width(size // (cut.parts if cut else 1), ways, width, block, words, what)


def _bound(form: Form) -> tuple[int, int]:
    """Return the elements along out and in that no cut may part."""
    return lcm(form.block[0], form.word[0]), lcm(form.block[1], form.word[1])


def _words(slot: Slot, spread: Spread, form: Form, side: str) -> str:
    """Return which message the loader has for a side of a weight, an empty text if none."""
    rules = spread.rules.blocks
    if form.block[0] == 1:
        return f"{'group' if side == 'k' else 'word'}_{form.name}"
    if spread.is_expert(slot):
        return f"expert_{side}"
    return (
        "" if side == "n" and rules.columns == "single" and _leaf(slot) in rules.merged else f"block_{side}"
    )


def _leaf(slot: Slot) -> str:
    return slot.pattern.removesuffix(".weight").rpartition(".")[2]


def _is_held(slot: Slot, spread: Spread, *, cut: bool, side: str, expert: bool) -> bool:
    rules = spread.rules.blocks
    if side == "k":
        return cut
    leaf = _leaf(slot)
    merged = leaf in rules.merged
    match rules.columns:
        case "merged":
            return cut or merged or expert
        case "single":
            return (cut and (expert or not merged)) or leaf in rules.first
    return cut


def _refined(slot: Slot, spread: Spread, form: Form) -> bool:
    """Tell whether the loader divides the blocks of experts until they fit."""
    least = spread.rules.blocks.experts
    slices = spread.degree("etp")
    how = (slot.cut or "").partition(":")
    parts = 2 if how[2] == "gate_up" else 1
    inner, hidden = (slot.shape[-2] // parts, slot.shape[-1])
    if how[0] == "row":
        inner, hidden = hidden, slot.shape[-2]
    return bool(least) and gcd(*form.block, inner // slices, hidden) >= least


def _refusal(width: Width, slots: tuple[Slot, ...], spread: Spread) -> Refusal:
    sum_ = f"{width.size} / {width.ways} = {width.width}" if width.ways > 1 else str(width.width)
    words = spread.rules.words.get(width.words, "")
    return Refusal(
        code=CODE,
        what=width.what,
        says=f"{sum_} is no multiple of {width.block}",
        words=words.format(width=width.width, block=width.block),
        slots=slots,
    )
