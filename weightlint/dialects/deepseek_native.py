"""The names of DeepSeek's own inference code, one model for all ranks.

Source: DeepSeek-V3, inference/convert.py (its rules, which drop the layer for MTP by the number 61),
inference/model.py; DeepSeek-V3.2-Exp, inference/model.py for the indexer.
"""

from __future__ import annotations

from weightlint.dialect import Dialect
from weightlint.moving.line import line, within

FEED_FORWARD = (
    line("gate_proj", "w1"),
    line("down_proj", "w2"),
    line("up_proj", "w3"),
)

LAYER = (
    line("input_layernorm", "attn_norm"),
    line("post_attention_layernorm", "ffn_norm"),
    line("self_attn.q_proj", "attn.wq"),
    line("self_attn.q_a_proj", "attn.wq_a"),
    line("self_attn.q_a_layernorm", "attn.q_norm"),
    line("self_attn.q_b_proj", "attn.wq_b"),
    line("self_attn.kv_a_proj_with_mqa", "attn.wkv_a"),
    line("self_attn.kv_a_layernorm", "attn.kv_norm"),
    line("self_attn.kv_b_proj", "attn.wkv_b"),
    line("self_attn.o_proj", "attn.wo"),
    line("self_attn.indexer.wq_b", "attn.indexer.wq_b"),
    line("self_attn.indexer.wk", "attn.indexer.wk"),
    line("self_attn.indexer.k_norm", "attn.indexer.k_norm"),
    line("self_attn.indexer.weights_proj", "attn.indexer.weights_proj"),
    line("mlp.gate", "ffn.gate"),
    line("mlp.gate.e_score_correction_bias", "ffn.gate.bias"),
    *within("mlp.", "ffn.", FEED_FORWARD),
    *within("mlp.experts.*.", "ffn.experts.*.", FEED_FORWARD),
    *within("mlp.shared_experts.", "ffn.shared_experts.", FEED_FORWARD),
    line("enorm", "enorm"),
    line("hnorm", "hnorm"),
    line("eh_proj", "eh_proj"),
    line("shared_head.norm", "shared_head.norm"),
    line("shared_head.head", "shared_head.head"),
    line("embed_tokens", "embed"),
)

LINES = (
    line("model.embed_tokens", "embed"),
    line("model.norm", "norm"),
    line("lm_head", "head"),
    *within("model.layers.*.", "layers.*.", LAYER),
)

DIALECT = Dialect(
    name="deepseek_native",
    title="DeepSeek's own inference code",
    cure="convert the checkpoint to Hugging Face names, or serve it with DeepSeek's inference code",
    lines=LINES,
    schemas=frozenset({"deepseek_v2", "deepseek_v3", "deepseek_v32"}),
    marks=("layers.*.attn_norm. layers.*.attn.w",),
    home=("model*-mp*.safetensors",),
    leaves_mtp=dict.fromkeys(
        ("deepseek_v3", "deepseek_v32"), "DeepSeek's convert.py leaves the MTP layers out"
    ),
    scale=lambda weight: weight.removesuffix("weight") + "scale",
)
