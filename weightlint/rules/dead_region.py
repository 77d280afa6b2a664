"""Zeros where weights should be.

Checks: runs of at least 4,096 zero bytes in weights that are neither whole rows nor at the same place of several rows; weights that are
zero as a whole; zeros up to the end of a file.
Matters: downloaders and file systems reserve a file's full length before they fill it, so an interrupted one has the right
size, a sound header and zeros at its end; a shard of aprender PR #2337 had 27 of 339 tensors zero. The model loads and its layers
give nothing.
Example: `model-00003-of-000163.safetensors is zero from byte 3,221,225,472 to its end, 27 tensors`.
Cure: download the file again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.finding import Level, Place, counted, printable
from weightlint.names import patterns
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.case import Case
    from weightlint.finding import Finding
    from weightlint.verifying.dead import Dead

LARGE = 1 << 16
"""Bytes of zeros within a weight from which on they are an error even where they fill no whole pages."""


def check(case: Case) -> Iterator[Finding]:
    """Tell of the dead regions of each file, together."""
    from weightlint.verifying.dead import dead

    by_file: dict[str, list[Dead]] = {}
    for job, row in case.seen.entries():
        found = [
            it for it in dead(job, row) if any((job.file, span.name) not in case.damaged for span in it.spans)
        ]
        by_file.setdefault(job.file, []).extend(found)
    for file, regions in by_file.items():
        if regions:
            yield _finding(case, file, regions)
    yield from _scales(case)


def _finding(case: Case, file: str, regions: Sequence[Dead]) -> Finding:
    from weightlint.verifying.advice import cure

    names = [span.name for it in regions for span in it.spans]
    largest = max(regions, key=lambda it: it.stop - it.start)
    more = f"; {counted(len(regions) - 1, 'more region')}" if len(regions) > 1 else ""
    sure = any(it.tail or it.whole or it.is_paged or it.stop - it.start >= LARGE for it in regions)
    return RULE.finding(
        f"{_says(file, largest)}{more}",
        level=Level.ERROR if sure else Level.WARNING,
        place=Place(tensors=tuple(patterns(names)), files=(file,)),
        count=len({*names}),
        cure=cure(case.seen, (file,)),
    )


def _scales(case: Case) -> Iterator[Finding]:
    from weightlint.verifying.advice import cure
    from weightlint.verifying.dead import zero_scales

    hits = [
        (job.file, span)
        for job, row in case.seen.entries()
        for span in zero_scales(job, row)
        if (job.file, span.name) not in case.damaged
    ]
    if hits:
        files = tuple(dict.fromkeys(file for file, _ in hits))
        more = f"; {counted(len(hits) - 1, 'more tensor')} of scales like it" if len(hits) > 1 else ""
        yield RULE.finding(
            f"{printable(hits[0][1].name)} is zero throughout: its weight gives nothing{more}",
            place=Place(tensors=tuple(patterns(span.name for _, span in hits)), files=files),
            count=len(hits),
            cure=cure(case.seen, files),
        )


def _says(file: str, it: Dead) -> str:
    from weightlint.verifying.place import owner

    size = it.stop - it.start
    what = f"{printable(file)} is zero from byte {it.start:,} to {'its end' if it.tail else f'{it.stop - 1:,}'}, {size:,} bytes"
    if len(it.spans) > 1:
        return f"{what}: {counted(it.whole, 'tensor')} as a whole, {len(it.spans) - it.whole:,} in part"
    span = it.spans[0]
    if it.whole:
        return f"{printable(span.name)} is zero as a whole ({what})"
    return f"{printable(span.name)}{owner(span, max(it.start, span.start))} has a hole: {what}"


RULE = Rule(
    code="WL702",
    name="dead-region",
    level=Level.ERROR,
    page=__doc__,
    check=check,
    needs=frozenset({Need.BYTES}),
)
