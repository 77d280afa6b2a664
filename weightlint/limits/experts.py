"""Experts that do not go onto the ranks: degrees that no group fills, experts on no rank, numbers beyond them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.experts import absent, beyond
from weightlint.finding import Level
from weightlint.limits.refusal import Refusal
from weightlint.names import span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.expected import Slot
    from weightlint.spread import Spread

CODE = "WL503"
PLACEMENT = "expert placement"
LISTED = "list each expert of the model on a rank, from 0 on, and as many ranks as ep"


def refusals(spread: Spread) -> Iterator[Refusal]:
    """Yield what is wrong with the placement of experts."""
    yield from _unmatched(spread)
    if spread.plan.ep == 1 and not spread.plan.experts and spread.ep == 1:
        return
    if not spread.experts:
        words = spread.rules.words.get("no_experts", "")
        yield _refusal(spread, f"ep={spread.plan.ep}, and the model has no experts", words)
    elif why := _group(spread):
        yield _refusal(spread, why)
    elif spread.plan.experts:
        yield from _listed(spread)
    else:
        yield from _counted(spread)


def _group(spread: Spread) -> str | None:
    """Say why the degree fills no group of ranks."""
    plan, ep, rules = spread.plan, spread.ep, spread.rules
    who = f"{spread.release.says} " if spread.release else ""
    if "ep" not in rules.kinds:
        return f"{who}deals out no experts: ep must be 1"
    full = plan.tp * plan.dp
    match rules.experts.group:
        case "all" if ep != full:
            return (
                f"{who}deals experts over all tp x dp = {full} ranks of a stage or over none, not over {ep}"
            )
        case "tp" if plan.tp % ep:
            return f"ep={ep} does not divide tp={plan.tp}"
        case "dp" if plan.dp % ep:
            return f"ep={ep} does not divide dp={plan.dp}"
        case "any" if full % ep:
            return f"ep={ep} does not divide tp x dp = {full}"
    return None


def _listed(spread: Spread) -> Iterator[Refusal]:
    """Judge a placement that the plan lists expert by expert."""
    dealt = spread.plan.experts
    if len(dealt) != spread.plan.ep:
        yield _refusal(spread, f"{len(dealt)} ranks are listed, ep is {spread.plan.ep}", cure=LISTED)
        return
    if lost := absent(spread.experts, dealt):
        yield _refusal(spread, f"{_named(lost)} of {spread.experts} {_is(lost)} on no rank", cure=LISTED)
    if more := beyond(spread.experts, dealt):
        yield _refusal(spread, f"{_named(more)}: there are only {spread.experts}, from 0 on", cure=LISTED)


def _counted(spread: Spread) -> Iterator[Refusal]:
    """Judge a placement that follows from the numbers."""
    rules, ep, copies = spread.rules.experts, spread.ep, spread.plan.redundant
    slots = spread.experts + copies
    total = f"({spread.experts} + {copies})" if copies else str(spread.experts)
    if spread.plan.placement == "round_robin" and not rules.round_robin:
        yield _refusal(spread, "experts are dealt in a row there, not one by one")
    if slots < ep:
        yield _refusal(spread, f"{total} experts on {ep} ranks: {ep - slots} would have none")
    elif slots % ep and (copies or rules.remainder == "refused"):
        words = spread.rules.words.get("copies" if copies else "experts", "")
        yield _refusal(
            spread,
            f"{total} / {ep} does not come out even",
            words.format(experts=slots, ranks=ep),
            cure=f"take {copies + -slots % ep} redundant experts in place of {copies}, or another ep",
        )
    elif slots % ep and rules.remainder == "odd":
        yield _refusal(
            spread,
            f"{total} / {ep} does not come out even; vLLM takes that, SGLang and Megatron-LM refuse it",
            level=Level.WARNING,
        )


def _unmatched(spread: Spread) -> Iterator[Refusal]:
    """Yield the cuts of experts that the plan gives for modules which are not there."""
    for given in spread.plan.assigned:
        if given.experts and spread.names.lost(given):
            near = next((it for it in sorted(spread.names.modules) if it.endswith("." + given.pattern)), None)
            hint = f"; the model has {near}" if near else ""
            says = f"the plan deals {given.pattern}, which names no module{hint}"
            yield _refusal(spread, says, cure="write it as the model names the module, prefix and all")


def _refusal(
    spread: Spread, says: str, words: str = "", *, level: Level = Level.ERROR, cure: str = ""
) -> Refusal:
    slots = _slots(spread)
    return Refusal(code=CODE, what=PLACEMENT, says=says, words=words, slots=slots, level=level, cure=cure)


def _slots(spread: Spread) -> tuple[Slot, ...]:
    return tuple(slot for slot in spread.expected.slots if slot.kind == "expert")


def _named(numbers: tuple[int, ...]) -> str:
    noun = "expert" if len(numbers) == 1 else f"{len(numbers):,} experts"
    return f"{noun} {span(numbers)}"


def _is(numbers: tuple[int, ...]) -> str:
    return "is" if len(numbers) == 1 else "are"
