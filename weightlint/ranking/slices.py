"""From the slices of one tensor to the whole: which dimension was cut, and what the slices add up to.

Arithmetic on shapes; knows nothing of files and ranks.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weightlint.dtype import Shape
    from weightlint.expected import Slot

PADS = (64, 128, 256, 512, 1024, 1280)
"""Multiples to which a vocabulary is padded, alone or times the number of ranks.

Sources: vLLM, vocab_parallel_embedding.py (64); Megatron-LM, --make-vocab-size-divisible-by (128 unless
given; 1280 in Megatron-Bridge's DeepSeek recipe).
"""


def fits(slot: Slot, slices: Sequence[Shape], *, ways: int) -> bool:
    """Tell whether slices, in order of rank, make the tensor of a slot, all of `ways` or some of them."""
    if any(len(each) != len(slot.shape) for each in slices):
        return False
    if all(each == slot.shape for each in slices):
        return True
    changed = {dim for each in slices for dim, size in enumerate(each) if size != slot.shape[dim]}
    if len(changed) == 1:
        return _adds_up(slot, [each[next(iter(changed))] for each in slices], *changed, ways=ways)
    return slot.kind == "expert" and len(set(slices)) == 1 and _is_grid(slot.shape, slices[0], ways)


def _adds_up(slot: Slot, sizes: Sequence[int], dim: int, *, ways: int) -> bool:
    whole, total = slot.shape[dim], sum(sizes)
    if len(sizes) < ways:
        return (
            total < whole if len(set(sizes)) > 1 else _adds_up(slot, list(sizes[:1]) * ways, dim, ways=ways)
        )
    if total == whole:
        return True
    if dim == 0 and slot.kind in {"embedding", "head"}:
        return total in {-(-whole // pad) * pad for one in (1, *PADS) for pad in (one, one * ways)}
    if slot.kind == "scale":
        return whole < total < whole + ways
    return dim == 0 and len(set(sizes)) == 1 and _is_copied(slot, total, ways)


def _is_copied(slot: Slot, total: int, ways: int) -> bool:
    """Tell whether there are fewer heads of keys than ranks, so that neighbours hold the same head."""
    parts = slot.parts or (slot,)
    keys = sum(part.shape[0] for part in parts if (part.cut or "").endswith("kv_head"))
    rest = sum(part.shape[0] for part in parts) - keys
    return keys > 0 and any(
        total == rest + keys * copies for copies in range(2, ways + 1) if not ways % copies
    )


def _is_grid(whole: Shape, piece: Shape, ways: int) -> bool:
    """Tell whether experts are cut twice: some on each rank, and each of them again."""
    return all(not size % part for size, part in zip(whole, piece, strict=True) if part) and (
        0 not in piece and prod(whole) == prod(piece) * ways
    )


def implied(slot: Slot, piece: Shape) -> int | None:
    """Return of how many ranks a slice is one, or None if it is whole, or no even slice at all."""
    if len(piece) != len(slot.shape):
        return None
    cut = [(whole, part) for whole, part in zip(slot.shape, piece, strict=True) if whole != part]
    if len(cut) != 1 or not cut[0][1] or cut[0][0] % cut[0][1]:
        return None
    return cut[0][0] // cut[0][1]


def guess(slot: Slot | None, piece: Shape, *, ways: int) -> Shape:
    """Return the whole shape of equal slices that do not fit, as the schema says that it is cut."""
    cut = (slot.cut if slot else None) or "replicate"
    if not piece or cut.startswith("replicate"):
        return piece
    dim = len(piece) - 1 if cut.startswith("row") else 0 if cut == "vocab" else max(0, len(piece) - 2)
    return tuple(size * ways if at == dim else size for at, size in enumerate(piece))
