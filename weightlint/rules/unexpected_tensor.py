"""A tensor is there that the architecture does not know.

Checks: every found name that no slot of the schema asks for and no ignored pattern accepts.
Matters: strict loaders stop with a KeyError; others leave it out, and what it should have done is lost.
Example: self_attn.indexer.qk_index_proj.weight in a qwen3_moe checkpoint.
Cure: use the architecture that the tensor belongs to, or remove it from the checkpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.finding import Level
from weightlint.packing import states
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.finding import Finding
    from weightlint.names import Coord, Template


Families = dict["Template", "dict[Coord, int]"]
"""Rows by folded name and coordinates."""


def check(case: Case) -> Iterator[Finding]:
    """Report what a quantiser left, then together the families of one strange module or of the same numbers."""
    for packer, found in states(case).items():
        left = {template: case.ledger.take_extra(template) for template, _ in found}
        why = f": {packer.title} left them beside weights that are plain"
        yield _finding(case, left, why, "remove them, or take the quantised weights that belong to them")
    known = _known(case)
    modules: dict[str, Families] = {}
    for template in list(case.ledger.extra):
        modules.setdefault(_module(template, known), {})[template] = case.ledger.take_extra(template)
    groups: dict[frozenset[Coord], Families] = {}
    for families in modules.values():
        groups.setdefault(frozenset(coord for rows in families.values() for coord in rows), {}).update(
            families
        )
    words = case.wording
    for families in groups.values():
        yield _finding(case, families, f": {words.refuses}" if words.refuses else "", words.extra)


def _known(case: Case) -> set[str]:
    """Return every leading part of the names that the schema has."""
    segments = [template.split(".") for template in case.joined.expected.by_template]
    return {".".join(parts[:end]) for parts in segments for end in range(1, len(parts) + 1)}


def _module(template: Template, known: set[str]) -> str:
    """Return the shortest leading part of a name with which no name of the schema begins."""
    parts = template.split(".")
    heads = (".".join(parts[:end]) for end in range(1, len(parts) + 1))
    return next((head for head in heads if head not in known), template)


def _finding(case: Case, families: Families, why: str, cure: str) -> Finding:
    from weightlint.names import brace, pieces

    rows = [row for group in families.values() for row in group.values()]
    patterns = [pattern for template, group in families.items() for pattern in brace(pieces(template), group)]
    kind = case.index.kind(rows[0])
    subject = f"{patterns[0]} is" if len(rows) == 1 else f"{len(rows):,} tensors are"
    words = case.wording
    return RULE.finding(
        f"{subject} not part of {case.arch}{why}",
        level=Level.ERROR if words.refuses else None,
        place=case.place(rows),
        count=len(rows),
        found=f"{kind.dtype} {words.dims(kind.shape)}{words.order}" if kind.shape is not None else None,
        cure=cure,
    )


RULE = Rule(
    code="WL202",
    name="unexpected-tensor",
    level=Level.WARNING,
    page=__doc__ or "",
    check=check,
    needs=frozenset({Need.TABLE, Need.EXPECTED}),
    turn=62,
)
