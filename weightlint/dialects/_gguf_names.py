"""The GGUF names of all layers but the experts and kv_b_proj: what llama.cpp and ktransformers share.

Source: gguf-py, gguf/constants.py TENSOR_NAMES and tensor_mapping.py; llama.cpp, conversion/llama.py,
conversion/deepseek.py, conversion of GPT-NeoX.
"""

from __future__ import annotations

from weightlint.moving.line import line, within
from weightlint.moving.reshape import Flatten, rope, ungrouped

ROTATED = "llama mixtral"
"""Schemas whose queries and keys llama.cpp rotates by neighbours."""

SHARED = (
    line("gate_proj", "ffn_gate_shexp"),
    line("up_proj", "ffn_up_shexp"),
    line("down_proj", "ffn_down_shexp"),
)

LAYER = (
    line("input_layernorm", "attn_norm"),
    line("post_attention_layernorm", "ffn_norm"),
    line("self_attn.q_proj", "attn_q", *rope("num_attention_heads"), archs=ROTATED),
    line("self_attn.k_proj", "attn_k", *rope("num_key_value_heads"), archs=ROTATED),
    line("self_attn.q_proj", "attn_q"),
    line("self_attn.k_proj", "attn_k"),
    line("self_attn.v_proj", "attn_v"),
    line("self_attn.o_proj", "attn_output"),
    line("self_attn.q_norm", "attn_q_norm"),
    line("self_attn.k_norm", "attn_k_norm"),
    line("self_attn.q_a_proj", "attn_q_a"),
    line("self_attn.q_a_layernorm", "attn_q_a_norm"),
    line("self_attn.q_b_proj", "attn_q_b"),
    line("self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa"),
    line("self_attn.kv_a_layernorm", "attn_kv_a_norm"),
    line("self_attn.indexer.wq_b", "indexer.attn_q_b"),
    line("self_attn.indexer.wk", "indexer.attn_k"),
    line("self_attn.indexer.k_norm", "indexer.k_norm"),
    line("self_attn.indexer.weights_proj", "indexer.proj"),
    line("mlp.gate_proj", "ffn_gate"),
    line("mlp.up_proj", "ffn_up"),
    line("mlp.down_proj", "ffn_down"),
    line("mlp.gate", "ffn_gate_inp"),
    line("mlp.gate.e_score_correction_bias", "exp_probs_b.bias"),
    *within("mlp.shared_experts.", "", SHARED),
    *within("mlp.shared_expert.", "", SHARED),
    line("mlp.shared_expert_gate", "ffn_gate_inp_shexp", Flatten(0)),
    line("block_sparse_moe.gate", "ffn_gate_inp"),
    line("enorm", "nextn.enorm"),
    line("hnorm", "nextn.hnorm"),
    line("eh_proj", "nextn.eh_proj"),
    line("shared_head.norm", "nextn.shared_head_norm"),
    line("shared_head.head", "nextn.shared_head_head"),
    line("embed_tokens", "nextn.embed_tokens"),
)

NEOX = (
    line("input_layernorm", "attn_norm"),
    line("post_attention_layernorm", "ffn_norm"),
    line(
        "attention.query_key_value",
        "attn_qkv",
        *ungrouped("num_attention_heads", "hidden_size // num_attention_heads"),
    ),
    line("attention.dense", "attn_output"),
    line("mlp.dense_h_to_4h", "ffn_up"),
    line("mlp.dense_4h_to_h", "ffn_down"),
)

NAMES = (
    line("model.embed_tokens", "token_embd"),
    line("model.norm", "output_norm"),
    line("lm_head", "output"),
    line("gpt_neox.embed_in", "token_embd"),
    line("gpt_neox.final_layer_norm", "output_norm"),
    line("embed_out", "output"),
    *within("model.layers.*.", "blk.*.", LAYER),
    *within("gpt_neox.layers.*.", "blk.*.", NEOX),
)
