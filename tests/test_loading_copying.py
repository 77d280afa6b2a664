"""Slices and copies: torch itself is the oracle for its own words, vLLM's source for what is asked before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weightlint.loading.copying import Cutting, Expert, Sliced, Vocabulary, Whole, broadcast, narrow
from weightlint.loading.outcome import Failure, Skip
from weightlint.loading.routed import chunk

if TYPE_CHECKING:
    from collections.abc import Callable

    from weightlint.dtype import Shape

torch = pytest.importorskip("torch")

SHAPES = st.lists(st.integers(0, 5), max_size=3).map(tuple)


def of_torch(act: Callable[[], Any]) -> object:
    """Return the shape that torch makes, or the exception's type and text."""
    try:
        return tuple(act().shape)
    except (RuntimeError, IndexError) as error:
        return type(error).__name__, str(error).partition("\n")[0]


def ours(result: Shape | Failure | None) -> object:
    return (result.kind, result.text) if isinstance(result, Failure) else result


def meta(shape: Shape) -> Any:
    return torch.empty(shape, device="meta")


@given(SHAPES, st.integers(0, 2), st.integers(0, 6), st.integers(0, 6))
def test_narrow_is_that_of_torch(shape: Shape, dim: int, start: int, length: int) -> None:
    theirs = of_torch(lambda: meta(shape).narrow(dim, start, length))
    got = ours(narrow(shape, dim, start, length))
    if shape and dim < len(shape) and not shape[dim] and start:
        assert isinstance(theirs, tuple)
        assert theirs[0] == "IndexError"  # torch writes the range of nothing without a sign
    else:
        assert got == theirs


@given(SHAPES, SHAPES)
def test_broadcast_is_that_of_torch(source: Shape, target: Shape) -> None:
    theirs = of_torch(lambda: meta(target).copy_(meta(source)))
    assert (ours(broadcast(source, target)) or target) == theirs


@given(SHAPES.filter(bool), st.integers(0, 1))
def test_a_half_is_that_of_torch(shape: Shape, at: int) -> None:
    theirs = of_torch(lambda: meta(shape).chunk(2, dim=0)[at])
    assert ours(chunk(shape, 0, at)) == theirs


def test_a_slice_is_taken_before_it_is_compared() -> None:
    """A tensor with more rows than the config says loads; with fewer, the later ranks have nothing to take."""
    copy = Sliced()
    assert copy.place((256, 64), (32, 64), Cutting(0, 3)) == ((0, 0), (32, 64), 0)
    assert copy.place((64, 64), (32, 64), Cutting(0, 1)) == ((0, 0), (32, 64), 0)
    assert copy.place((64, 64), (32, 64), Cutting(0, 2)) == Failure(
        "RuntimeError", "start (64) + length (32) exceeds dimension size (64)."
    )
    assert copy.place((64, 65), (32, 64), Cutting(0, 1)) == Failure("AssertionError", "")


def test_when_a_tensor_without_dimensions_becomes_one_of_one() -> None:
    none = Failure("RuntimeError", "narrow() cannot be applied to a 0-dim tensor.")
    beyond = Failure("RuntimeError", "start (0) + length (4) exceeds dimension size (1).")
    assert Sliced(lifts="last").place((), (4,), Cutting(0, 0)) == none
    assert Sliced(lifts="first").place((), (4,), Cutting(0, 0)) == beyond
    assert Sliced(lifts="last").place((), (1,), Cutting()) == ((0,), (1,), 0)


def test_whole_tensors_must_agree() -> None:
    text = "Tried to load weights of size {tensor}to a parameter of size {param}"
    assert Whole(text).place((4, 3), (3, 4), Cutting()) == Failure(
        "AssertionError",
        "Tried to load weights of size torch.Size([4, 3])to a parameter of size torch.Size([3, 4])",
    )
    assert Whole(text).place((1, 1), (1,), Cutting()) == ((0,), (1,), 0)
    assert Whole(text, lifts_scalar=True).place((), (1,), Cutting()) == ((0,), (1,), 0)


def test_a_vocabulary_ends_with_zeros() -> None:
    """100 rows padded to 128 over two ranks: the second has 36 of its 64."""
    table = Vocabulary(100)
    assert table.place((100, 8), (64, 8), Cutting(0, 0)) == ((0, 0), (64, 8), 0)
    assert table.place((100, 8), (64, 8), Cutting(0, 1)) == ((0, 0), (36, 8), 28 * 8)
    assert table.place((128, 8), (64, 8), Cutting(0, 0)) == Failure("AssertionError", "")


def test_experts_of_another_size() -> None:
    """0.8.4 takes the slice that it has room for, 0.33.0 an equal share of what is there."""
    old, new = Expert("narrow", 2), Expert("share", 2)
    assert old.place((96, 64), (64, 64), Cutting(0, 0)) == ((0, 0), (64, 64), 0)
    assert old.place((96, 64), (64, 64), Cutting(0, 1)) == Failure(
        "RuntimeError", "start (64) + length (64) exceeds dimension size (96)."
    )
    assert new.place((96, 64), (64, 64), Cutting(0, 1)) == ((0, 0), (48, 64), 0)
    assert new.place((256, 64), (64, 64), Cutting(0, 1)) == Failure(
        "RuntimeError",
        "The size of tensor a (64) must match the size of tensor b (128) at non-singleton dimension 0",
    )
    assert new.place((0, 64), (64, 64), Cutting(0, 0)) == Skip("empty")


def test_a_scale_stands_for_several_refined_ones() -> None:
    """Blocks of 128 as blocks of 32: one scale becomes four by four."""
    copy = Expert("share", 4, (4, 4))
    assert copy.place((1, 2), (1, 8), Cutting(0, 3)) == ((0, 0), (1, 8), 0)
    assert copy.place((2,), (1, 8), Cutting(0, 0)) == Failure(
        "IndexError", "Dimension out of range (expected to be in range of [-1, 0], but got -2)"
    )
