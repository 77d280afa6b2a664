"""Weights beyond what float16 can hold, in a model that is to run in float16.

Checks: with `--dtype float16`, that no BF16, F32 or F64 weight is larger than 65,504 in magnitude.
Matters: loaders cast without a word, what is larger becomes infinite and every output NaN.
Example: `model.vision_tower.std_bias reaches 54,000,000, float16 ends at 65,504`.
Cure: run it in bfloat16 or float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.finding import Level, Place, counted, printable
from weightlint.names import patterns
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.finding import Finding

LARGEST = 65504.0
WIDE = frozenset({"BF16", "F32", "F64"})


def check(case: Case) -> Iterator[Finding]:
    """Tell of all weights that overflow, in one finding."""
    from weightlint.verifying.extremes import INSANE

    if case.running.dtype != "F16":
        return
    hits = [
        (job.file, span, stats)
        for job, row in case.seen.entries()
        for span, stats in zip(job.spans, row.stats, strict=True)
        # what no dtype would make sense of is damage, and told as such
        if span.dtype in WIDE and LARGEST < stats.absmax < INSANE and "mask" not in span.name
    ]
    if hits:
        file, span, stats = max(hits, key=lambda hit: hit[2].absmax)
        yield RULE.finding(
            f"{printable(span.name)} reaches {stats.absmax:,.6g} at byte {stats.peak:,} of {printable(file)}; float16 "
            f"ends at 65,504, so {counted(len(hits), 'tensor')} of this model would hold infinities",
            place=Place(
                tensors=tuple(patterns(span.name for _, span, _ in hits)),
                files=tuple(dict.fromkeys(file for file, *_ in hits)),
            ),
            count=len(hits),
            cure="run it in bfloat16 or float32: `--dtype bfloat16`",
        )


RULE = Rule(
    code="WL704",
    name="fp16-overflow",
    level=Level.ERROR,
    page=__doc__,
    check=check,
    needs=frozenset({Need.BYTES}),
)
