"""NaN or infinity in weights or in the scales of blocks.

Checks: every number of a float tensor and every scale of a block type (GGUF's d and dmin, FP8 and E8M0 scales) is finite.
Matters: one NaN in a weight makes every output NaN from that layer on; no loader looks (llama.cpp's
`--check-tensors` is off by default, ik_llama.cpp #649 had NaN scales of single experts), so the server starts and serves
nonsense or stops at the first request (ktransformers #885: NaN from layer 9 on).
Example: `blk.9.ffn_down_exps.weight: 12 NaN in the scales of its blocks, the first of expert 5 in layer 9 ...`.
Cure: download the file again if its hash is not the published one, else take another revision or tell the publisher.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from weightlint import dtype
from weightlint.finding import Level, Place, printable
from weightlint.names import fold, patterns
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.case import Case
    from weightlint.finding import Finding
    from weightlint.probe import Span, Stats

KINDS = {"nan": "NaN", "inf": "infinite"}
Hit = tuple[str, "Span", "Stats"]


def check(case: Case) -> Iterator[Finding]:
    """Tell of tensors with values that are not finite, those of one family and kind together."""
    from weightlint.verifying.buffers import is_mask

    groups: dict[tuple[object, ...], list[Hit]] = defaultdict(list)
    for job, row in case.seen.entries():
        for span, stats in zip(job.spans, row.stats, strict=True):
            wrong = tuple(kind for kind in KINDS if stats.wrong(kind))
            if wrong and not is_mask(span.name) and (job.file, span.name) not in case.damaged:
                groups[fold(span.name)[0], wrong].append((job.file, span, stats))
    for hits in groups.values():
        yield _finding(case, hits)


def _finding(case: Case, hits: Sequence[Hit]) -> Finding:
    from weightlint.verifying.advice import cure
    from weightlint.verifying.place import owner, spot

    file, span, stats = hits[0]
    files = tuple(dict.fromkeys(file for file, *_ in hits))
    first = next(it for it in stats.spots if it.what in KINDS)
    counts = " and ".join(
        f"{stats.wrong(kind):,} {word}" for kind, word in KINDS.items() if stats.wrong(kind)
    )
    more = f"; {len(hits) - 1:,} more tensors of its kind" if len(hits) > 1 else ""
    return RULE.finding(
        f"{printable(span.name)} has {counts}{_where(span)}; the first is {spot(span, first.offset)} of the tensor"
        f"{owner(span, first.offset)}, at byte {first.offset:,} of {file}{more}",
        place=Place(tensors=tuple(patterns(span.name for _, span, _ in hits)), files=files),
        count=len(hits),
        cure=cure(case.seen, files),
    )


def _where(span: Span) -> str:
    known = dtype.find(span.dtype or "")
    blocks = known is not None and known.kind == "quant"
    return f" among the scales of its {span.dtype} blocks" if blocks else f" among its {span.dtype} values"


RULE = Rule(
    code="WL701",
    name="non-finite",
    level=Level.ERROR,
    page=__doc__,
    check=check,
    needs=frozenset({Need.BYTES}),
)
