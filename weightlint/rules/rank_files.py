"""The rank files of a model that is cut do not make one whole model.

Checks: every rank there and of one number of ranks; the same tensors in all of them; slices that add up to the model.
Matters: each rank loads its own file: one of another run gives wrong numbers or a stop after all others have loaded.
Example: model3-mp8.safetensors of eight files is absent; rank 2 holds slices of 16 ranks.
Cure: copy the absent files, or cut the model again into an empty folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.finding import Level, Place, counted
from weightlint.names import natural, patterns
from weightlint.ranking.lapse import Slip
from weightlint.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.finding import Finding
    from weightlint.ranking.lapse import Lapse
    from weightlint.ranking.ranks import Ranks


def check(case: Case) -> Iterator[Finding]:
    """Compare the files with the number of ranks, then the ranks with one another."""
    ranks = case.checkpoint.ranks
    if ranks is None:
        return
    if ranks.missing:
        yield _missing(ranks)
    if ranks.sharding.useless:
        yield _useless(ranks)
        return
    if ranks.contradiction:
        yield _contradiction(case, ranks.contradiction)
    if ranks.others and not ranks.missing and Slip.WORLD not in {lapse.slip for lapse in case.lapses}:
        yield _others(ranks)
    holes = {rank._replace(part=0) for rank in ranks.absent}
    for lapse in case.lapses:
        if not (lapse.slip is Slip.LACKS and holes.issuperset(lapse.ranks)):
            yield _between(ranks, lapse)


def _useless(ranks: Ranks) -> Finding:
    others = (file for group in ranks.others.values() for file in group)
    files = sorted((*ranks.places, *others), key=natural)
    return RULE.finding(
        f"{counted(len(files), 'file')} of {ranks.sharding.title}: {ranks.sharding.useless}",
        place=Place(files=tuple(files)),
        count=len(files),
        unit="file",
        cure=ranks.sharding.cure,
    )


def _contradiction(case: Case, what: str) -> Finding:
    path = case.checkpoint.config_path
    return RULE.finding(
        f"{path}: {what}",
        place=Place(files=(path,)),
        unit="file",
        cure=f"take the {path} that was written with these files",
    )


def _missing(ranks: Ranks) -> Finding:
    count = len(ranks.missing)
    total = count + len(ranks.places)
    beside = [file for files in ranks.others.values() for file in files]
    hint = f"; {beside[0]} is of another number of ranks" if beside else ""
    return RULE.finding(
        f"{count:,} of {counted(total, 'rank file')} {'is' if count == 1 else 'are'} absent{hint}",
        place=Place(files=ranks.missing, ranks=tuple(ranks.label(ranks.absent))),
        count=count,
        unit="file",
        expected=f"{total:,} files, by {_by(ranks)}",
        found=f"{len(ranks.places):,}",
        cure=f"copy the absent files here; where they never were, {ranks.sharding.cure}",
    )


def _by(ranks: Ranks) -> str:
    if "of" in ranks.sharding.pattern.groupindex:
        return "their names"
    return "the config" if any(ranks.degrees) else "the highest rank that is there"


def _others(ranks: Ranks) -> Finding:
    files = sorted((file for group in ranks.others.values() for file in group), key=natural)
    counts = [f"{len(group):,} of {of:,}" if of else f"{len(group):,}" for of, group in ranks.others.items()]
    return RULE.finding(
        f"rank files of several numbers of ranks lie in one folder: beside the complete set of "
        f"{ranks.width:,} there are {' and '.join(counts)}",
        level=Level.WARNING,
        place=Place(files=tuple(files)),
        count=len(files),
        unit="file",
        cure=f"move {'it' if len(files) == 1 else 'them'} out of this folder",
    )


def _between(ranks: Ranks, lapse: Lapse) -> Finding:
    """Say what does not add up between ranks that are there."""
    who = ranks.label(lapse.ranks)
    message, expected, found = _words(ranks, lapse, who[0] if len(who) == 1 else f"{who[0]} and others")
    files = [file for file, rank in ranks.places.items() if rank._replace(part=0) in lapse.ranks]
    return RULE.finding(
        message,
        level=Level.WARNING if _is_surplus(ranks, lapse) else None,
        place=Place(
            tensors=tuple(patterns(lapse.names)), files=tuple(sorted(files, key=natural)), ranks=tuple(who)
        ),
        count=len(lapse.names) or len(files),
        unit="tensor" if lapse.names else "file",
        expected=expected,
        found=found,
        cure=_cure(ranks, lapse),
    )


def _is_surplus(ranks: Ranks, lapse: Lapse) -> bool:
    """Tell whether ranks of another run lie beside a complete set and in the place of none of it."""
    if lapse.slip is not Slip.FOREIGN:
        return False
    own = {rank.tp for rank in ranks.places.values()} - {rank.tp for rank in lapse.ranks}
    return own >= set(range(int(lapse.expected)))


def _words(ranks: Ranks, lapse: Lapse, who: str) -> tuple[str, str | None, str | None]:
    """Return message, what was expected and what was found."""
    many = len(lapse.names)
    what = lapse.names[0] if many == 1 else f"{many:,} tensors"
    others = len({rank._replace(part=0) for rank in ranks.places.values()}) - len(lapse.ranks)
    match lapse.slip:
        case Slip.LACKS:
            than = f"that {'another rank holds' if others == 1 else 'other ranks hold'}"
            return f"rank {who} lacks {what} {than}", "the same tensors on each rank", "none on this rank"
        case Slip.DTYPE:
            return f"rank {who} holds {what} in another dtype than the others", lapse.expected, lapse.found
        case Slip.SHAPE:
            return (
                f"the slice of {what} on rank {who} is not what makes the whole with the others",
                f"{lapse.expected}{_of(lapse)}",
                lapse.found,
            )
        case Slip.SUM:
            return f"the slices of {what} do not add up", _of(lapse).removeprefix(" of "), lapse.found
        case Slip.FOREIGN:
            return (
                f"rank {who} holds slices of {lapse.found} ranks, the others of {lapse.expected}: a file of another run",
                f"slices of {lapse.expected} ranks",
                f"slices of {lapse.found} ranks",
            )
        case Slip.WORLD:
            return _world(ranks, lapse)


def _world(ranks: Ranks, lapse: Lapse) -> tuple[str, str, str]:
    wanted, there = int(lapse.expected), int(lapse.found)
    said = "there are files of"
    if ranks.degrees.tp:
        said = f"{'the names say' if 'of' in ranks.sharding.pattern.groupindex else 'the config says'}"
    gone = [lapse.ranks[0]._replace(tp=tp) for tp in range(there, wanted)]
    short = f": {ranks.label(gone)[0]} absent" if gone and not ranks.others else ""
    return (
        f"the slices are those of {wanted:,} tensor ranks, {said} {there:,}{short}",
        f"{wanted:,} tensor ranks, by the sizes of the slices",
        f"{there:,}",
    )


def _of(lapse: Lapse) -> str:
    """Return the whole tensor that the slices should make."""
    if lapse.slot is None:
        return ""
    formula = f" = [{', '.join(lapse.slot.formula)}]" if lapse.slot.formula else ""
    return f" of {list(lapse.slot.shape)}{formula}"


def _cure(ranks: Ranks, lapse: Lapse) -> str:
    if lapse.slip is Slip.FOREIGN:
        return "put the files of one run here: delete those of the other, and copy what is then absent"
    if lapse.slip is Slip.WORLD:
        return f"copy all ranks here, or load with as many; else {ranks.sharding.cure}"
    return (
        f"copy the named file again from where it was written; if it is the same there, {ranks.sharding.cure}"
    )


RULE = Rule(
    code="WL507",
    name="rank-files",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    turn=11,
)
