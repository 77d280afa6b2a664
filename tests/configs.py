"""Small configs of every schema, drawn at random, with sizes that differ from one another."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st


def small(low: int, high: int) -> st.SearchStrategy[int]:
    return st.integers(low, high)


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
    if arch.startswith("deepseek"):
        made |= {
            "n_shared_experts": draw(small(1, 2)),
            "q_lora_rank": 9 if arch == "deepseek_v32" else draw(st.sampled_from([None, 9])),
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
