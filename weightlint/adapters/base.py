"""What is wrong between an adapter and its base model: modules that it has not, and sizes.

The base is an expectation in the names of its Hugging Face class, without quantisation.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from weightlint.adapters.adapter import Complaint, many
from weightlint.errors import nearest
from weightlint.names import fold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from weightlint.adapters.adapter import Row
    from weightlint.dtype import Shape
    from weightlint.expected import Expected, Slot

VOCABULARY = frozenset({"embedding", "head"})


class Clash(NamedTuple):
    """A tensor whose shape does not fit the base's tensor, and the shape that would."""

    row: Row
    slot: Slot
    wanted: Shape


def against(rows: Sequence[Row], base: Expected, arch: str, *, fused: bool) -> Iterator[Complaint]:
    """Compare every tensor of an adapter with the tensor of the base that it changes.

    `fused` tells that it changes parameters of fused experts, which no file names as the class does.
    """
    slots = {name: slot for slot in base.slots for name in slot.names()}
    for layout in base.layouts:
        slots |= {name: slot for slot in layout.slots for name in slot.names()}
    unknown: list[Row] = []
    clashes: dict[bool, list[Clash]] = defaultdict(list)
    for row in rows:
        slot = slots.get(f"{row.part.module}.weight")
        wanted = slot and _wanted(row, slot)
        if slot is None and row.part.role not in {"full", "copy"}:
            unknown += [] if fused and "experts" in row.part.module.split(".") else [row]
        elif slot and wanted and row.shape is not None and row.shape != wanted:
            clashes[_is_vocabulary(row, slot, wanted)].append(Clash(row, slot, wanted))
    yield from _unknown(unknown, slots, arch)
    yield from _vocabulary(clashes[True])
    yield from _other_base(clashes[False], arch)


def _wanted(row: Row, slot: Slot) -> Shape | None:
    """Return the shape that fits, with the rank as it is; None where there is nothing to compare."""
    shape, whole = row.shape or (), slot.shape
    match row.part.role:
        case "A" if len(shape) == 2 == len(whole):
            return shape[0], whole[1]
        case "B" if len(shape) == 2 == len(whole):
            return whole[0], shape[1]
        case "embedding_A" if len(shape) == 2:
            return shape[0], whole[0]
        case "embedding_B" if len(shape) == 2:
            return whole[1], shape[1]
        case "full" | "copy" if row.name.endswith(".weight"):
            return whole
    return None


def _is_vocabulary(row: Row, slot: Slot, wanted: Shape) -> bool:
    """Tell whether only the number of tokens differs."""
    tokens = 1 if row.part.role == "embedding_A" else 0
    shape = row.shape or ()
    return (
        slot.kind in VOCABULARY
        and row.part.role not in {"A", "embedding_B"}
        and len(shape) == len(wanted)
        and all(a == b for at, (a, b) in enumerate(zip(shape, wanted, strict=True)) if at != tokens)
    )


def _unknown(rows: Sequence[Row], slots: Mapping[str, Slot], arch: str) -> Iterator[Complaint]:
    if not rows:
        return
    modules = {fold(name.removesuffix(".weight"))[0] for name in slots}
    first = rows[0].part.module
    yield Complaint(
        f"{many([row.name for row in rows])} a target that {arch} does not have: PEFT leaves it out, vLLM stops"
        f"{nearest(fold(first)[0], sorted(modules))}",
        tuple(row.name for row in rows),
        expected=f"a module of {arch}",
        found=first,
        cure="use the base model that the adapter was trained on: base_model_name_or_path names it",
    )


def _vocabulary(clashes: Sequence[Clash]) -> Iterator[Complaint]:
    if not clashes:
        return
    row, slot, wanted = clashes[0]
    at = 1 if row.part.role == "embedding_A" else 0
    found, said = (row.shape or ())[at], wanted[at]
    yield Complaint(
        f"{many([clash.row.name for clash in clashes])} {found:,} tokens, the base has {said:,}",
        tuple(clash.row.name for clash in clashes),
        expected=f"{said:,} = {slot.formula[0] if slot.formula else 'vocab_size'}",
        found=f"{found:,}",
        cure=f"resize the base to {found:,} tokens before the adapter is loaded, with the tokenizer that lies beside it",
    )


def _other_base(clashes: Sequence[Clash], arch: str) -> Iterator[Complaint]:
    if not clashes:
        return
    row, slot, wanted = clashes[0]
    formula = f" for {list(slot.shape)} = [{', '.join(slot.formula)}]" if slot.formula else ""
    yield Complaint(
        f"{many([clash.row.name for clash in clashes])} a size that does not fit the base ({arch})",
        tuple(clash.row.name for clash in clashes),
        expected=f"{list(wanted)}{formula}",
        found=str(list(row.shape or ())),
        cure="use the base model that the adapter was trained on: base_model_name_or_path names it",
    )
