"""Random damage to models of every type: always found with a manifest, with exactly the right tensors."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import TYPE_CHECKING

import injection
import pytest

from weightlint.finding import Level

if TYPE_CHECKING:
    from collections.abc import Callable

TRIALS = 5
SEEN_ALONE = {"truncate", "zero_page"}
"""Damage that the values give away whatever the type."""


@pytest.mark.parametrize("type_", injection.types())
def test_nothing_is_said_of_sound_models(type_: str) -> None:
    assert injection.sound([injection.model(type_, seed) for seed in range(4)]) == []


@pytest.mark.parametrize("how", injection.DAMAGES, ids=lambda how: how.__name__)
@pytest.mark.parametrize("type_", injection.types())
def test_damage_is_found_and_placed(type_: str, how: Callable[[bytearray, random.Random], None]) -> None:
    chance = random.Random(f"{type_} {how.__name__} test")
    made = injection.model(type_, seed=99)
    known = injection.manifest(made)
    for _ in range(TRIALS):
        data = injection.damaged(made, how, chance)
        told = injection.verified(made.name, data, known)
        assert injection.is_placed(told, made, data)
        assert any(it.level is Level.ERROR for it in told.findings)
        if how.__name__ in SEEN_ALONE:
            assert injection.verified(made.name, data).findings


def test_a_sound_file_agrees_with_its_manifest() -> None:
    made = injection.model("Q4_K", seed=5)
    assert injection.verified(made.name, made.data, injection.manifest(made)).findings == ()


def test_bytes_after_the_end_are_told() -> None:
    made = injection.model("BF16", seed=5)
    (told,) = injection.verified(made.name, made.data + b"more", injection.manifest(made)).findings
    assert told.code in {"WL102", "WL705"}


def test_the_documentation_tells_of_every_type() -> None:
    """The table of docs/verify.md is what the benchmark printed: with a manifest all is found and placed."""
    text = (Path(__file__).parents[1] / "docs" / "verify.md").read_text()
    rows = dict(re.findall(r"^\| (\w+) \| ([\d.]+) \|", text, re.MULTILINE))
    assert rows == dict.fromkeys(injection.types(), "100.00")
