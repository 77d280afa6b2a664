"""DeepSeek's own names, before conversion to Hugging Face names, one file for all ranks.

Source: DeepSeek-V3 repository, inference/convert.py (its table maps the other way) and
inference/model.py.
"""

from __future__ import annotations

from weightlint.dialect import Dialect

SEGMENTS = {
    "embed_tokens": "embed",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "q_proj": "wq",
    "q_a_proj": "wq_a",
    "q_a_layernorm": "q_norm",
    "q_b_proj": "wq_b",
    "kv_a_proj_with_mqa": "wkv_a",
    "kv_a_layernorm": "kv_norm",
    "kv_b_proj": "wkv_b",
    "o_proj": "wo",
    "gate_proj": "w1",
    "down_proj": "w2",
    "up_proj": "w3",
    "lm_head": "head",
    "self_attn": "attn",
    "mlp": "ffn",
    "e_score_correction_bias": "bias",
    "weight_scale_inv": "scale",
}


def spell(pattern: str) -> str:
    """Write a Hugging Face name as DeepSeek does."""
    parts = pattern.removeprefix("model.").split(".")
    return ".".join(SEGMENTS.get(part, part) for part in parts)


DIALECT = Dialect(
    name="deepseek_native",
    title="DeepSeek's own inference code",
    rewrite=lambda expected: expected.rename(spell),
    cure="convert the checkpoint to Hugging Face names, or serve it with DeepSeek's inference code",
)
