"""Megatron-core, as a checkpoint of one tensor- and pipeline-parallel rank or of torch_dist names it.

Three things differ between its versions and specs: where norms and MTP parts stand, and how experts
are grouped. Rows of queries, keys and values stand group by group; the vocabulary is padded to a
multiple of 128 times the tensor-parallel degree. Source: Megatron-LM, megatron/core/transformer
(attention.py, multi_latent_attention.py, moe/experts.py, multi_token_prediction.py); Megatron-Bridge,
models/deepseek/common.py, models/llama, models/qwen.
"""

from __future__ import annotations

from dataclasses import replace

from weightlint.dialect import Dialect, Option
from weightlint.expected import Ignore
from weightlint.moving.line import line, within
from weightlint.moving.move import Concat, Stack
from weightlint.moving.reshape import Flatten, Pad, Swap, Unflatten, grouped

RANKED = Concat(0, per_rank=True)
STACKED = Concat(1, per_rank=True)
MLA = "deepseek_v2 deepseek_v3 deepseek_v32"
GROUPED_QUERIES = "llama mixtral qwen2_moe qwen3_moe"
VOCAB = 128
GATE_UP = ("experts.*.gate_proj.weight", "experts.*.up_proj.weight")
W1_W3 = ("experts.*.w1.weight", "experts.*.w3.weight")
TRANSPOSED = (Swap(1, 2), Flatten(0), Flatten(0))

NORMS = (
    line("input_layernorm", "input_layernorm", archs=MLA),
    line("input_layernorm", "input_layernorm", tags="local"),
    line("input_layernorm.weight", "self_attention.linear_qkv.layer_norm_weight", tags="te"),
    line("input_layernorm.bias", "self_attention.linear_qkv.layer_norm_bias", tags="te"),
    line("post_attention_layernorm.weight", "mlp.linear_fc1.layer_norm_weight", tags="te", layers="dense"),
    line("post_attention_layernorm.bias", "mlp.linear_fc1.layer_norm_bias", tags="te", layers="dense"),
    line("post_attention_layernorm", "pre_mlp_layernorm"),
    line("self_attn.q_a_layernorm.weight", "self_attention.linear_q_up_proj.layer_norm_weight", tags="te"),
    line("self_attn.kv_a_layernorm.weight", "self_attention.linear_kv_up_proj.layer_norm_weight", tags="te"),
    line("self_attn.q_a_layernorm", "self_attention.q_layernorm", tags="local"),
    line("self_attn.kv_a_layernorm", "self_attention.kv_layernorm", tags="local"),
    line("self_attn.q_norm", "self_attention.q_layernorm"),
    line("self_attn.k_norm", "self_attention.k_layernorm"),
)

ATTENTION = (
    line(
        ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        "self_attention.linear_qkv",
        *grouped("num_key_value_heads"),
        archs=GROUPED_QUERIES,
    ),
    line("self_attn.q_proj", "self_attention.linear_q_proj"),
    line("self_attn.q_a_proj", "self_attention.linear_q_down_proj"),
    line("self_attn.q_b_proj", "self_attention.linear_q_up_proj"),
    line("self_attn.kv_a_proj_with_mqa", "self_attention.linear_kv_down_proj"),
    line("self_attn.kv_b_proj", "self_attention.linear_kv_up_proj"),
    line("self_attn.o_proj", "self_attention.linear_proj"),
)

EXPERTS = tuple(
    each
    for both, down in ((GATE_UP, "experts.*.down_proj.weight"), (W1_W3, "experts.*.w2.weight"))
    for each in (
        line(both, "experts.linear_fc1.weight*", RANKED, tags="grouped"),
        line(down, "experts.linear_fc2.weight*", tags="grouped"),
        line(both, "experts.local_experts.*.linear_fc1.weight", RANKED, tags="sequential"),
        line(down, "experts.local_experts.*.linear_fc2.weight", tags="sequential"),
        line(both, "experts.experts.linear_fc1.weight", Stack(), STACKED, tags="stacked"),
        line(down, "experts.experts.linear_fc2.weight", Stack(), tags="stacked"),
        line(
            both, "experts.weight1", Stack(), STACKED, *TRANSPOSED, Unflatten(0, "hidden_size"), tags="legacy"
        ),
        line(down, "experts.weight2", Stack(), Swap(1, 2), Flatten(0), tags="legacy"),
    )
)

ROUTED = (
    line("gate", "router"),
    line("gate.e_score_correction_bias", "router.expert_bias"),
    *EXPERTS,
    line(("shared_experts.gate_proj", "shared_experts.up_proj"), "shared_experts.linear_fc1", RANKED),
    line("shared_experts.down_proj", "shared_experts.linear_fc2"),
    line(("shared_expert.gate_proj", "shared_expert.up_proj"), "shared_experts.linear_fc1", RANKED),
    line("shared_expert.down_proj", "shared_experts.linear_fc2"),
    line("shared_expert_gate.weight", "shared_experts.gate_weight"),
)

LAYER = (
    *NORMS,
    *ATTENTION,
    line(("mlp.gate_proj", "mlp.up_proj"), "mlp.linear_fc1", RANKED),
    line("mlp.down_proj", "mlp.linear_fc2"),
    *within("mlp.", "mlp.", ROUTED),
    *within("block_sparse_moe.", "mlp.", ROUTED),
)

NEOX = (
    *NORMS,
    line("attention.query_key_value", "self_attention.linear_qkv"),
    line("attention.dense", "self_attention.linear_proj"),
    line("mlp.dense_h_to_4h", "mlp.linear_fc1"),
    line("mlp.dense_4h_to_h", "mlp.linear_fc2"),
)

AHEAD = (
    line("enorm", "enorm"),
    line("hnorm", "hnorm"),
    line("eh_proj", "eh_proj"),
    line("shared_head.norm", "final_layernorm"),
    line("shared_head.head", ()),
    line("embed_tokens", ()),
    *(replace(each, tags=each.tags | {"layer"}) for each in within("", "transformer_layer.", LAYER)),
    *(replace(each, tags=each.tags | {"model_layer"}) for each in within("", "mtp_model_layer.", LAYER)),
)

TOP = tuple(
    each
    for embedding, norm, head in (
        ("model.embed_tokens", "model.norm", "lm_head"),
        ("gpt_neox.embed_in", "gpt_neox.final_layer_norm", "embed_out"),
    )
    for each in (
        line(embedding, "embedding.word_embeddings", tags="exact", padding=VOCAB),
        line(embedding, "embedding.word_embeddings", Pad(str(VOCAB)), tags="padded", padding=VOCAB),
        line(norm, "decoder.final_layernorm"),
        line(head, "output_layer", tags="exact", padding=VOCAB),
        line(head, "output_layer", Pad(str(VOCAB)), tags="padded", padding=VOCAB),
    )
)

DIALECT = Dialect(
    name="megatron",
    title="Megatron-core",
    cure="export it with Megatron-Bridge (AutoBridge.export_ckpt), or load it with the framework that trained it",
    lines=(
        *TOP,
        *(replace(each, part="trunk") for each in within("model.layers.*.", "decoder.layers.*.", LAYER)),
        *(replace(each, part="mtp") for each in within("model.layers.*.", "mtp.layers.{mtp}.", AHEAD)),
        *within("gpt_neox.layers.*.", "decoder.layers.*.", NEOX),
    ),
    schemas=frozenset(
        {"deepseek_v2", "deepseek_v3", "gpt_neox", "llama", "mixtral", "qwen2_moe", "qwen3_moe"}
    ),
    marks=("decoder.layers.*.self_attention.",),
    home=("*.distcp", ".metadata", "model_optim_rng.pt", "mp_rank_*", "*.pt"),
    choices=(
        (
            Option("te", (".layer_norm_weight",), "Transformer Engine: norms inside the layer behind them"),
            Option("local", ("layers.*.pre_mlp_layernorm. !.layer_norm_weight",), "norms on their own"),
        ),
        (
            Option("grouped", (".mlp.experts.linear_fc1.",), "weight0, weight1 ... of one grouped layer"),
            Option("sequential", (".local_experts.",), "one module for each expert"),
            Option("stacked", (".experts.experts.",), "one stack, as torch_dist stores them"),
            Option(
                "legacy",
                (".experts.weight1", ".experts.weight2"),
                "weight1 and weight2, transposed (until core 0.16)",
            ),
        ),
        (
            Option("model_layer", (".mtp_model_layer.",), "MTP part since core 0.17"),
            Option("layer", (".transformer_layer.",), "MTP part until core 0.16, and in torch_dist"),
        ),
        (
            Option("exact", (), "rows as the vocabulary has them"),
            Option("padded", (), "rows padded to a multiple of 128"),
        ),
    ),
    ignores=(Ignore("*_extra_state", "state of Transformer Engine, no weights"),),
)
