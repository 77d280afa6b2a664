"""LitGPT: `lit_model.pth`, one tensor for queries, keys and values.

The legacy way is `attn.attn`, head by head; its loader puts the rows in order. The head is always
stored, a tied one as a second copy. Source: LitGPT, scripts/convert_hf_checkpoint.py, model.py
(`CausalSelfAttention._load_from_state_dict`).
"""

from __future__ import annotations

from weightlint.dialect import Dialect, Option
from weightlint.moving.line import line, within
from weightlint.moving.move import Concat
from weightlint.moving.reshape import grouped, ungrouped

QKV = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")

LLAMA = (
    line("input_layernorm", "norm_1"),
    line("post_attention_layernorm", "norm_2"),
    line(QKV, "attn.qkv", Concat(0), tags="qkv"),
    line(QKV, "attn.attn", *grouped("num_key_value_heads"), tags="legacy"),
    line("self_attn.q_norm", "attn.norm_q"),
    line("self_attn.k_norm", "attn.norm_k"),
    line("self_attn.o_proj", "attn.proj"),
    line("mlp.gate_proj", "mlp.fc_1"),
    line("mlp.up_proj", "mlp.fc_2"),
    line("mlp.down_proj", "mlp.proj"),
    line("mlp.gate", "mlp.gate"),
    line("mlp.experts.*.gate_proj", "mlp.experts.*.fc_1"),
    line("mlp.experts.*.up_proj", "mlp.experts.*.fc_2"),
    line("mlp.experts.*.down_proj", "mlp.experts.*.proj"),
    line("block_sparse_moe.gate", "mlp.gate"),
    line("block_sparse_moe.experts.*.w1", "mlp.experts.*.fc_1"),
    line("block_sparse_moe.experts.*.w3", "mlp.experts.*.fc_2"),
    line("block_sparse_moe.experts.*.w2", "mlp.experts.*.proj"),
)

NEOX = (
    line("input_layernorm", "norm_1"),
    line("post_attention_layernorm", "norm_2"),
    line(
        "attention.query_key_value",
        "attn.qkv",
        *ungrouped("num_attention_heads", "hidden_size // num_attention_heads"),
        tags="qkv",
    ),
    line("attention.query_key_value", "attn.attn", tags="legacy"),
    line("attention.dense", "attn.proj"),
    line("mlp.dense_h_to_4h", "mlp.fc"),
    line("mlp.dense_4h_to_h", "mlp.proj"),
)

LINES = (
    line("model.embed_tokens", "transformer.wte"),
    line("model.norm", "transformer.ln_f"),
    line("lm_head", "lm_head"),
    line("gpt_neox.embed_in", "transformer.wte"),
    line("gpt_neox.final_layer_norm", "transformer.ln_f"),
    line("embed_out", "lm_head"),
    *within("model.layers.*.", "transformer.h.*.", LLAMA),
    *within("gpt_neox.layers.*.", "transformer.h.*.", NEOX),
)

DIALECT = Dialect(
    name="litgpt",
    title="LitGPT",
    cure="convert it with `litgpt convert_from_litgpt`, or serve it with LitGPT",
    lines=LINES,
    schemas=frozenset({"gpt_neox", "llama", "mixtral", "qwen3_moe"}),
    marks=("transformer.h.*.norm_1. transformer.h.*.attn.proj.",),
    home=("lit_model.pth", "lit_model*.pth*"),
    choices=(
        (
            Option("qkv", ("attn.qkv.",), "queries, then keys, then values"),
            Option("legacy", ("attn.attn.",), "group by group, as old releases wrote them"),
        ),
    ),
    stores_tied=True,
)
