"""Which rank of an expert parallel group holds which experts.

Knows nothing of tensors. With redundant copies a slot number is not an expert's number: `of_slot` tells
whose copy a slot is.
"""

from __future__ import annotations

from collections import Counter

from weightlint.pipeline import ranges

Dealt = tuple[tuple[int, ...], ...]
"""The experts of each rank of the group; with redundant copies one expert may be on several."""


def of_slot(slot: int, experts: int) -> int:
    """Return the expert that a slot holds: the first slots are the experts, the copies begin anew.

    Source: vLLM, distributed/eplb/eplb_state.py build_initial_global_physical_to_logical_map.
    """
    return slot if slot < experts else (slot - experts) % experts


def deal(
    experts: int, ranks: int, *, remainder: str = "first", redundant: int = 0, round_robin: bool = False
) -> Dealt:
    """Deal experts, and their copies, to ranks in a row or one by one.

    `remainder` is where those go that do not come out even: one each to the `first` ranks, or all to the
    `last` one.
    """
    slots = experts + redundant
    if round_robin:
        return tuple(
            tuple(of_slot(slot, experts) for slot in range(rank, slots, ranks)) for rank in range(ranks)
        )
    base, rest = divmod(slots, ranks)
    if remainder == "last":
        sizes = [base] * (ranks - 1) + [base + rest]
    else:
        sizes = [base + (rank < rest) for rank in range(ranks)]
    return tuple(tuple(of_slot(slot, experts) for slot in span) for span in ranges(sizes))


def absent(experts: int, dealt: Dealt) -> tuple[int, ...]:
    """Return the experts that no rank holds."""
    held = {expert for mine in dealt for expert in mine}
    return tuple(expert for expert in range(experts) if expert not in held)


def beyond(experts: int, dealt: Dealt) -> tuple[int, ...]:
    """Return the numbers that ranks are given and that are no expert's."""
    return tuple(sorted({expert for mine in dealt for expert in mine if expert >= experts}))


def copied(dealt: Dealt) -> dict[int, int]:
    """Return how many ranks hold an expert, for those held more than once."""
    counts = Counter(expert for mine in dealt for expert in mine)
    return {expert: count for expert, count in counts.items() if count > 1}
