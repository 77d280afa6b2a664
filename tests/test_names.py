"""Names fold and unfold, and patterns stand for exactly the set that they were made of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weightlint.names import brace, expand, fold, natural, patterns, pieces, unfold

segments = st.one_of(
    st.integers(0, 20).map(str),
    st.text("ab_{}*\\,.07", min_size=1, max_size=4).filter(lambda s: "." not in s),
)
names = st.lists(segments, min_size=1, max_size=5).map(".".join)
coords = st.integers(1, 3).flatmap(
    lambda width: st.sets(st.tuples(*[st.integers(0, 6)] * width), min_size=1, max_size=40)
)


@given(names)
def test_unfold_undoes_fold(name: str) -> None:
    template, coord = fold(name)
    assert unfold(template, coord) == name


@given(names)
def test_pieces_are_the_text_around_the_numbers(name: str) -> None:
    template, coord = fold(name)
    literals = pieces(template)
    assert len(literals) == len(coord) + 1
    assert literals[0] + "".join(f"{n}{text}" for n, text in zip(coord, literals[1:], strict=True)) == name


@given(st.sets(names, max_size=30))
def test_patterns_expand_to_precisely_the_names(given_names: set[str]) -> None:
    expanded = [name for pattern in patterns(given_names) for name in expand(pattern)]
    assert sorted(expanded) == sorted(given_names)


@given(coords)
def test_brace_never_writes_a_product_that_is_not_there(members: set[tuple[int, ...]]) -> None:
    width = len(next(iter(members)))
    written = brace(["x.", *[".y."] * (width - 1), ".z"], members)
    wanted = {"x." + ".y.".join(map(str, coord)) + ".z" for coord in members}
    expanded = [name for pattern in written for name in expand(pattern)]
    assert set(expanded) == wanted
    assert len(expanded) == len(wanted)


def test_three_scattered_experts_are_three_patterns_not_nine() -> None:
    # transformers 5 prints these as one product of nine
    scattered = {(3, 0), (7, 255), (60, 13)}
    assert brace(["l.", ".e.", ""], scattered) == ["l.3.e.0", "l.7.e.255", "l.60.e.13"]


def test_ranges_are_inclusive_and_pairs_are_lists() -> None:
    assert patterns(f"l.{n}.w" for n in (0, 1, 3, 4, 5, 60)) == ["l.{0,1,3..5,60}.w"]


@pytest.mark.parametrize("text", ["{", "a{b}", "a}b{1..2", "\\"])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a pattern|invalid literal"):
        list(expand(text))


def test_natural_order_counts() -> None:
    assert sorted(["a.10", "a.9", "a.b"], key=natural) == ["a.9", "a.10", "a.b"]
