"""Names that are alike by a known change, and names that are not."""

from __future__ import annotations

import pytest

from weightlint.names import MIN_LIKENESS
from weightlint.renames import alikeness


@pytest.mark.parametrize(
    ("slot", "other"),
    [
        ("layers.*.norm.weight", "layers.*.norm.gamma"),
        ("layers.*.norm.bias", "layers.*.norm.beta"),
        ("layers.*.experts.*.up_proj.weight", "layers.*.experts.up_proj.*.weight"),
        ("layers.*.experts.*.up_proj.weight", "layers.*.*.experts.up_proj.weight"),
        ("layers.*.shared_experts.up_proj.weight", "layers.*.shared_experts.*.up_proj.weight"),
    ],
)
def test_a_known_change_makes_one_of_the_other(slot: str, other: str) -> None:
    assert alikeness(slot, other) == 1.0


@pytest.mark.parametrize(
    ("slot", "other"),
    [
        ("layers.*.norm.weight", "layers.*.norm.beta"),
        ("layers.*.norm.bias", "layers.*.norm.gamma"),
        ("layers.*.experts.*.up_proj.weight", "layers.*.experts.down_proj.*.weight"),
        ("layers.*.up_proj.weight", "layers.up_proj.weight"),
    ],
)
def test_other_words_or_a_lost_number_are_no_known_change(slot: str, other: str) -> None:
    assert alikeness(slot, other) < 1.0


def test_names_without_anything_in_common_are_not_alike() -> None:
    assert alikeness("layers.*.self_attn.q_proj.weight", "vision.blocks.*.mlp.fc1.weight") < MIN_LIKENESS
