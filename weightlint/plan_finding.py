"""How rules tell what a plan breaks on: one finding for all dimensions of one cause, with a way out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from weightlint.finding import Level, Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.case import Case
    from weightlint.expected import Slot
    from weightlint.finding import Finding
    from weightlint.limits.refusal import Refusal
    from weightlint.plan import Plan
    from weightlint.rule import Rule

MAX_TRIED = 256
"""Degrees of tensor parallelism that are tried in search of one that holds."""


def told(case: Case, rule: Rule) -> Iterator[Finding]:
    """Yield one finding for the refusals of a rule, errors and warnings apart."""
    mine = [refusal for refusal in case.refusals if refusal.code == rule.code]
    for level in sorted({refusal.level for refusal in mine}, reverse=True):
        yield _finding(case, rule, [refusal for refusal in mine if refusal.level is level])


def _finding(case: Case, rule: Rule, refusals: Sequence[Refusal]) -> Finding:
    assert case.plan is not None
    slots = dict.fromkeys(slot for refusal in refusals for slot in refusal.slots)
    coords = {slot: [at for at in slot.coords() if not _is_aside(case, slot, at)] for slot in slots}
    names = [pattern for slot, those in coords.items() if those for pattern in slot.patterns(those)]
    stages = [refusal.stages for refusal in refusals]
    some = None if None in stages else {at for each in stages for at in each or ()}
    return rule.finding(
        f"{'; '.join(dict.fromkeys(refusal.line for refusal in refusals))}{_words(case, refusals)}",
        level=refusals[0].level,
        place=Place(tensors=tuple(names), ranks=case.plan.patterns(stages=some)),
        count=sum(map(len, coords.values())) or len(refusals),
        unit="tensor" if slots else "stage split" if rule.code == "WL504" else "cut",
        cure=next((refusal.cure for refusal in refusals if refusal.cure), "") or cure(case, rule),
    )


def _is_aside(case: Case, slot: Slot, coord: tuple[int, ...]) -> bool:
    return case.spread is not None and case.spread.is_aside(slot, coord)


def _words(case: Case, refusals: Sequence[Refusal]) -> str:
    """Quote what the loader says of it, first of all where it would stop."""
    words = list(dict.fromkeys(refusal.words for refusal in refusals if refusal.words))
    if not words or case.loader is None:
        return ""
    return f'. {case.loader.says} says: "{words[0]}"'


def cure(case: Case, rule: Rule) -> str:
    """Say which degrees of tensor or expert parallelism hold, all else being as it is."""
    assert case.plan is not None
    plan = case.plan
    if rule.code in {"WL501", "WL502"}:
        good = [tp for tp in tried(plan.tp) if _holds(case, _with_tp(plan, tp), rule.code)]
        return f"take {_listed('tp', good)}" if good else "no degree of tensor parallelism fits this model"
    if rule.code == "WL503":
        if case.spread is not None and not case.spread.experts:
            return "leave expert parallelism off"
        good = [ep for ep in tried(plan.tp * plan.dp) if _holds(case, replace(plan, ep=ep), rule.code)]
        return f"take {_listed('ep', good)}" if good else "leave expert parallelism off, or take another tp"
    if rule.code == "WL504":
        return "give each layer to one stage, embedding and head to one, or leave the split to the loader"
    return "correct the cuts that the plan gives"


def tried(tp: int) -> list[int]:
    """Return degrees that are worth trying: all up to 8, then powers of two, their half more, and what was asked."""
    powers = [1 << shift for shift in range(9)]
    wanted = {*range(1, 9), *powers, *(power * 3 // 2 for power in powers if power > 4)}
    return sorted(degree for degree in wanted if degree <= max(MAX_TRIED, 2 * tp))


def _with_tp(plan: Plan, tp: int) -> Plan:
    full = plan.tp * plan.dp
    return replace(plan, tp=tp, ep=tp * plan.dp if plan.ep == full > 1 else plan.ep)


def _holds(case: Case, plan: Plan, code: str) -> bool:
    from weightlint.limits.gathered import gather
    from weightlint.spread import Spread

    assert case.spread is not None
    refusals = gather(Spread(plan, case.spread.expected, case.loader))
    of_experts = {code} if code == "WL503" else {"WL501", "WL502"}
    return not any(it.level is Level.ERROR and it.code in of_experts for it in refusals)


def _listed(word: str, degrees: Sequence[int]) -> str:
    shown = [f"{word}={degree}" for degree in degrees]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}"
