"""The experts are stored in a layout that the loader does not take.

Checks: layouts that a schema knows and the loader refuses or passes over, single or stacked; the number's place.
Matters: llama.cpp says that ffn_up_exps is not found, and names none of the tensors that hold the same experts.
Example: blk.0.ffn_gate.0.weight to blk.0.ffn_gate.7.weight in a Mixtral file of January 2024.
Cure: take a newer file of the model, or convert the original again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.finding import Level
from weightlint.names import unfold
from weightlint.renames import mate
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.case import Case
    from weightlint.expected import Layout, Slot
    from weightlint.finding import Finding


def check(case: Case) -> Iterator[Finding]:
    """Report each layout that is there and refused, then experts whose number stands elsewhere in the names."""
    for layout in case.plain.layouts if case.plain is not None else ():
        names = [name for slot in layout.slots for name in slot.names()] if layout.refused else []
        rows = [row for name in names if (row := case.index.rows.get(name)) is not None]
        if rows:
            sample, wanted = case.index.names[min(rows)], sorted(layout.dropped)
            yield RULE.finding(
                f"{len(rows):,} tensors like {sample} hold the experts: {layout.refused}",
                place=case.place(rows),
                count=len(rows),
                expected=" and ".join(wanted),
                found=sample,
                cure="take a newer file of this model, or convert the original again with convert_hf_to_gguf.py",
            )
    yield from _misplaced(case)
    yield from _not_taken(case)


def _not_taken(case: Case) -> Iterator[Finding]:
    """Report experts in a layout of which the loader fills no parameter (1Cat-vLLM #21, verl #6210)."""
    known = case.plain.layouts if case.plain is not None and case.loader is not None else ()
    # one with marks is a weight that may be quantised or not, no other way to hold experts
    for layout in [layout for layout in known if not layout.marks]:
        slots = [slot for slot in case.joined.matched if slot in layout.slots] if case.spelling else []
        if not slots:
            continue
        refusal = _refusal(case, slots)
        if refusal is None:
            continue
        rows = [row for slot in slots for row in case.joined.matched[slot]]
        sample = case.index.names[min(rows)]
        yield RULE.finding(
            f"{len(rows):,} tensors like {sample} hold the experts, and {refusal}",
            place=case.place(rows),
            count=len(rows),
            expected=" and ".join(_first_names(case, layout)),
            found=sample,
            cure="save the experts one by one (transformers: save_original_format=True), or take a release that reads "
            "them stacked",
        )


def _refusal(case: Case, slots: Sequence[Slot]) -> str | None:
    """Say what the loader makes of a layout that it does not take; None where it takes it, or that is not known."""
    from weightlint.loading.layouts import takes
    from weightlint.loading.manners import Manners

    assert case.loader is not None
    if not isinstance(case.prediction, str):
        taken = takes(case.prediction, slots)
        return None if taken else f"{case.loader.says} fills no parameter from them"
    if case.contract is None:
        return None
    manners = Manners(case, case.loader, case.contract)
    manner = manners.manner("stacked_experts", [slots[0].names()[0]])
    fate = manners.fate(manner, [slots[0].names()[0]]) if manner is not None else None
    return fate.sentence if fate is not None and fate.stops else None


def _first_names(case: Case, layout: Layout) -> Iterator[str]:
    """Yield the first name of each slot in whose place a layout stands."""
    slots = case.plain.slots if case.plain is not None else ()
    return (next(iter(slot.names())) for slot in slots if slot.pattern in layout.dropped)


def _misplaced(case: Case) -> Iterator[Finding]:
    """Report names like experts.down_proj.0 where experts.0.down_proj belongs (intel/auto-round #1464)."""
    ledger = case.ledger
    experts = [(slot, coords) for slot, coords in ledger.missing.items() if slot.kind == "expert"]
    found = [(slot, mate(case.index, ledger.extra, slot, coords)) for slot, coords in experts]
    moved = [(slot, it) for slot, it in found if it is not None and it.moved]
    rows: list[int] = []
    for slot, it in moved:
        ledger.take_missing(slot, it.coords)
        rows += ledger.take_extra(it.template, it.coords.values()).values()
    if rows:
        slot, it = moved[0]
        right = slot.name(min(it.coords))
        wrong = unfold(it.template, it.coords[min(it.coords)])
        yield RULE.finding(
            f"{len(rows):,} tensors like {wrong} have the number of the expert in another place: loaders look for "
            "the projection behind it",
            place=case.place(rows),
            count=len(rows),
            expected=right,
            found=wrong,
            cure=f"rename them: {wrong} -> {right}",
        )


RULE = Rule(
    code="WL205",
    name="expert-layout",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    needs=frozenset({Need.TABLE}),
    turn=30,
)
