"""A tensor is stored in a type that the architecture does not allow.

Checks: dtypes of plain tensors: floats of 16 or 32 bits; F32 where a schema pins it.
Matters: integers are cast to floats without a word and give noise; a router bias in 16 bits changes which experts answer.
Example: o_proj.weight is I32.
Cure: export the tensor again from the original.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from weightlint.dtype import FLOATS
from weightlint.finding import Level
from weightlint.ggml import IK_ONLY
from weightlint.keys import Keys
from weightlint.mtp_layers import announced_layers
from weightlint.names import fold
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.expected import Slot
    from weightlint.finding import Finding


def check(case: Case) -> Iterator[Finding]:
    """Group the misfit dtypes by what was expected and found."""
    groups: dict[tuple[str, str, bool], list[tuple[Slot, int]]] = {}
    ggml = isinstance(case.config, Keys)
    drafts = announced_layers(case) if ggml else frozenset()
    for slot in list(case.ledger.misfits):
        for kind in list(case.ledger.misfits[slot]):
            rows = case.ledger.take_misfits(slot, kind)
            if kind.dtype in IK_ONLY and "Q8_0" in slot.dtypes:
                continue  # the reader of the file says which types only ik_llama.cpp knows
            wanted = " or ".join(sorted(slot.dtypes))
            for row in rows:
                draft = bool(drafts.intersection(fold(case.index.names[row])[1][:1]))
                groups.setdefault((wanted, kind.dtype or "?", draft), []).append((slot, row))
    for (wanted, found, draft), hits in groups.items():
        finding = _finding(case, wanted, found, hits) if not ggml else _of_ggml(case, wanted, found, hits)
        yield finding if not draft else _unused(finding)


def _unused(finding: Finding) -> Finding:
    """Soften what is said of draft layers, which llama.cpp leaves out unless it is told to use them."""
    message = finding.message.replace(
        "llama.cpp loads the file and dies at the first token",
        "llama.cpp leaves draft layers out unless it is told to use them, and then dies at the first token",
    )
    return replace(finding, level=Level.INFO, message=message)


def _finding(case: Case, wanted: str, found: str, hits: list[tuple[Slot, int]]) -> Finding:

    rows = [row for _, row in hits]
    names = [case.index.names[row] for row in rows]
    narrowed = found in FLOATS
    return RULE.finding(
        f"{names[0] + ' is' if len(rows) == 1 else f'{len(rows):,} tensors are'} stored as {found}",
        level=Level.WARNING if narrowed else None,
        place=case.place(rows),
        count=len(rows),
        expected=wanted,
        found=found,
        cure=f"export it as {wanted}: the precision that was cut off cannot be restored from this file"
        if narrowed
        else "export it again from the original: an integer here is no weight unless a quantisation is declared",
    )


def _of_ggml(case: Case, wanted: str, found: str, hits: list[tuple[Slot, int]]) -> Finding:
    """Say what llama.cpp, which compares no types at load, makes of the tensors at the first token."""
    rows = [row for _, row in hits]
    names = [case.index.names[row] for row in rows]
    subject = f"{names[0]} is" if len(rows) == 1 else f"{len(rows):,} tensors are"
    plain = wanted == "F32"
    why = (
        "norms, biases and factors are computed in F32 only"
        if plain
        else "it cannot multiply by such a matrix"
    )
    return RULE.finding(
        f"{subject} stored as {found}; llama.cpp loads the file and dies at the first token: {why}",
        place=case.place(rows),
        count=len(rows),
        expected=wanted if plain else "F32, F16, BF16 or a quantisation of weights",
        found=found,
        cure="convert the original again with convert_hf_to_gguf.py, which keeps these tensors in F32"
        if plain
        else "quantise the original again with llama-quantize, to a type of weights",
    )


RULE = Rule(
    code="WL405",
    name="wrong-dtype",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    needs=frozenset({Need.TABLE, Need.HEADERS, Need.EXPECTED}),
    turn=42,
)
