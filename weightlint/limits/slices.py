"""Slices that do not make the tensor: elements on no rank, on two, or beyond the tensor.

What heads, experts and stages explain is not told again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.cut import gaps, outside, overlaps
from weightlint.finding import Level
from weightlint.limits.heads import dimension
from weightlint.limits.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.cut import Cut, Span
    from weightlint.expected import Slot
    from weightlint.spread import Spread

CODE = "WL505"


def refusals(spread: Spread) -> Iterator[Refusal]:
    """Yield each cut whose pieces do not make the whole, tensors with the same fault together."""
    faults: dict[tuple[str, str], list[Slot]] = {}
    for slot in spread.expected.slots:
        for share in spread.shares(slot):
            if share.cut is not None and share.group != "ep" and share.cut.even:
                for says in wrong(share.cut, spread.degree(share.group)):
                    faults.setdefault((dimension(slot, share.cut), says), []).append(slot)
    for (what, says), slots in faults.items():
        yield Refusal(code=CODE, what=what, says=says, slots=tuple(slots))
    if spread.plan.assigned:
        yield from _dimensions(spread)
        yield from _unmatched(spread)


def wrong(cut: Cut, ranks: int) -> Iterator[str]:
    """Say what is wrong with a cut, None of it if the pieces are the dimension, each element once."""
    if cut.ways != ranks:
        yield f"{cut.ways} slices are given for {ranks} ranks"
        return
    if cut.whole % cut.parts:
        yield f"{cut.whole} has no {cut.parts} equal parts"
        return
    if not cut.spans:
        # equal pieces lie one after the other, so their sum decides, however many ranks there are
        if cut.pieces * cut.width < cut.whole // cut.parts:
            yield f"{cut.pieces} x {cut.width} elements of {cut.whole // cut.parts} are on ranks"
        return
    for spans, verdict in (
        (gaps(cut), "are on no rank"),
        (overlaps(cut), "are on two ranks"),
        (outside(cut), f"are beyond the {cut.size} that there are"),
    ):
        if spans:
            yield f"elements {_shown(spans)} of {cut.size} {verdict}"


def _shown(spans: tuple[Span, ...]) -> str:
    shown = ", ".join(f"[{start}, {stop})" for start, stop in spans[:4])
    return shown + (f" and {len(spans) - 4} more" if len(spans) > 4 else "")


def _dimensions(spread: Spread) -> Iterator[Refusal]:
    """Yield the cuts that the plan gives along dimensions that a matrix does not have."""
    for slot in spread.expected.slots:
        given, axes = spread.names.assigned(slot), len(slot.shape)
        if given is not None and given.dim is not None and axes > 1 and not -axes <= given.dim < axes:
            says = f"the plan cuts dimension {given.dim} of {list(slot.shape)}"
            yield Refusal(code=CODE, what=given.pattern, says=says, slots=(slot,))


def _unmatched(spread: Spread) -> Iterator[Refusal]:
    """Yield the cuts that the plan gives for modules which are not there; those of experts are told elsewhere.

    A plan of transformers is for all models of its class and may name modules that this one has not.
    """
    lost = [
        given.pattern
        for given in spread.plan.assigned
        if given.dim is not None and not (given.whole or given.experts) and spread.names.lost(given)
    ]
    if lost:
        yield Refusal(
            code=CODE,
            what="",
            says=f"the plan cuts {', '.join(lost[:6])}, which names no module: it stays whole on every rank",
            level=Level.WARNING,
        )
