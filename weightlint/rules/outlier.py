"""Numbers that no quantiser writes and no training gives.

Checks: negative scales where the scheme has none (d and dmin of Q4_K and its like, `weight_scale_inv`), magnitudes far beyond
the other blocks of a tensor, its other values, or the same tensor of the other layers; layers whose root mean square is out of
line with all others (a warning).
Matters: a flipped exponent bit is finite, so no search for NaN finds it, and one value of 1e30 drowns a layer; 18 values of a few thousand in one
tensor made OPT-175B talk gibberish (metaseq #122).
Example: `blk.9.ffn_down_exps.weight: 3 negative scales among its Q4_K blocks, where the quantiser writes none ...`.
Cure: download the file again if its hash is not the published one, else take another revision or tell the publisher.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from weightlint.finding import Level, Place, counted, printable
from weightlint.names import fold, patterns
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.case import Case
    from weightlint.finding import Finding
    from weightlint.probe import Span, Stats
    from weightlint.verifying.breaks import Break
    from weightlint.verifying.extremes import Extreme

FEW = 6
"""Layers that are listed one by one."""


def check(case: Case) -> Iterator[Finding]:
    """Tell of negative scales and of magnitudes that cannot be, those of one family together."""
    from weightlint.verifying.breaks import breaks
    from weightlint.verifying.extremes import extremes

    negative: dict[object, list[tuple[str, Span, int, int]]] = defaultdict(list)
    for job, row in case.seen.entries():
        for span, stats in zip(job.spans, row.stats, strict=True):
            count = stats.wrong("negative")
            # a tensor with NaN is told by another rule: it is the same damage
            if count and not _is_told(case, job.file, span, stats):
                first = next(it.offset for it in stats.spots if it.what == "negative")
                negative[fold(span.name)[0]].append((job.file, span, count, first))
    for hits in negative.values():
        yield _negative(case, hits)
    told = {(file, span.name) for hits in negative.values() for file, span, *_ in hits}
    families: dict[object, list[Extreme]] = defaultdict(list)
    for it in extremes(case.seen):
        if not _is_told(case, it.file, it.span, it.stats) and (it.file, it.span.name) not in told:
            families[fold(it.span.name)[0]].append(it)
    for found in families.values():
        yield _extreme(case, found)
    told |= {(it.file, it.span.name) for found in families.values() for it in found}
    for off in breaks(case.seen):
        if not told & {*off.names} and not case.damaged & {*off.names}:
            yield _out_of_line(case, off)


def _is_told(case: Case, file: str, span: Span, stats: Stats) -> bool:
    return (file, span.name) in case.damaged or bool(stats.wrong("nan") or stats.wrong("inf"))


def _negative(case: Case, hits: Sequence[tuple[str, Span, int, int]]) -> Finding:
    from weightlint.verifying.advice import cure
    from weightlint.verifying.place import owner, spot

    file, span, count, first = hits[0]
    files = tuple(dict.fromkeys(file for file, *_ in hits))
    where = (
        "values of a scale that is positive by construction"
        if span.scale
        else f"scales of its {span.dtype} blocks"
    )
    more = f"; {len(hits) - 1:,} more tensors of its kind" if len(hits) > 1 else ""
    return RULE.finding(
        f"{printable(span.name)}: {count:,} of the {where} are negative; no quantiser writes that. The first is "
        f"{spot(span, first)} of the tensor{owner(span, first)}, at byte {first:,} of {printable(file)}{more}",
        place=Place(tensors=tuple(patterns(span.name for _, span, *_ in hits)), files=files),
        count=len(hits),
        cure=cure(case.seen, files),
    )


def _extreme(case: Case, found: Sequence[Extreme]) -> Finding:
    from weightlint.verifying.advice import cure
    from weightlint.verifying.place import owner, spot

    it = found[0]
    files = tuple(dict.fromkeys(each.file for each in found))
    peak = it.stats.peak
    what = "a block has the scale" if it.whose == "the median of its blocks" else "it holds the magnitude"
    usual = f", {it.whose} is {it.usual:.3g}" if it.usual and "others" not in it.whose else ""
    usual = f", {it.whose} reach {it.usual:.3g}" if it.usual and "others" in it.whose else usual
    more = f"; {len(found) - 1:,} more tensors of its kind" if len(found) > 1 else ""
    return RULE.finding(
        f"{printable(it.span.name)}: {what} {it.stats.absmax:.4g}{usual}; it is {spot(it.span, peak)} of the tensor"
        f"{owner(it.span, peak)}, at byte {peak:,} of {printable(it.file)}{more}",
        level=Level.ERROR if any(each.sure for each in found) else Level.WARNING,
        place=Place(tensors=tuple(patterns(each.span.name for each in found)), files=files),
        count=len(found),
        cure=cure(case.seen, files),
    )


def _out_of_line(case: Case, off: Break) -> Finding:
    from weightlint.verifying.advice import cure

    layers = counted(len(off.layers), "layer") if len(off.layers) > FEW else _listed(off.layers)
    low, high = (f"{factor:.3g}" for factor in off.factors)
    factor = low if low == high else f"{low} to {high}"
    names = tuple(patterns(name for _, name in off.names))
    files = tuple(dict.fromkeys(file for file, _ in off.names))
    subject = f"{counted(off.families, 'kind')} of weights" if off.whole else printable(names[0])
    return RULE.finding(
        f"{layers} {'is' if len(off.layers) == 1 else 'are'} out of line: the root mean square of {subject} is {factor} times "
        "what the other layers give",
        level=Level.WARNING,
        place=Place(tensors=names, files=files),
        count=len(off.names),
        cure=cure(case.seen, files),
    )


def _listed(layers: Sequence[int]) -> str:
    *most, last = map(str, layers)
    return f"layers {', '.join(most)} and {last}" if most else f"layer {last}"


RULE = Rule(
    code="WL703",
    name="outlier",
    level=Level.ERROR,
    page=__doc__,
    check=check,
    needs=frozenset({Need.BYTES}),
    turn=60,
)
