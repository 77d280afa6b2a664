"""Boxes that tile a shape, against counting every element."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weightlint.dcp import tiling

Box = tuple[tuple[int, ...], tuple[int, ...]]


@st.composite
def drawn(draw: st.DrawFn) -> tuple[tuple[int, ...], list[Box]]:
    """Draw a shape cut into a grid of boxes, with boxes dropped, doubled or moved."""
    shape = tuple(draw(st.lists(st.integers(0, 5), min_size=0, max_size=3)))
    edges = [sorted({0, dim, *draw(st.lists(st.integers(0, dim), max_size=2))}) for dim in shape]
    spans = [list(pairwise(edge)) or [(0, 0)] for edge in edges]
    boxes = [
        (tuple(start for start, _ in cell), tuple(stop - start for start, stop in cell))
        for cell in product(*spans)
    ]
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(boxes) - 1)) if boxes else 0
        match draw(st.sampled_from(["drop", "double", "move"])):
            case "drop":
                boxes[at : at + 1] = []
            case "double":
                boxes += boxes[at : at + 1]
            case "move" if boxes and shape:
                offsets = tuple(draw(st.integers(0, 5)) for _ in shape)
                boxes[at] = (offsets, boxes[at][1])
    return shape, boxes


@given(drawn())
def test_a_flaw_is_found_exactly_where_counting_finds_one(case: tuple[tuple[int, ...], list[Box]]) -> None:
    shape, boxes = case
    cells: Counter[tuple[int, ...]] = Counter()
    inside = True
    for offsets, sizes in boxes:
        inside &= all(at + size <= dim for at, size, dim in zip(offsets, sizes, shape, strict=True))
        cells.update(product(*(range(at, at + size) for at, size in zip(offsets, sizes, strict=True))))
    whole = dict.fromkeys(product(*map(range, shape)), 1)
    assert (tiling.flaw(shape, boxes) is None) == (inside and cells == whole)


@pytest.mark.parametrize(
    ("boxes", "why"),
    [
        ([((0,), (2,))], "2 elements of the 4"),
        ([((0,), (3,)), ((2,), (2,))], "share"),
        ([((2,), (3,))], "leaves"),
        ([((0, 0), (2, 2))], "2 dimensions"),
    ],
)
def test_a_flaw_is_named(boxes: list[Box], why: str) -> None:
    assert why in (tiling.flaw((4,), boxes) or "")


def test_boxes_of_no_grid() -> None:
    pinwheel = [((0, 0), (1, 2)), ((0, 2), (2, 1)), ((2, 1), (1, 2)), ((1, 0), (2, 1)), ((1, 1), (1, 1))]
    assert tiling.flaw((3, 3), pinwheel) is None
    assert "share" in (tiling.flaw((3, 3), [*pinwheel[:4], ((1, 0), (1, 1))]) or "")
