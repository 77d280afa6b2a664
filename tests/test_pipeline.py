"""Pipeline splits against what the frameworks themselves did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weightlint.pipeline import SPLITS, lost

VLLM = Path(__file__).parents[2] / "shared" / "data" / "vllm"

# Layers per rank of 61 layers, run with each framework's own code; mlx in the order of the ranks.
TABLE: dict[str, dict[int, list[int]]] = {
    "middle_first": {
        2: [31, 30],
        3: [20, 21, 20],
        4: [15, 15, 16, 15],
        8: [7, 7, 8, 8, 8, 8, 8, 7],
    },
    "last_one_more": {
        2: [30, 31],
        3: [20, 20, 21],
        4: [15, 15, 15, 16],
        8: [7] * 3 + [8] * 5,
        16: [3] * 3 + [4] * 13,
    },
    "last_takes_rest": {
        2: [30, 31],
        3: [20, 20, 21],
        4: [15, 15, 15, 16],
        8: [7] * 7 + [12],
        16: [3] * 15 + [16],
    },
    "first_one_more": {
        2: [31, 30],
        3: [21, 20, 20],
        4: [16, 15, 15, 15],
        8: [8] * 5 + [7] * 3,
        16: [4] * 13 + [3] * 3,
    },
    "backwards": {
        2: [31, 30],
        3: [21, 20, 20],
        4: [16, 15, 15, 15],
        8: [8] * 5 + [7] * 3,
        16: [4] * 13 + [3] * 3,
    },
    "rounded_up": {
        2: [31, 30],
        3: [21, 21, 19],
        4: [16, 16, 16, 13],
        8: [8] * 7 + [5],
        16: [4] * 15 + [1],
    },
    "with_output": {
        2: [31, 30],
        3: [21, 21, 19],
        4: [16, 15, 16, 14],
        8: [8, 8, 8, 7, 8, 8, 8, 6],
        16: [4] * 7 + [3] + [4] * 7 + [2],
    },
    "equal": {2: [], 3: [], 4: [], 8: [], 16: []},
}


@pytest.mark.parametrize("name", TABLE)
def test_61_layers(name: str) -> None:
    for stages, sizes in TABLE[name].items():
        assert [len(stage) for stage in SPLITS[name](61, stages)] == sizes


@pytest.mark.skipif(not VLLM.is_dir(), reason="the recorded maps of vLLM are not here")
@pytest.mark.parametrize("release", ["v08", "v33"])
def test_every_recorded_split_of_vllm(release: str) -> None:
    recorded = json.loads((VLLM / f"maps_{release}.json").read_text())["pp"]
    assert len(recorded) == 183
    for pair, stages in recorded.items():
        layers, count = map(int, pair.split(","))
        ours = [[stage.start, stage.stop] for stage in SPLITS["middle_first"](layers, count)]
        assert ours == stages, pair


def test_the_last_rank_of_mlx_owns_the_first_layers() -> None:
    assert SPLITS["backwards"](10, 3) == (range(6, 10), range(3, 6), range(3))


def test_the_layers_that_mlx_lost() -> None:
    """mlx-lm #1688: 10 layers on 3 ranks are 8 and 9, 3 to 5, 0 to 2."""
    stages = SPLITS["backwards_with_gaps"](10, 3)
    assert stages == (range(8, 10), range(3, 6), range(3))
    assert lost(10, stages) == (6, 7)


@given(st.integers(0, 200), st.integers(1, 70), st.sampled_from(sorted({*SPLITS} - {"backwards_with_gaps"})))
def test_every_layer_has_one_stage(layers: int, stages: int, name: str) -> None:
    dealt = SPLITS[name](layers, stages)
    if name == "equal" and layers % stages:
        assert dealt == ()
        return
    assert len(dealt) == stages
    assert sorted(layer for stage in dealt for layer in stage) == [*range(layers)]
