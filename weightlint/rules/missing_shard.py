"""A shard of the checkpoint is not there.

Checks: every file that the index names; without an index, the numbers of a `-k-of-n` series.
Matters: vLLM stops with FileNotFoundError after start-up; SGLang before PR #32279 served garbage.
Example: model-00002-of-00003.safetensors is named for 31 tensors and is absent.
Cure: download the named files; the rest of the checkpoint can stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.expected import Presence
from weightlint.finding import Level, Place
from weightlint.names import natural, patterns
from weightlint.rule import Rule
from weightlint.series import gaps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.finding import Finding


def check(case: Case) -> Iterator[Finding]:
    """Compare the files that should be there with those that are."""
    checkpoint = case.checkpoint
    if checkpoint.absent:
        lost = case.lost
        absent = sorted(checkpoint.absent, key=natural)
        names = [name for file in absent for name in lost.get(file, ())]
        yield _finding(
            case, absent, names, f"named by {checkpoint.map.path}" if checkpoint.map else "asked for"
        )
    unindexed = [] if _complete(case) else checkpoint.series_gaps()
    if unindexed:
        yield _finding(case, unindexed, [], "of a numbered series without an index")
    forgotten = _forgotten(case)
    if forgotten:
        names = sorted(_required(case), key=natural)
        case.ledger.drop_missing(set(names))
        yield _finding(case, forgotten, names, "of a numbered series, which the index does not name either,")


def _required(case: Case) -> list[str]:
    """Return the missing tensors, but for those of MTP layers: a copy without them may be wanted."""
    mtp = set(case.joined.expected.axes.get("mtp", ()))
    missing = case.ledger.missing.items()
    wanted = ((slot, c) for slot, coords in missing if slot.need is Presence.REQUIRED for c in coords)
    return [slot.name(c) for slot, c in wanted if not mtp or c[:1] == () or c[0] not in mtp]


def _forgotten(case: Case) -> list[str]:
    """Return gaps in the numbers of the files, if as much is missing as these files would hold.

    Numbers alone prove nothing: a published series has 125 files named -of-00130.
    """
    checkpoint = case.checkpoint
    if checkpoint.map is None or case.spelling is None or not len(case.index):
        return []
    absent = gaps((*(file.path for file in case.index.files), *checkpoint.absent))
    usual = len(case.index) / len(case.index.files)
    return absent if absent and 2 * len(_required(case)) >= len(absent) * usual else []


def _complete(case: Case) -> bool:
    """Tell whether the schema finds nothing missing, so that the numbers are only a habit.

    Never so for GGUF: llama.cpp asks for each part that the name counts.
    """
    return case.checkpoint.format != "gguf" and case.spelling is not None and not case.joined.unmet


def _finding(case: Case, files: list[str], names: list[str], why: str) -> Finding:
    total = len(case.index.files) + len(files)
    tensors = f", with {len(names):,} tensors" if names else ""
    return RULE.finding(
        f"{len(files):,} of {total:,} files {why} {'is' if len(files) == 1 else 'are'} absent{tensors}{_hint(case, files)}",
        place=Place(tensors=tuple(patterns(names)), files=tuple(files)),
        count=len(files),
        unit="file",
        cure="download the absent files; the others can stay",
    )


def _hint(case: Case, files: list[str]) -> str:
    there = {file.path.lower(): file.path for file in case.checkpoint.strays.files}
    for file in files:
        if file.lower() in there:
            return f"; {there[file.lower()]} is there, the case of the name differs"
    said = case.checkpoint.keys.get("split.tensors.count")
    if said is not None:
        return f"; {len(case.index):,} of {said.value} tensors are there"
    unfinished = case.checkpoint.unfinished
    if unfinished:
        return f"; an unfinished download is there: {unfinished[0]}"
    return ""


RULE = Rule(
    code="WL103",
    name="missing-shard",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    turn=10,
)
