"""Mistral's own names, `params.json` beside `consolidated.safetensors`; Meta's LLaMA shares them.

Rows of queries and keys are in the order for rotation of neighbours. Source: mistral-inference,
transformer_layers.py, moe.py; of the latent attention SGLang, models/mistral_large_3.py.
"""

from __future__ import annotations

from weightlint.dialect import Dialect
from weightlint.expected import Ignore
from weightlint.moving.line import line, within
from weightlint.moving.reshape import rope

FEED_FORWARD = (
    line("gate_proj", "w1"),
    line("down_proj", "w2"),
    line("up_proj", "w3"),
)

LAYER = (
    line("input_layernorm", "attention_norm"),
    line("post_attention_layernorm", "ffn_norm"),
    line("self_attn.q_proj", "attention.wq", *rope("num_attention_heads"), archs="llama mixtral"),
    line("self_attn.k_proj", "attention.wk", *rope("num_key_value_heads"), archs="llama mixtral"),
    line("self_attn.v_proj", "attention.wv"),
    line("self_attn.o_proj", "attention.wo"),
    line("self_attn.q_proj", "attention.wq", archs="deepseek_v3"),
    line("self_attn.q_a_proj", "attention.wq_a"),
    line("self_attn.q_a_layernorm", "attention.q_a_norm"),
    line("self_attn.q_b_proj", "attention.wq_b"),
    line("self_attn.kv_a_proj_with_mqa", "attention.wkv_a_with_mqa"),
    line("self_attn.kv_a_layernorm", "attention.kv_a_norm"),
    line("self_attn.kv_b_proj", "attention.wkv_b"),
    *within("mlp.", "feed_forward.", FEED_FORWARD),
    line("mlp.gate", "gate"),
    line("mlp.gate.e_score_correction_bias", "router_biases"),
    *within("mlp.experts.*.", "experts.*.", FEED_FORWARD),
    *within("mlp.shared_experts.", "shared_experts.", FEED_FORWARD),
    line("block_sparse_moe.gate", "feed_forward.gate"),
    line("block_sparse_moe.experts.*.w1", "feed_forward.experts.*.w1"),
    line("block_sparse_moe.experts.*.w2", "feed_forward.experts.*.w2"),
    line("block_sparse_moe.experts.*.w3", "feed_forward.experts.*.w3"),
)

LINES = (
    line("model.embed_tokens", "tok_embeddings"),
    line("model.norm", "norm"),
    line("lm_head", "output"),
    *within("model.layers.*.", "layers.*.", LAYER),
)

DIALECT = Dialect(
    name="mistral",
    title="Mistral's own inference code",
    cure="serve it with mistral-inference, or with vLLM's --load-format mistral; else take the Hugging Face "
    "files of the same repository",
    lines=LINES,
    schemas=frozenset({"deepseek_v3", "llama", "mixtral"}),
    marks=("layers.*.attention_norm. layers.*.attention.w",),
    home=("consolidated*",),
    lacks_mtp="Mistral's format has no MTP layers",
    ignores=(Ignore("rope.freqs", "computed from the config at load; Meta's LLaMA stores it"),),
)
