"""Embedding or head have other rows than the config's vocabulary.

Checks: the first dimension of embedding and head against vocab_size.
Matters: loaders refuse the shape, or read the rows of other tokens.
Example: four tokens were added in training; the tensors have 32,004 rows, the config says 32,000.
Cure: write the number of rows into vocab_size, and save the tokenizer that goes with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.finding import Level
from weightlint.join import has_shape
from weightlint.keys import Keys
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.expected import Slot
    from weightlint.finding import Finding
    from weightlint.index import Kind


KINDS = frozenset({"embedding", "head"})


def check(case: Case) -> Iterator[Finding]:
    """Compare rows, where the other dimensions agree."""
    groups: dict[tuple[int, int], list[tuple[Slot, Kind]]] = {}
    for slot, kinds in case.ledger.misfits.items():
        for kind in kinds:
            if (
                slot.kind in KINDS
                and kind.shape
                and kind.shape[1:] == slot.shape[1:]
                and kind.shape[0] != 0
                and not has_shape(slot, kind)
            ):
                groups.setdefault((slot.shape[0], kind.shape[0]), []).append((slot, kind))
    for (said, found), pairs in groups.items():
        rows = [row for slot, kind in pairs for row in case.ledger.take_misfits(slot, kind)]
        names = sorted(case.index.names[row] for row in rows)
        tokens = "added" if found > said else "removed"
        yield RULE.finding(
            f"{' and '.join(names[:3])} {'has' if len(names) == 1 else 'have'} {found:,} rows, "
            f"{case.checkpoint.config_path} says {_source(case)} {said:,}",
            place=case.place(rows),
            count=len(rows),
            expected=f"{said:,} rows = {_source(case)}",
            found=f"{found:,} rows",
            cure=f"if {abs(found - said):,} tokens were {tokens}, set {_source(case)} to {found} "
            "in the config and ship the tokenizer that goes with it; else the shard is of another model"
            if not isinstance(case.config, Keys)
            else f"if {abs(found - said):,} tokens were {tokens}, convert the original again with the tokenizer that goes "
            "with it; else the file is of another model",
        )


def _source(case: Case) -> str:
    """Return what gives the number of rows: a field, or in a GGUF file as a rule the list of tokens."""
    if not isinstance(case.config, Keys):
        return case.config.spelled("vocab_size") if case.config else "vocab_size"
    there = case.config.value("tokenizer.ggml.tokens") is not None
    return "tokenizer.ggml.tokens" if there else case.config.spelled("vocab_size")


RULE = Rule(
    code="WL302",
    name="vocab-rows",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    needs=frozenset({Need.TABLE, Need.HEADERS, Need.EXPECTED}),
    turn=24,
)
