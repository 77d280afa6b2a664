"""Small configs of every schema, drawn at random, with sizes that differ from one another."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st


def small(low: int, high: int) -> st.SearchStrategy[int]:
    return st.integers(low, high)


@st.composite
def _latent(draw: st.DrawFn) -> dict[str, Any]:
    rates = draw(st.lists(st.sampled_from([0, 4, 128]), min_size=5, max_size=5))
    return {
        "num_experts_per_tok": 2,
        "q_lora_rank": 9,
        "o_lora_rank": 8,
        "o_groups": 1,
        "head_dim": 12,
        "index_n_heads": 2,
        "index_head_dim": 13,
        "hc_mult": 3,
        "compress_ratios": rates,
        "num_hash_layers": draw(small(0, 2)),
        "num_nextn_predict_layers": draw(small(0, 2)),
    }


@st.composite
def _hybrid(draw: st.DrawFn) -> dict[str, Any]:
    tower = {"depth": 2, "hidden_size": 15, "intermediate_size": 21, "out_hidden_size": 18}
    towers = {"vision_config": tower} if draw(st.booleans()) else {}
    return towers | {
        "linear_num_key_heads": 2,
        "linear_key_head_dim": 5,
        "linear_num_value_heads": 4,
        "linear_value_head_dim": 7,
        "full_attention_interval": draw(small(1, 3)),
        "num_nextn_predict_layers": draw(small(0, 1)),
        "mtp_num_hidden_layers": draw(small(0, 1)),
    }


@st.composite
def _delta(draw: st.DrawFn) -> dict[str, Any]:
    listed = draw(st.sets(small(1, 4)))
    return {"linear_attn_config": {"kda_layers": sorted(listed), "num_heads": 3, "head_dim": 8}}


@st.composite
def _glm(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "n_shared_experts": draw(small(1, 2)),
        "use_qk_norm": draw(st.booleans()),
        "first_k_dense_replace": draw(small(0, 1)),
        "num_nextn_predict_layers": draw(small(0, 2)),
    }


MINE = {
    "deepseek_v4": _latent(),
    "glm4_moe": _glm(),
    "glm_moe_dsa": st.fixed_dictionaries({"index_topk_freq": small(1, 3)}),
    "kimi_linear": _delta(),
    "qwen3_5_moe": _hybrid(),
    "qwen3_next": _hybrid(),
}


@st.composite
def configs(draw: st.DrawFn, arch: str) -> dict[str, Any]:
    """Draw a small config, with sizes that differ from one another so that no two fields look alike."""
    heads = draw(small(2, 4))
    head = draw(st.sampled_from([6, 10]))
    made: dict[str, Any] = {
        "num_hidden_layers": draw(small(2, 4)),
        "hidden_size": heads * head,
        "vocab_size": draw(st.sampled_from([50, 77])),
        "intermediate_size": draw(st.sampled_from([34, 38])),
        "moe_intermediate_size": 14,
        "num_attention_heads": heads,
        "num_key_value_heads": draw(st.sampled_from([1, heads])),
        "tie_word_embeddings": draw(st.booleans()),
        "num_experts": draw(small(2, 4)),
        "shared_expert_intermediate_size": 22,
        "attention_bias": draw(st.booleans()),
    }
    made["num_local_experts"] = made["n_routed_experts"] = made["num_experts"]
    if arch in MINE:
        made |= draw(MINE[arch])
    if arch.startswith(("deepseek_v2", "deepseek_v3", "glm_moe_dsa", "glm4_moe_lite", "kimi_linear")):
        made |= {
            "n_shared_experts": draw(small(1, 2)),
            "q_lora_rank": 9 if arch in {"deepseek_v32", "glm_moe_dsa"} else draw(st.sampled_from([None, 9])),
            "kv_lora_rank": 11,
            "qk_nope_head_dim": 5,
            "qk_rope_head_dim": 3,
            "v_head_dim": 7,
            "first_k_dense_replace": draw(small(0, 1)),
            "num_nextn_predict_layers": draw(small(0, 2)),
            "index_n_heads": 2,
            "index_head_dim": 13,
        }
    if draw(st.booleans()):
        made["quantization_config"] = {"quant_method": "fp8", "weight_block_size": [4, 8]}
    return made
