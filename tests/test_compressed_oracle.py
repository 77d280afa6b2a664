"""compressed-tensors' own code against ours: every preset scheme, applied to a tiny model, compressed and checked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from toy import config

from weightlint import check

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.oracle

torch = pytest.importorskip("torch", reason="the oracle needs torch")
library = pytest.importorskip("compressed_tensors", reason="the oracle is compressed-tensors")
transformers = pytest.importorskip("transformers", reason="the model is transformers'")

PRESETS = (
    *(
        "FP8",
        "FP8_DYNAMIC",
        "W8A8",
        "NVFP4",
        "NVFP4A16",
        "MXFP4",
        "MXFP4A16",
        "MXFP6A16",
        "MXFP8",
        "MXFP8A16",
    ),
    *("W4A16", "W4A16_ASYM", "W8A16", "W3A16", "W5A16", "W6A16", "W4A8", "W4AFP8"),
)
SIZES = {"hidden_size": 128, "intermediate_size": 256, "num_attention_heads": 4, "num_key_value_heads": 2}
PLAIN = "model.layers.0.mlp.down_proj"


def compressed(folder: Path, groups: dict[str, Any]) -> Path:
    """Write a tiny Llama that the library quantised by these groups."""
    from compressed_tensors.compressors import ModelCompressor
    from compressed_tensors.quantization import QuantizationConfig, apply_quantization_config
    from safetensors.torch import save_file

    whole = {**config("toy_llama"), **SIZES, "head_dim": 32, "tie_word_embeddings": False}
    own = transformers.LlamaConfig(**{key: value for key, value in whole.items() if key != "architectures"})
    model = transformers.LlamaForCausalLM(own).bfloat16()
    asked = QuantizationConfig(config_groups=groups, ignore=["lm_head", PLAIN])
    apply_quantization_config(model, asked)
    compressor = ModelCompressor.from_pretrained_model(model)
    compressor.compress_model(model)
    folder.mkdir()
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(whole))
    compressor.update_config(str(folder))
    return folder


def said(folder: Path) -> list[tuple[str, str]]:
    return [(it.code, it.message) for it in check(str(folder)).findings]


@pytest.mark.parametrize("preset", PRESETS)
def test_what_the_library_writes_is_silent(preset: str, tmp_path: Path) -> None:
    folder = compressed(tmp_path / "ckpt", {preset: ["Linear"]})
    report = check(str(folder))
    assert [(it.code, it.message) for it in report.findings] == []
    assert report.facts.quant == "compressed_tensors"
    assert report.facts.checked == report.facts.tensors


@pytest.mark.parametrize("preset", PRESETS)
def test_the_same_without_a_config_is_recognised(preset: str, tmp_path: Path) -> None:
    folder = compressed(tmp_path / "ckpt", {preset: ["Linear"]})
    whole = json.loads((folder / "config.json").read_text())
    del whole["quantization_config"]
    (folder / "config.json").write_text(json.dumps(whole))
    report = check(str(folder))
    assert [it.code for it in report.findings] == ["WL401"]


def test_groups_of_several_formats(tmp_path: Path) -> None:
    groups = {
        "NVFP4": ["re:.*mlp.gate_proj", "re:.*mlp.up_proj"],
        "FP8_DYNAMIC": ["re:.*self_attn.(q|k|v)_proj"],
        "W4A16": ["model.layers.1.self_attn.o_proj"],
    }
    assert said(compressed(tmp_path / "ckpt", groups)) == []
