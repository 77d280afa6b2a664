"""All ways of spreading a model over a number of GPUs: which hold, what they weigh, what is left for the cache."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from weightlint.errors import UsageError
from weightlint.finding import Level
from weightlint.limits.gathered import gather
from weightlint.plan import Plan
from weightlint.plan_rules import NEUTRAL
from weightlint.spread import Spread
from weightlint.weights import masses, stage_bytes, tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.gpu import Gpu
    from weightlint.limits.refusal import Refusal
    from weightlint.plan_rules import PlanRules
    from weightlint.weights import Masses

MAX_GPUS = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One plan. `stages` are the bytes of weights on the heaviest rank of each stage.

    `left` are the bytes that the heaviest rank has for its cache, `tokens` what they are worth; None where
    the memory is not known, or the config does not tell.
    """

    plan: Plan
    refusals: tuple[Refusal, ...] = ()
    stages: tuple[int, ...] = ()
    left: int | None = None
    tokens: int | None = None

    @property
    def legal(self) -> bool:
        """Tell whether nothing speaks against it."""
        return not any(refusal.level is Level.ERROR for refusal in self.refusals)

    @property
    def fits(self) -> bool | None:
        """Tell whether the weights fit, None where the memory is not known."""
        return None if self.left is None else self.left > 0

    @property
    def heaviest(self) -> int:
        """Bytes of weights on the heaviest rank."""
        return max(self.stages, default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planning:
    """The table of plans for one checkpoint."""

    target: str
    arch: str
    loader: str | None
    gpus: int
    gpu: Gpu | None
    choices: tuple[Choice, ...]


def planned(case: Case, gpus: int, *, dp: int = 1) -> Planning:
    """Judge every plan for a number of GPUs.

    Raises:
        UsageError: the model is not known, or the number is none.
    """
    if case.spelling is None or case.plain is None or case.arch is None:
        message = f"{case.checkpoint.target}: no plan can be made: {case.unexpanded}"
        raise UsageError(message)
    if not 0 < gpus <= MAX_GPUS or gpus % dp:
        message = f"--gpus {gpus}: a number from 1 to {MAX_GPUS:,} and a multiple of --dp {dp}"
        raise UsageError(message)
    case = replace(case, plan=Plan())
    assert case.spread is not None
    spread, gpu = case.spread, case.running.gpu
    rules = case.loader.rules if case.loader else NEUTRAL
    weighed = masses(case.index, spread.expected, case.joined.matched)
    choices = (_choice(case, spread, plan, weighed) for plan in plans(rules, gpus, dp, spread.experts))
    return Planning(
        target=case.checkpoint.target,
        arch=case.arch or "",
        loader=str(case.loader) if case.loader else None,
        gpus=gpus,
        gpu=gpu,
        choices=tuple(choices),
    )


def plans(rules: PlanRules, gpus: int, dp: int, experts: int) -> Iterator[Plan]:
    """Yield the plans for a number of GPUs by the kinds of parallelism that there are, the largest tp first."""
    ranks = gpus // dp
    for tp in reversed(divisors(ranks)):
        pp = ranks // tp
        if (tp == 1 or "tp" in rules.kinds) and (pp == 1 or "pp" in rules.kinds):
            for ep in _expert_degrees(rules, tp, dp) if experts else (1,):
                yield Plan(tp=tp, pp=pp, ep=ep, dp=dp)


def _expert_degrees(rules: PlanRules, tp: int, dp: int) -> list[int]:
    if "ep" not in rules.kinds:
        return [1]
    match rules.experts.group:
        case "all":
            return [tp * dp] if rules.experts.always else sorted({1, tp * dp})
        case "tp":
            return divisors(tp)
        case "dp":
            return divisors(dp)
    return divisors(tp * dp)


def divisors(number: int) -> list[int]:
    """Return what divides a number, rising."""
    small = [n for n in range(1, int(number**0.5) + 1) if number % n == 0]
    return sorted({*small, *(number // n for n in small)})


def _choice(case: Case, base: Spread, plan: Plan, weighed: Masses) -> Choice:
    spread = Spread(plan, base.expected, base.release)
    refusals = gather(spread)
    choice = Choice(plan=plan, refusals=refusals)
    if not choice.legal:
        return choice
    sizes = stage_bytes(spread, weighed)
    gpu = case.running.gpu
    if gpu is None:
        return replace(choice, stages=tuple(sizes))
    usable = int(gpu.memory * spread.rules.headroom)
    left = [usable - size for size in sizes]
    return replace(choice, stages=tuple(sizes), left=min(left), tokens=tokens(spread, left))
