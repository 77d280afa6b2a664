"""Setting a region of a tensor, `parameter[expert] = tensor`: torch is looser there than in `copy_`, and says other words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.loading.outcome import Failure

if TYPE_CHECKING:
    from weightlint.dtype import Shape


def unassignable(found: Shape, room: Shape) -> Failure | None:
    """Refuse a tensor that cannot be expanded to the region; dimensions of 1 in front do not count."""
    while len(found) > len(room) and found[0] == 1:
        found = found[1:]
    if len(found) > len(room):
        text = (
            f"expand(torch.FloatTensor{{{[*found]}}}, size={[*room]}): the number of sizes provided ({len(room)}) must "
            f"be greater or equal to the number of dimensions in the tensor ({len(found)})"
        )
        return Failure("RuntimeError", text)
    for back in range(1, len(found) + 1):
        have, want = found[-back], room[-back]
        if have not in (1, want):
            text = (
                f"The expanded size of the tensor ({want}) must match the existing size ({have}) at non-singleton "
                f"dimension {len(room) - back}.  Target sizes: {[*room]}.  Tensor sizes: {[*found]}"
            )
            return Failure("RuntimeError", text)
    return None
