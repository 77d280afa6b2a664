"""Where each row goes, said once more without the package's moves: loops over heads and groups."""

from __future__ import annotations

from typing import Any

import arrays
import numpy as np
import pytest
from toy import config, expected_of

from weightlint.api import DIALECTS
from weightlint.expected import Presence

LLAMA = {
    "num_hidden_layers": 1, "hidden_size": 12, "vocab_size": 5, "intermediate_size": 7, "head_dim": 6,
    "num_attention_heads": 4, "num_key_value_heads": 2,
}  # fmt: skip
NEOX = {
    "num_hidden_layers": 1,
    "hidden_size": 12,
    "vocab_size": 5,
    "intermediate_size": 7,
    "num_attention_heads": 3,
}
V3 = config("toy_deepseek_v3")
HEADS, NOPE, ROPE, V = (
    V3[f] for f in ("num_attention_heads", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
)


def written(
    dialect: str, arch: str, asked: dict[str, Any], *words: str
) -> tuple[arrays.Arrays, arrays.Arrays]:
    expected = expected_of(arch, asked)
    held = arrays.random([slot for slot in expected.slots if slot.need is not Presence.TIED])
    it = DIALECTS[dialect]
    recipes = [
        r for r in it.rewrite(expected, it.chosen(words)).recipes if r.sources[0].need is not Presence.TIED
    ]
    return held, arrays.forward(recipes, held)


@pytest.mark.parametrize(("dialect", "query", "key"), [
    ("gguf", "blk.0.attn_q.weight", "blk.0.attn_k.weight"),
    ("mistral", "layers.0.attention.wq.weight", "layers.0.attention.wk.weight"),
])  # fmt: skip
def test_neighbours_rotate_together(dialect: str, query: str, key: str) -> None:
    # transformers, models/llama/modeling_llama.py `rotate_half` pairs i with i + head_dim / 2;
    # mistral-inference, rope.py views neighbours as one complex number
    held, made = written(dialect, "llama", LLAMA)
    size = LLAMA["head_dim"]
    for name, source, heads in ((query, "q_proj", 4), (key, "k_proj", 2)):
        before, after = held[f"model.layers.0.self_attn.{source}.weight"], made[name]
        for head in range(heads):
            for i in range(size // 2):
                assert (after[head * size + 2 * i] == before[head * size + i]).all()
                assert (after[head * size + 2 * i + 1] == before[head * size + size // 2 + i]).all()


def test_megatron_groups_queries_with_their_key_and_value() -> None:
    held, made = written("megatron", "llama", LLAMA)
    q, k, v = (held[f"model.layers.0.self_attn.{part}_proj.weight"] for part in "qkv")
    size = LLAMA["head_dim"]
    rows = [
        block
        for group in range(2)
        for block in (
            q[group * 2 * size : (group * 2 + 1) * size],
            q[(group * 2 + 1) * size : (group * 2 + 2) * size],
            k[group * size : (group + 1) * size],
            v[group * size : (group + 1) * size],
        )
    ]
    assert (made["decoder.layers.0.self_attention.linear_qkv.weight"] == np.concatenate(rows)).all()
    gate, up = (held[f"model.layers.0.mlp.{part}_proj.weight"] for part in ("gate", "up"))
    assert (made["decoder.layers.0.mlp.linear_fc1.weight"] == np.concatenate([gate, up])).all()


@pytest.mark.parametrize(("dialect", "name"), [
    ("litgpt", "transformer.h.0.attn.qkv."),
    ("gguf", "blk.0.attn_qkv."),
    ("trtllm", "transformer.layers.0.attention.qkv."),
])  # fmt: skip
@pytest.mark.parametrize("leaf", ["weight", "bias"])
def test_heads_of_gpt_neox_are_parted(dialect: str, name: str, leaf: str) -> None:
    held, made = written(dialect, "gpt_neox", NEOX)
    before = held[f"gpt_neox.layers.0.attention.query_key_value.{leaf}"]
    size = 4
    rows = [
        before[(head * 3 + part) * size + i] for part in range(3) for head in range(3) for i in range(size)
    ]
    assert (made[name + leaf] == np.stack(rows)).all()


@pytest.mark.parametrize(("dialect", "keys", "values"), [
    ("gguf", "blk.1.attn_k_b.weight", "blk.1.attn_v_b.weight"),
    ("mlx", "model.layers.1.self_attn.embed_q.weight", "model.layers.1.self_attn.unembed_out.weight"),
])  # fmt: skip
def test_each_head_of_kv_b_is_cut_and_its_keys_are_turned(dialect: str, keys: str, values: str) -> None:
    # llama.cpp, conversion/deepseek.py; mlx-lm, models/deepseek_v3.py
    held, made = written(dialect, "deepseek_v3", V3)
    kv_b = held["model.layers.1.self_attn.kv_b_proj.weight"]
    for head in range(HEADS):
        mine = kv_b[head * (NOPE + V) : (head + 1) * (NOPE + V)]
        assert (made[keys][head] == mine[:NOPE].T).all()
        assert (made[values][head] == mine[NOPE:]).all()


def test_trtllm_has_all_keys_then_all_values() -> None:
    held, made = written("trtllm", "deepseek_v3", V3)
    kv_b = held["model.layers.1.self_attn.kv_b_proj.weight"]
    rows = [kv_b[head * (NOPE + V) : head * (NOPE + V) + NOPE] for head in range(HEADS)]
    rows += [kv_b[head * (NOPE + V) + NOPE : (head + 1) * (NOPE + V)] for head in range(HEADS)]
    assert (made["transformer.layers.1.attention.kv_b_proj"] == np.concatenate(rows)).all()


def test_trtllm_absorbs_the_keys_into_the_queries() -> None:
    held, made = written("trtllm", "deepseek_v3", V3)
    q_b = held["model.layers.1.self_attn.q_b_proj.weight"]
    kv_b = held["model.layers.1.self_attn.kv_b_proj.weight"]
    queries = q_b.reshape(HEADS, NOPE + ROPE, -1)
    keys = kv_b.reshape(HEADS, NOPE + V, -1)[:, :NOPE]
    # the product of TensorRT-LLM, models/deepseek_v2/convert.py: 'hdq,hdk->hkq'
    product = np.einsum("hdq,hdk->hkq", queries[:, :NOPE], keys)
    wanted = np.concatenate([product, queries[:, NOPE:]], axis=1).reshape(-1, q_b.shape[1])
    assert (made["transformer.layers.1.attention.fused_q_proj"] == wanted).all()


def test_trtllm_exchanges_fc_and_gate() -> None:
    held, made = written("trtllm", "deepseek_v3", V3)
    assert (made["transformer.layers.0.mlp.fc.weight"] == held["model.layers.0.mlp.gate_proj.weight"]).all()
    assert (made["transformer.layers.0.mlp.gate.weight"] == held["model.layers.0.mlp.up_proj.weight"]).all()
    expert = {part: held[f"model.layers.1.mlp.experts.2.{part}_proj.weight"] for part in ("gate", "up")}
    stacked = made["transformer.layers.1.mlp.fc.weight"][2]
    assert (stacked == np.concatenate([expert["up"], expert["gate"]])).all()


def test_a_legacy_group_of_experts_is_viewed_expert_by_expert() -> None:
    # Megatron-LM until core 0.16, moe/experts.py GroupedMLP: weight1.view(experts, hidden, -1)
    held, made = written("megatron", "deepseek_v3", V3, "legacy")
    experts, wide = V3["n_routed_experts"], V3["hidden_size"]
    first = made["decoder.layers.1.mlp.experts.weight1"]
    second = made["decoder.layers.1.mlp.experts.weight2"]
    assert first.shape == (wide, experts * 2 * V3["moe_intermediate_size"])
    for expert in range(experts):
        gate, up, down = (
            held[f"model.layers.1.mlp.experts.{expert}.{p}_proj.weight"] for p in ("gate", "up", "down")
        )
        assert (first.reshape(experts, wide, -1)[expert] == np.concatenate([gate, up]).T).all()
        assert (second.reshape(experts, -1, wide)[expert] == down.T).all()


def test_experts_are_stacked_in_the_order_of_their_numbers() -> None:
    held, made = written("gguf", "deepseek_v3", V3)
    for expert in range(V3["n_routed_experts"]):
        down = held[f"model.layers.1.mlp.experts.{expert}.down_proj.weight"]
        assert (made["blk.1.ffn_down_exps.weight"][expert] == down).all()


def test_block_scales_are_taken_in() -> None:
    from weightlint.moving.name_map import NameMap, ways_back

    asked = config("toy_deepseek_v3_fp8")
    expected = expected_of("deepseek_v3", asked)
    target = DIALECTS["gguf"].rewrite(expected)
    held = arrays.random(expected.slots)
    rows, columns = asked["quantization_config"]["weight_block_size"]
    plan = NameMap(target, dict(ways_back(expected)), block=(rows, columns))
    entry = next(it for it in plan.entries() if it.targets == ("blk.1.attn_q_a.weight",))
    name = "model.layers.1.self_attn.q_a_proj.weight"
    assert entry.sources == (name, f"{name}_scale_inv")
    weight, scale = held[name], held[f"{name}_scale_inv"]
    made = arrays.made(entry, held)["blk.1.attn_q_a.weight"]
    for i, j in np.ndindex(*weight.shape):
        assert made[i, j] == weight[i, j] * scale[i // rows, j // columns]
