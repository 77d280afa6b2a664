"""The experts are stored in a layout that the loader does not take.

Checks: layouts that a schema knows and the loader refuses, as experts one by one for stacked ones; the number's place.
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
    from collections.abc import Iterator

    from weightlint.case import Case
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
