"""The same tensor, or a second set of weights, is there twice.

Checks: names in several files; files that repeat what the indexed shards hold; several GGUF models in one folder.
Matters: loaders keep whichever comes last, in an order that nobody chose.
Example: o_proj.weight of layer 2 is in shard 1 and in shard 2, with different bytes.
Cure: keep one file of each tensor: delete the stray one, or name the right one in the index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.checkpoint import is_second_set
from weightlint.finding import Level, Place
from weightlint.names import patterns
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.finding import Finding


def check(case: Case) -> Iterator[Finding]:
    """Look for names with several rows, then for whole files that repeat others."""
    index = case.index
    groups: dict[tuple[str, str], list[str]] = {}
    for first, row in case.ledger.doubled:
        groups.setdefault((index.file(first), index.file(row)), []).append(index.names[row])
    for (first_file, file), names in groups.items():
        yield RULE.finding(
            f"{f'{names[0]} stands' if len(names) == 1 else f'{len(names):,} tensors stand'} in {first_file} and in {file}: "
            "which one is loaded depends on the order of reading",
            place=Place(tensors=tuple(patterns(names)), files=(first_file, file)),
            count=len(names),
            cure="find out which copy is right and delete the other",
        )
    yield from _second_set(case)
    yield from _other_models(case)


def _second_set(case: Case) -> Iterator[Finding]:
    strays, rows = case.checkpoint.strays, case.index.rows
    by_file: dict[str, list[str]] = {}
    for row, name in enumerate(strays.names):
        by_file.setdefault(strays.file(row), []).append(name)
    again = {file: names for file, names in by_file.items() if all(name in rows for name in names)}
    if again:
        names = [name for group in again.values() for name in group]
        beside = "indexed shards" if case.checkpoint.map else "model"
        yield RULE.finding(
            f"{len(again):,} files beside the {beside} hold {len(names):,} of their tensors again: "
            "loaders that read every file load them twice",
            level=Level.WARNING,
            place=Place(tensors=tuple(patterns(names)), files=tuple(again)),
            count=len(names),
            cure="move the files that the index does not name out of this folder",
        )
    yield from _unfiltered(case, [file for file in by_file if is_second_set(file) and file not in again])


def _unfiltered(case: Case, second: list[str]) -> Iterator[Finding]:
    """Warn of Mistral's own set beside several shards without an index: nothing tells a loader which to read.

    vLLM #4989: the loader read both and stopped at layers.0.attention.wk.weight.
    """
    if second and case.checkpoint.map is None and len(case.index.files) > 1:
        yield RULE.finding(
            f"{second[0]} holds the weights under Mistral's own names beside {len(case.index.files):,} shards "
            "without an index: loaders that read every file stop at its names",
            level=Level.WARNING,
            place=Place(files=tuple(second)),
            count=len(second),
            unit="file",
            cure="download the index of the shards, or move this file out of the folder",
        )


def _other_models(case: Case) -> Iterator[Finding]:
    """Tell of further GGUF models in the folder that have the same tensor names."""
    rows = case.index.rows
    others = [it for it in case.checkpoint.others if it.format == "gguf"]
    again = [(it, names) for it in others if (names := [name for name in it.index.names if name in rows])]
    if not again:
        return
    files = [it.index.files[0].path for it in (case.checkpoint, *(it for it, _ in again))]
    names = list(dict.fromkeys(name for _, group in again for name in group))
    yield RULE.finding(
        f"{len(files):,} models lie in this folder and have {len(names):,} tensor names in common: a reader that takes "
        "every .gguf of a folder, as ktransformers does, keeps the last of each (ktransformers issue #589)",
        level=Level.WARNING,
        place=Place(tensors=tuple(patterns(names)), files=tuple(files)),
        count=len(names),
        cure="keep one model in a folder; llama.cpp, which is given a file, is not concerned",
    )


RULE = Rule(
    code="WL105",
    name="duplicate-tensor",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    needs=frozenset({Need.TABLE}),
    turn=14,
)
