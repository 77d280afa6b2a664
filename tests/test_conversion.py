"""A GGUF file against the Hugging Face config it was made from: keys, and tensors that llama.cpp does not miss."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from gguf_toy import GgufFile, GgufTensor

from weightlint import schema
from weightlint.api import DIALECTS, check
from weightlint.config import Config
from weightlint.conversion import contradictions
from weightlint.expansion import expand
from weightlint.keys import read
from weightlint.metadata import Value

if TYPE_CHECKING:
    from pathlib import Path

PUBLISHED = {
    # keys of published GGUF files of DeepSeek-V3 with halves of attn_kv_b, as llama.cpp #13916 prints them
    "block_count": 61, "embedding_length": 7168, "feed_forward_length": 18432, "attention.head_count": 128,
    "attention.head_count_kv": 1, "attention.q_lora_rank": 1536, "attention.kv_lora_rank": 512,
    "attention.key_length": 576, "attention.value_length": 512, "attention.key_length_mla": 192,
    "attention.value_length_mla": 128, "leading_dense_block_count": 3, "expert_count": 256,
    "expert_used_count": 8, "expert_shared_count": 1, "expert_feed_forward_length": 2048,
    "expert_gating_func": 2, "rope.dimension_count": 64,
}  # fmt: skip
FLOATS = {
    "expert_weights_scale": 2.5,
    "rope.freq_base": 10000.0,
    "attention.layer_norm_rms_epsilon": 9.999999974752427e-07,
}
OLD = {"attention.head_count_kv": 128, "attention.key_length": 192, "attention.value_length": 128}
"""Keys that differ in files from before the halves, which have no keys ending in _mla."""


def values(changes: dict[str, Any]) -> dict[str, Value]:
    numbers = {key: Value("u32", number) for key, number in (PUBLISHED | changes).items()}
    table = numbers | {key: Value("f32", number) for key, number in FLOATS.items()}
    table["expert_weights_norm"] = Value("bool", value=True)
    return {f"deepseek2.{key}": value for key, value in table.items() if value.value is not None} | {
        "general.architecture": Value("str", "deepseek2")
    }


def found(changes: dict[str, Any]) -> list[str]:
    config = json.loads((schema.folder() / "configs" / "deepseek_v3.json").read_text())
    keys = read(values(changes), "m.gguf")
    return [it.key for it in contradictions(Config(config), keys, None)]


@pytest.mark.parametrize(
    "changes", [{}, OLD | dict.fromkeys(("attention.key_length_mla", "attention.value_length_mla"))]
)
def test_published_keys_agree_with_the_published_config(changes: dict[str, Any]) -> None:
    assert found(changes) == []


@pytest.mark.parametrize(
    "key", [key for key in PUBLISHED if key not in {"attention.key_length", "attention.value_length"}]
)
def test_each_other_value_is_told(key: str) -> None:
    assert found({key: PUBLISHED[key] + 2}) == [key]


def converted(folder: Path, changes: dict[str, Any] | None = None, *, without: str = "") -> tuple[Path, Path]:
    """Write a qwen2_moe model as llama.cpp's converter names it, and its config with changes."""
    config: dict[str, Any] = {
        "architectures": ["Qwen2MoeForCausalLM"], "num_hidden_layers": 2, "hidden_size": 32, "vocab_size": 50,
        "intermediate_size": 40, "moe_intermediate_size": 24, "shared_expert_intermediate_size": 48,
        "num_attention_heads": 4, "num_key_value_heads": 2, "num_experts": 4, "num_experts_per_tok": 2,
        "rms_norm_eps": 1e-6, "rope_theta": 1e6,
    }  # fmt: skip
    expected = DIALECTS["gguf"].rewrite(expand(schema.load("qwen2_moe"), Config(config)))
    tensors = [
        GgufTensor(name, tuple(reversed(slot.shape)), "F32" if "F16" not in slot.dtypes else "F16")
        for slot in expected.slots
        for name in slot.names()
        if without not in name or not without
    ]
    keys: list[tuple[str, str, Any]] = [
        ("general.architecture", "str", "qwen2moe"), ("qwen2moe.block_count", "u32", 2),
        ("qwen2moe.context_length", "u32", 64), ("qwen2moe.embedding_length", "u32", 32),
        ("qwen2moe.feed_forward_length", "u32", 40), ("qwen2moe.attention.head_count", "u32", 4),
        ("qwen2moe.attention.head_count_kv", "u32", 2), ("qwen2moe.rope.freq_base", "f32", 1e6),
        ("qwen2moe.attention.layer_norm_rms_epsilon", "f32", 1e-6), ("qwen2moe.expert_count", "u32", 4),
        ("qwen2moe.expert_used_count", "u32", 2), ("qwen2moe.expert_feed_forward_length", "u32", 24),
        ("qwen2moe.expert_shared_feed_forward_length", "u32", 48), ("qwen2moe.vocab_size", "u32", 50),
        ("tokenizer.ggml.model", "str", "no_vocab"),
    ]  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config | (changes or {})))
    return GgufFile(keys, tensors).write(folder / "m.gguf"), folder / "config.json"


def test_a_file_is_silent_beside_its_own_config(tmp_path: Path) -> None:
    file, config = converted(tmp_path)
    report = check(str(file), config=str(config))
    assert report.findings == ()
    assert report.facts.tensors == report.facts.checked > 0


@pytest.mark.parametrize(
    ("field", "value"),
    [("num_hidden_layers", 3), ("rope_theta", 1e4), ("num_experts", 8), ("num_experts_per_tok", 4)],
)
def test_a_contradiction_is_one_finding(tmp_path: Path, field: str, value: float) -> None:
    file, config = converted(tmp_path, {field: value})
    report = check(str(file), config=str(config))
    assert [finding.code for finding in report.findings] == ["WL303"]
    assert field in report.findings[0].message


def test_a_lost_tensor_is_told_once(tmp_path: Path) -> None:
    file, config = converted(tmp_path, without="blk.1.ffn_down_exps")
    report = check(str(file), config=str(config))
    assert [finding.code for finding in report.findings] == ["WL201"]
