"""A tensor is there that the architecture does not know.

Checks: every found name that no slot of the schema asks for and no ignored pattern accepts.
Matters: strict loaders stop with a KeyError; others leave it out, and what it should have done is lost.
Example: self_attn.indexer.qk_index_proj.weight in a qwen3_moe checkpoint.
Cure: use the architecture that the tensor belongs to, or remove it from the checkpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.finding import Level
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.finding import Finding
    from weightlint.names import Coord, Template


def check(case: Case) -> Iterator[Finding]:
    """Report together the families that have the same numbers."""
    groups: dict[frozenset[Coord], dict[Template, dict[Coord, int]]] = {}
    for template in list(case.ledger.extra):
        rows = case.ledger.take_extra(template)
        groups.setdefault(frozenset(rows), {})[template] = rows
    for families in groups.values():
        yield _finding(case, families)


def _finding(case: Case, families: dict[Template, dict[Coord, int]]) -> Finding:
    from weightlint.names import brace, pieces

    rows = [row for group in families.values() for row in group.values()]
    patterns = [pattern for template, group in families.items() for pattern in brace(pieces(template), group)]
    kind = case.index.kind(rows[0])
    subject = f"{patterns[0]} is" if len(rows) == 1 else f"{len(rows):,} tensors are"
    words = case.wording
    refused = f": {words.refuses}" if words.refuses else ""
    return RULE.finding(
        f"{subject} not part of {case.arch}{refused}",
        level=Level.ERROR if refused else None,
        place=case.place(rows),
        count=len(rows),
        found=f"{kind.dtype} {words.dims(kind.shape)}{words.order}" if kind.shape is not None else None,
        cure=words.extra,
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
