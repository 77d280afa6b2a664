"""What a heat map calls far from usual: bad layers, and neither drift over depth nor families that vary anyway."""

from __future__ import annotations

from itertools import pairwise
from math import inf
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weightlint.deviation import CLIP, readings
from weightlint.heat import EVERY, FAR, MAX_FAMILIES, MAX_LAYERS, STRENGTHS, heat, shade
from weightlint.profile import Line, Profile

if TYPE_CHECKING:
    from collections.abc import Sequence

DEPTH = range(61)
"""As deep as DeepSeek-V3."""


def levels(values: Sequence[float | None], step: float = 1.0) -> list[float | None]:
    return [it.level if it else None for it in readings(range(len(values)), values, step)]


def line(values: Sequence[float | None], pattern: str = "model.layers.*.mlp.up_proj.weight BF16") -> Line:
    return Line(pattern, tuple(values), tuple(values), ((),) * len(values))


@pytest.mark.parametrize(
    "sound",
    [
        [0.02] * 61,
        [0.02 * 1.1**at for at in DEPTH],
        [5 * 0.93**at for at in DEPTH],
        [0.05 * (at + 1) ** 0.5 for at in DEPTH],
    ],
    ids=["even", "rising", "falling", "fast at first"],
)
@pytest.mark.parametrize("factor", [8.0, 1000.0, 1 / 8, 1e-30])
@pytest.mark.parametrize("bad", [0, 9, 60])
def test_one_bad_layer_is_all_that_is_far(sound: list[float], factor: float, bad: int) -> None:
    hurt = [value * factor if at == bad else value for at, value in enumerate(sound)]
    told = levels([*hurt])
    assert told.pop(bad) == pytest.approx(CLIP if factor > 1 else -CLIP)
    assert told == pytest.approx([0.0] * 60, abs=1e-9)


@pytest.mark.parametrize("count", [3, 4, 5])
def test_of_three_layers_one_can_be_told_from_the_others(count: int) -> None:
    assert [level == CLIP for level in levels([1.0] * (count - 1) + [100.0])] == [False] * (count - 1) + [
        True
    ]


def test_ten_bad_layers_in_a_row_are_far() -> None:
    hurt = [0.02 * 1.02**at * (16 if 20 <= at < 30 else 1) for at in DEPTH]
    told = levels([*hurt])
    assert [at for at, level in enumerate(told) if level and abs(level) >= FAR] == [*range(20, 30)]


def test_a_step_of_absmax_is_two_octaves() -> None:
    """Single weights are more often far from the rest than the mean of all."""
    assert levels([1.0, 1.0, 1.0, 4.0, 1.0], step=2.0)[3] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "values",
    [
        [0.3],
        [0.001, 4.0],
        [1.0 if at % 2 else 100.0 for at in DEPTH],
        [400.0 if at % 3 == 0 else 0.5 for at in DEPTH],
        [0.0] * 61,
        [0.0] * 40 + [0.1] * 21,
    ],
    ids=["one layer", "two layers", "every other", "every third", "zeros", "mostly zeros"],
)
def test_what_differs_anyway_is_not_far(values: list[float | None]) -> None:
    assert all(level is not None and abs(level) < FAR for level in levels(values))


def test_zeros_among_numbers_are_as_far_as_can_be() -> None:
    told = readings(DEPTH, [0.0 if at == 9 else 0.5 for at in DEPTH], 1.0)
    assert told[9] == (0.0, 0.5, -CLIP)


def test_the_usual_value_is_that_of_the_depth() -> None:
    told = readings(DEPTH, [2.0**at if at != 30 else 1.0 for at in DEPTH], 1.0)[30]
    assert told is not None
    assert told.usual == pytest.approx(2.0**30)


@given(st.lists(st.none() | st.floats(min_value=0, allow_nan=False) | st.just(inf), max_size=30))
def test_any_numbers_have_a_place_on_the_scale(values: list[float | None]) -> None:
    for value, reading in zip(values, readings(range(len(values)), values, 1.0), strict=True):
        assert (reading is None) == (value is None)
        assert reading is None or (-CLIP <= reading.level <= CLIP and 0 <= reading.usual < inf)


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=30), st.integers(-20, 20))
def test_the_scale_of_a_family_does_not_matter(values: list[float], power: int) -> None:
    assert levels([value * 2.0**power for value in values]) == pytest.approx(levels([*values]), abs=1e-6)


def test_the_ends_of_the_scale_have_the_ends_of_the_colours() -> None:
    assert (shade(-CLIP), shade(0.0), shade(CLIP)) == (1 - len(STRENGTHS), 0, len(STRENGTHS) - 1)


def test_families_are_told_by_what_they_do_not_share() -> None:
    made = heat(
        Profile(
            (0, 1),
            (
                line([1.0, 1.0], "model.layers.*.mlp.experts.*.up_proj.weight F8_E4M3"),
                line([1.0, None], "model.layers.*.input_layernorm.weight BF16"),
                line([1.0, 1.0], "visual.blocks.*.attn.qkv.weight BF16"),
            ),
            (line([3.0], "lm_head.weight BF16"),),
        )
    )
    assert [(prefix, [(row.name, row.dtype) for row in rows]) for prefix, rows in made.groups] == [
        (
            "model.layers.*.",
            [("mlp.experts.*.up_proj.weight", "F8_E4M3"), ("input_layernorm.weight", "BF16")],
        ),
        ("visual.blocks.*.", [("attn.qkv.weight", "BF16")]),
    ]
    assert [row.name for row in made.beside] == ["lm_head.weight"]
    assert [cell.there for cell in made.rows[1].cells] == [True, False]


def test_findings_come_first_and_then_what_is_furthest() -> None:
    values: list[float | None] = [1.0] * 20
    values[4], values[7] = 5.0, 1 / 64
    told = line(values)
    codes = tuple(("WL701",) if at == 2 else () for at in range(20))
    made = heat(Profile(tuple(range(20)), (Line(told.pattern, told.absmax, told.rms, codes),)))
    assert [(spot.layer, spot.cell.codes) for spot in made.spots()] == [(2, ("WL701",)), (7, ()), (4, ())]


def test_a_tensor_without_one_finite_number_has_no_magnitude() -> None:
    """Its largest finite magnitude is 0, which is not what it is like."""
    made = heat(Profile((0,), (Line("layers.*.w F16", (0.0,), (None,), (("WL701",),)),)))
    (cell,) = made.rows[0].cells
    assert (cell.there, cell.level, cell.words) == (True, 0.0, "WL701, no finite number")


def test_a_map_too_large_to_see_keeps_what_has_findings() -> None:
    layers, families = MAX_LAYERS + 50, MAX_FAMILIES + 7
    lines = [
        Line(
            f"layers.*.w{at}x.weight F16",
            (1.0,) * layers,
            (1.0,) * layers,
            tuple(
                ("WL702",) if at == families - 1 and layer == layers - 1 else () for layer in range(layers)
            ),
        )
        for at in range(families)
    ]
    made = heat(Profile(tuple(range(layers)), tuple(lines), left_out=3))
    assert (len(made.layers), len(made.rows), made.hidden) == (MAX_LAYERS, MAX_FAMILIES, (50, 10))
    assert [(spot.layer, spot.row.name) for spot in made.spots()] == [
        (layers - 1, f"w{families - 1}x.weight")
    ]
    assert made.cut == "50 layers and 10 families not drawn"


@pytest.mark.parametrize("width", [0.4, 1.0, 1.3, 3.9, 30.0])
def test_numbers_of_layers_do_not_touch(width: float) -> None:
    codes = tuple(("WL701",) if at == 9 else () for at in range(200))
    made = heat(Profile(tuple(range(200)), (Line("layers.*.w F16", (1.0,) * 200, (1.0,) * 200, codes),)))
    told = sorted(made.labelled(width))
    assert 9 in told
    assert all(after - before >= width for before, after in pairwise(told))
    assert len(told) >= 200 / (2 * max(EVERY[0], width) + EVERY[2])
