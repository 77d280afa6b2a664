"""Find the block size by which a scale of one shape belongs to a weight of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.expr import ceil_div

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weightlint.dtype import Shape


def fitting(pairs: Sequence[tuple[Shape, Shape]]) -> tuple[int, int] | None:
    """Return the block size that makes each weight's shape its scale's, if a power of two does."""
    sizes = [1 << power for power in range(11)]
    square = [(size, size) for size in sizes]
    lines = [block for size in sizes for block in ((1, size), (size, 1))]
    return next((block for block in (*square, *lines) if all(_fits(*pair, block) for pair in pairs)), None)


def _fits(weight: Shape, scale: Shape, block: tuple[int, int]) -> bool:
    return scale[-2:] == tuple(ceil_div(n, b) for n, b in zip(weight[-2:], block, strict=True))
