"""A LoRA adapter does not fit its own config or its base model.

Checks: A and B of each pair, their rank against r, their modules against target_modules and the base, their sizes.
Matters: PEFT leaves out what it cannot place and serves the base model's answers (vLLM #55193); vLLM stops at the name.
Example: lora_A of layer 3 is [8, 4096] and adapter_config.json says r = 16.
Cure: save the adapter again with save_pretrained, from the model that it was trained on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.adapters import pairs as adapter_pairs
from weightlint.adapters.adapter import CONFIG, Complaint, Row, part
from weightlint.finding import Level, Place
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.finding import Finding

METHODS = frozenset({"LORA", "ADALORA"})


def check(case: Case) -> Iterator[Finding]:
    """Look at the adapter by itself, then at its base."""
    adapter = case.checkpoint.adapter
    if adapter is None or adapter.kind not in METHODS:
        return
    for complaint in _complaints(case):
        rows = [case.index.rows[name] for name in complaint.names]
        yield RULE.finding(
            complaint.message,
            level=Level.WARNING if complaint.warns else None,
            place=case.place(rows) if rows else Place(files=(CONFIG,)),
            count=len(rows) or 1,
            unit="tensor" if rows else "file",
            expected=complaint.expected,
            found=complaint.found,
            cure=complaint.cure,
        )


def _complaints(case: Case) -> Iterator[Complaint]:
    from weightlint.adapters.base import against

    adapter = case.checkpoint.adapter
    assert adapter is not None
    parts = [(name, part(name), case.index.kind(row).shape) for name, row in case.index.rows.items()]
    rows = [Row(name, what, shape) for name, what, shape in parts if what is not None]
    if not adapter.there:
        yield Complaint(
            f"{CONFIG} is not beside the adapter: nothing says its rank, its targets and its base",
            cure=f"download {CONFIG} as well",
        )
    yield from adapter_pairs.names(rows, [name for name, what, _ in parts if what is None])
    yield from adapter_pairs.pairs(adapter_pairs.by_module(rows))
    yield from _empty([row for row in rows if row.shape is not None and 0 in row.shape])
    sound = [row for row in rows if row.shape is None or 0 not in row.shape]
    modules = adapter_pairs.by_module(sound)
    yield from adapter_pairs.ranks(modules, adapter)
    yield from adapter_pairs.targets(rows, adapter)
    yield from adapter_pairs.magnitudes(modules, adapter)
    yield from _whole([row for row in sound if row.part.role in {"full", "copy"}])
    if case.plain is not None and case.arch is not None:
        yield from against(sound, case.plain, case.arch, fused=bool(adapter.data.get("target_parameters")))


def _empty(rows: list[Row]) -> Iterator[Complaint]:
    """Report tensors without elements, as a save under ZeRO stage 3 leaves them (OpenRLHF #651)."""
    if rows:
        yield Complaint(
            f"{rows[0].name} is empty" if len(rows) == 1 else f"{len(rows):,} tensors are empty",
            tuple(row.name for row in rows),
            expected="A [r, in] and B [out, r]",
            found=str(list(rows[0].shape or ())),
            cure="gather the parameters before saving: stage3_gather_16bit_weights_on_model_save for ZeRO stage 3",
        )


def _whole(rows: list[Row]) -> Iterator[Complaint]:
    """Warn of tensors stored whole, which PEFT reads and vLLM refuses (vLLM #9280, #7441, #32599)."""
    if rows:
        subject = f"{rows[0].name} is" if len(rows) == 1 else f"{len(rows):,} tensors are"
        yield Complaint(
            f"{subject} stored whole: PEFT puts it in the place of the base's own, vLLM stops at it with "
            '"is unsupported LoRA weight"',
            tuple(row.name for row in rows),
            warns=True,
            cure="for vLLM merge the adapter into its base, or train without modules_to_save and save with "
            "save_embedding_layers=False",
        )


RULE = Rule(
    code="WL207",
    name="adapter-target",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    needs=frozenset({Need.TABLE}),
    turn=20,
)
