"""Weights that a quantiser packed, and a config that says nothing of it: one finding each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from toy import config, edited, toy

from weightlint import check

if TYPE_CHECKING:
    from pathlib import Path

MODULE = "model.layers.1.mlp.up_proj"
WEIGHT = f"{MODULE}.weight"

Parts = dict[str, tuple[str, list[int]]]
"""Ends of names with dtype and shape, in the place of one weight [48, 32]."""

LEFT: dict[str, tuple[str, Parts]] = {
    # shapes: reference of the writers' formats, 4 bits in groups of 16 unless the method has its own (MLX 32)
    "bitsandbytes": (
        "bitsandbytes",
        {
            ".weight": ("U8", [768, 1]),
            ".weight.absmax": ("F32", [24]),
            ".weight.quant_map": ("F32", [16]),
            ".weight.quant_state.bitsandbytes__nf4": ("U8", [80]),
        },
    ),
    "bitsandbytes, 8 bits": (
        "bitsandbytes",
        {".weight": ("I8", [48, 32]), ".SCB": ("F32", [48]), ".weight_format": ("U8", [1])},
    ),
    "GPTQ": (
        "gptq",
        {
            ".qweight": ("I32", [4, 48]),
            ".qzeros": ("I32", [2, 6]),
            ".scales": ("F16", [2, 48]),
            ".g_idx": ("I32", [32]),
        },
    ),
    "AWQ": (
        "awq",
        {".qweight": ("I32", [32, 6]), ".qzeros": ("I32", [2, 6]), ".scales": ("F16", [2, 48])},
    ),
    "compressed-tensors": (
        "compressed-tensors",
        {
            ".weight_packed": ("I32", [48, 4]),
            ".weight_scale": ("BF16", [48, 2]),
            ".weight_shape": ("I64", [2]),
        },
    ),
    "ModelOpt": (
        "modelopt",
        {
            ".weight": ("U8", [48, 16]),
            ".weight_scale": ("F8_E4M3", [48, 2]),
            ".weight_scale_2": ("F32", []),
            ".input_scale": ("F32", []),
        },
    ),
    "MLX": (
        "quantization",
        {".weight": ("U32", [48, 4]), ".scales": ("BF16", [48, 1]), ".biases": ("BF16", [48, 1])},
    ),
    "quanto": ("quanto", {".weight._data": ("I8", [48, 32]), ".weight._scale": ("BF16", [48, 1])}),
}


def written(parts: Parts, folder: Path, **fields: Any) -> str:
    made = edited(toy("llama", config("toy_llama") | fields), {"op": "drop", "tensor": WEIGHT})
    for end, (dtype, shape) in parts.items():
        made = edited(made, {"op": "add", "tensor": MODULE + end, "dtype": dtype, "shape": shape})
    return str(made.write(folder / "ckpt"))


@pytest.mark.parametrize("name", LEFT)
def test_packed_weights_without_a_declaration_are_one_finding(name: str, tmp_path: Path) -> None:
    method, parts = LEFT[name]
    (finding,) = check(written(parts, tmp_path)).findings
    assert finding.code == "WL401"
    assert "declares no quantisation" in finding.message
    assert set(finding.place.tensors) == {MODULE + end for end in parts}
    assert method in finding.cure


@pytest.mark.parametrize("name", LEFT)
def test_what_a_quantiser_left_beside_a_plain_weight_is_told_as_unexpected(name: str, tmp_path: Path) -> None:
    parts = {end: kind for end, kind in LEFT[name][1].items() if end != ".weight"}
    (finding,) = check(written({".weight": ("BF16", [48, 32]), **parts}, tmp_path)).findings
    assert finding.code == "WL202"
    assert finding.count == len(parts)
