"""The output head and the flag that ties it to the embedding disagree.

Checks: whether the head is there against tie_word_embeddings, in the config or by default.
Matters: without a head and without the tie, loaders start from random numbers and answer noise.
Example: tie_word_embeddings is false and lm_head.weight is in no shard.
Cure: set the flag that the model was trained with, or add the head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.expected import Presence
from weightlint.finding import Level, Place
from weightlint.renames import renamed
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.finding import Finding


def check(case: Case) -> Iterator[Finding]:
    """Compare every slot that a schema ties with what was found."""
    ledger = case.ledger
    for slot in [slot for slot in ledger.missing if slot.tie and slot.need is Presence.REQUIRED]:
        if renamed(case.index, ledger.extra, {slot: ledger.missing[slot]}):
            continue
        coords = ledger.take_missing(slot)
        yield RULE.finding(
            f"{slot.patterns(coords)[0]} is absent, and {case.checkpoint.config_path} does not tie it to {slot.tie}",
            place=Place(tensors=tuple(slot.patterns(coords)), files=case.sibling_files(slot, ())[:1]),
            expected=f"a head {list(slot.shape)}, or tie_word_embeddings = true",
            found="neither",
            cure="if the model shares its embedding, set tie_word_embeddings to true in the config; else "
            "download the shard that holds the head",
        )
    for slot, rows in case.joined.matched.items():
        if slot.need is Presence.TIED:
            yield RULE.finding(
                f"{slot.pattern} is stored although {case.checkpoint.config_path} ties it to {slot.tie}: "
                "loaders use the embedding and leave it out",
                level=Level.INFO,
                place=Place(tensors=tuple(slot.patterns()), files=(case.index.file(rows[0]),)),
                cure="nothing, if both are equal; if the head was trained on its own, set "
                "tie_word_embeddings to false",
            )


RULE = Rule(
    code="WL206",
    name="tied-head",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    needs=frozenset({Need.TABLE, Need.EXPECTED}),
    turn=20,
)
