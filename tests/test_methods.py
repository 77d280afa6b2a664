"""Quantisations that a release has not, refuses in a setting, or has no kernel for: WL403, once, in the loader's words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from test_quants import NAMES, full_config, made

from weightlint import check
from weightlint.expectation import QUANTS
from weightlint.loader import LOADERS

if TYPE_CHECKING:
    from pathlib import Path


def codes(
    name: str, folder: Path, *, changes: dict[str, Any] | None = None, **how: Any
) -> list[tuple[str, str]]:
    path = replace(made(name), config=full_config(name, **(changes or {}))).write(folder / "ckpt")
    return [(it.code, it.message) for it in check(str(path), **how).findings]


@pytest.mark.parametrize(
    ("name", "loader", "gpu", "text"),
    [
        ("bitsandbytes", "vllm@0.33.0", None, "Unknown quantization method: bitsandbytes."),
        ("mlx", "vllm@0.11.0", None, "knows no such quantisation"),
        ("mlx", "sglang@0.5.23", None, "knows no such quantisation"),
        ("gptq", "vllm@0.33.0", None, "desc_act with one group only"),
        ("awq", "vllm@0.11.0", "v100", "Minimum capability: 75. Current capability: 70."),
        ("bitsandbytes", "vllm@0.8.4", "p100", "Minimum capability: 70. Current capability: 60."),
        ("modelslim", "vllm@0.33.0", None, "Unknown quantization method: modelslim."),
    ],
)
def test_what_a_loader_does_not_take(
    name: str, loader: str, gpu: str | None, text: str, tmp_path: Path
) -> None:
    (found,) = [
        it
        for it in codes(name, tmp_path, loader=loader, gpu=gpu)
        if it[0] == "WL403" and "cannot use them" in it[1]
    ]
    assert text in found[1]


@pytest.mark.parametrize(
    ("name", "loader", "gpu"),
    [
        ("bitsandbytes", "vllm@0.8.4", "v100"),
        ("bitsandbytes", "sglang@0.5.23", "a100"),
        ("gptq", "vllm@0.11.0", "t4"),
        ("gptq_3bit", "vllm@0.33.0", "h100"),
        ("awq", "vllm@0.33.0", "t4"),
        ("modelslim", "sglang@0.5.23", None),
        ("mlx", "mlx", None),
    ],
)
def test_what_a_loader_takes(name: str, loader: str, gpu: str | None, tmp_path: Path) -> None:
    assert "WL403" not in {code for code, _ in codes(name, tmp_path, loader=loader, gpu=gpu, dtype="float16")}


def test_every_method_is_a_scheme() -> None:
    named = {name for loader in LOADERS.values() for it in loader.methods for name in it.least}
    assert named <= set(QUANTS)
    assert NAMES


@pytest.mark.parametrize("name", ["awq", "gptq"])
def test_groups_and_words_that_a_plan_cuts(name: str, tmp_path: Path) -> None:
    ((code, message),) = codes(name, tmp_path, loader="vllm@0.11.0", plan="tp=4")
    assert code == "WL502"
    # down_proj has 48 inputs in groups of 16, gate_proj 48 outputs, 8 of them in a word
    assert "48 / 4 = 12 is no multiple of 16" in message
    assert "48 / 4 = 12 is no multiple of 8" in message
    assert "is not aligned with the quantized weight shape" in message
