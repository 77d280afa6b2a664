"""A tensor has another shape than the architecture gives it.

Checks: every found shape against the schema's formula with the config's numbers.
Matters: the loader stops at the first such tensor, or, where sizes agree by chance, reads it the wrong way round.
Example: q_b_proj.weight is [24, 96], the schema gives [96, 24]: transposed.
Cure: as the finding says: transpose, gather (ZeRO-3), or take config and weights of one revision.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from weightlint.finding import Level
from weightlint.join import has_shape
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.expected import Slot
    from weightlint.finding import Finding
    from weightlint.index import Kind


def check(case: Case) -> Iterator[Finding]:
    """Group the misfit shapes by what happened to them."""
    empty: list[tuple[Slot, Kind, list[int]]] = []
    turned: list[tuple[Slot, Kind, list[int]]] = []
    for slot in list(case.ledger.misfits):
        for kind in list(case.ledger.misfits[slot]):
            if kind.shape is None or has_shape(slot, kind):
                continue
            rows = case.ledger.take_misfits(slot, kind)
            if 0 in kind.shape:
                empty.append((slot, kind, rows))
            elif kind.shape == slot.shape[::-1]:
                turned.append((slot, kind, rows))
            else:
                yield _finding(case, [(slot, kind, rows)], *_other(case, slot, kind))
    if empty:
        yield _finding(
            case,
            empty,
            "{} empty",
            "gather the parameters before saving (ZeRO stage 3: stage3_gather_16bit_weights_on_model_save), or "
            "consolidate the shards of the optimizer's checkpoint",
        )
    words = case.wording
    if turned:
        yield _finding(
            case, turned, "{} transposed", f"transpose it: weights are stored as {words.dims(['out', 'in'])}"
        )


def _other(case: Case, slot: Slot, kind: Kind) -> tuple[str, str]:
    assert kind.shape is not None
    if prod(kind.shape) == prod(slot.shape):
        return (
            "{} of another shape with as many elements",
            "reshape it, after finding out which writer changed it",
        )
    return "{} of another shape", case.wording.agree


def _finding(case: Case, hits: list[tuple[Slot, Kind, list[int]]], message: str, cure: str) -> Finding:
    rows = [row for *_, group in hits for row in group]
    names = [case.index.names[row] for row in rows]
    slot, kind, _ = hits[0]
    subject = f"{names[0]} is" if len(rows) == 1 else f"{len(rows):,} tensors are"
    words = case.wording
    formula = f" = {words.dims(slot.formula)}" if slot.formula else ""
    return RULE.finding(
        message.format(subject),
        place=case.place(rows),
        count=len(rows),
        expected=f"{words.dims(slot.shape)}{formula}{words.order}",
        found=f"{kind.dtype} {words.dims(kind.shape or ())}",
        cure=cure,
    )


RULE = Rule(
    code="WL301",
    name="wrong-shape",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    needs=frozenset({Need.TABLE, Need.HEADERS, Need.EXPECTED}),
    turn=40,
)
