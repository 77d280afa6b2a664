"""The weights of a rank do not fit into the memory of its GPU.

Checks: bytes of weights on the heaviest rank of each stage, as stored, against --gpu or --gpu-memory.
Matters: a rank that runs out of memory takes all others with it, after most of the checkpoint has been read.
Example: DeepSeek-V3 in FP8 on 8 x 80 GiB: 84 GB of weights on each rank.
Cure: take more tensor or pipeline ranks, expert parallelism, or GPUs with more memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.finding import Level, Place
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.finding import Finding


def check(case: Case) -> Iterator[Finding]:
    """Weigh every stage, unless the plan breaks on something else already."""
    from weightlint.weights import masses, stage_bytes

    gpu, spread = case.running.gpu, case.spread
    if gpu is None or spread is None or any(it.level is Level.ERROR for it in case.refusals):
        return
    sizes = stage_bytes(spread, masses(case.index, spread.expected, case.joined.matched))
    full = {stage for stage, size in enumerate(sizes) if size > gpu.memory}
    tight = {stage for stage, size in enumerate(sizes) if size > gpu.memory * spread.rules.headroom} - full
    if full:
        yield _finding(case, full, max(sizes), Level.ERROR)
    elif tight:
        yield _finding(case, tight, max(sizes), Level.WARNING)


def _finding(case: Case, stages: set[int], size: int, level: Level) -> Finding:
    from weightlint.gpu import shown

    gpu, plan, spread = case.running.gpu, case.plan, case.spread
    assert gpu is not None
    assert plan is not None
    assert spread is not None
    memory = shown(gpu.memory)
    why = f"the weights of a rank take {shown(size)}, {gpu.name} has {memory}"
    if level is Level.WARNING:
        who = case.loader.says if case.loader else "the framework"
        usable = shown(int(gpu.memory * spread.rules.headroom))
        why += f"; nothing is left for the cache of the {usable} that {who} takes"
    return RULE.finding(
        why,
        level=level,
        place=Place(ranks=plan.patterns(stages=stages)),
        count=len(stages),
        unit="stage",
        expected=f"at most {memory} on each rank",
        found=f"{shown(size)} on the heaviest",
        cure=f"`weightlint plan --gpus {plan.size * 2}` shows what more GPUs would hold",
    )


RULE = Rule(
    code="WL506",
    name="memory",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    needs=frozenset({Need.PLAN, Need.EXPECTED}),
    turn=75,
)
