"""TensorRT-LLM checkpoints of one rank, `rank0.safetensors`.

In a dense layer `fc` is the gate projection and `gate` the up projection; of experts `fc` is up above
gate. kv_b_proj has all keys, then all values. `fused_q_proj` is worked out of queries and keys. Layer
numbers count within a pipeline stage. Source: TensorRT-LLM, models/deepseek_v2/convert.py,
models/qwen/convert.py, models/llama/convert.py, examples/gptneox/convert_checkpoint.py.
"""

from __future__ import annotations

from weightlint.dialect import Dialect
from weightlint.moving.line import line, within
from weightlint.moving.move import Concat, Split, Stack
from weightlint.moving.opaque import Absorb
from weightlint.moving.reshape import Flatten, Unflatten, ungrouped

QKV = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
RANKED = Concat(0, per_rank=True)
KEYS_THEN_VALUES = (
    Unflatten(0, "num_attention_heads"),
    Split(("qk_nope_head_dim", "v_head_dim"), dim=1),
    Flatten(0),
    RANKED,
)
ABSORB = Absorb("num_attention_heads", "qk_nope_head_dim", "qk_rope_head_dim")
KV_B = "self_attn.kv_b_proj.weight"
MLA = "deepseek_v2 deepseek_v3"

LATENT = (
    line(("self_attn.q_a_proj", "self_attn.kv_a_proj_with_mqa"), "attention.fused_a", Concat(0)),
    line("self_attn.kv_a_proj_with_mqa", "attention.fused_a"),
    line("self_attn.q_a_layernorm", "attention.q_a_layernorm"),
    line("self_attn.kv_a_layernorm", "attention.kv_a_layernorm"),
    line("self_attn.q_b_proj.weight", "attention.q_b_proj"),
    line("self_attn.q_proj.weight", "attention.q_b_proj", archs=MLA),
    line(KV_B, "attention.kv_b_proj", *KEYS_THEN_VALUES),
    line(("self_attn.q_b_proj.weight", KV_B), "attention.fused_q_proj", ABSORB, copy=True),
    line(("self_attn.q_proj.weight", KV_B), "attention.fused_q_proj", ABSORB, copy=True),
)

LAYER = (
    line("input_layernorm", "input_layernorm"),
    line("post_attention_layernorm", "post_layernorm"),
    *LATENT,
    line(QKV, "attention.qkv", RANKED),
    line("self_attn.q_norm", "attention.q_layernorm"),
    line("self_attn.k_norm", "attention.k_layernorm"),
    line("self_attn.o_proj", "attention.dense"),
    line("mlp.gate_proj", "mlp.fc"),
    line("mlp.up_proj", "mlp.gate"),
    line("mlp.down_proj", "mlp.proj"),
    line("mlp.gate", "mlp.router"),
    line("mlp.gate.e_score_correction_bias", "mlp.e_score_correction_bias"),
    line(("mlp.experts.*.up_proj", "mlp.experts.*.gate_proj"), "mlp.fc", Stack(), Concat(1, per_rank=True)),
    line("mlp.experts.*.down_proj", "mlp.proj", Stack()),
    line(("mlp.shared_experts.up_proj", "mlp.shared_experts.gate_proj"), "mlp.shared_expert.fc", RANKED),
    line("mlp.shared_experts.down_proj", "mlp.shared_expert.proj"),
    line(("mlp.shared_expert.up_proj", "mlp.shared_expert.gate_proj"), "mlp.shared_expert.fc", RANKED),
    line("mlp.shared_expert.down_proj", "mlp.shared_expert.proj"),
    line("mlp.shared_expert_gate", "mlp.shared_expert_gate"),
    line("block_sparse_moe.gate", "mlp.router"),
    line(
        ("block_sparse_moe.experts.*.w3", "block_sparse_moe.experts.*.w1"),
        "mlp.fc",
        Stack(),
        Concat(1, per_rank=True),
    ),
    line("block_sparse_moe.experts.*.w2", "mlp.proj", Stack()),
)

NEOX = (
    line("input_layernorm", "input_layernorm"),
    line("post_attention_layernorm", "post_attention_layernorm"),
    line(
        "attention.query_key_value",
        "attention.qkv",
        *ungrouped("num_attention_heads", "hidden_size // num_attention_heads"),
    ),
    line("attention.dense", "attention.dense"),
    line("mlp.dense_h_to_4h", "mlp.fc"),
    line("mlp.dense_4h_to_h", "mlp.proj"),
)

LINES = (
    line("model.embed_tokens", "transformer.vocab_embedding"),
    line("model.norm", "transformer.ln_f"),
    line("lm_head", "lm_head"),
    line("gpt_neox.embed_in", "transformer.vocab_embedding"),
    line("gpt_neox.final_layer_norm", "transformer.ln_f"),
    line("embed_out", "lm_head"),
    *within("model.layers.*.", "transformer.layers.*.", LAYER),
    *within("gpt_neox.layers.*.", "transformer.layers.*.", NEOX),
)

DIALECT = Dialect(
    name="trtllm",
    title="TensorRT-LLM",
    cure="build an engine of it with trtllm-build, or serve the Hugging Face checkpoint it was made from",
    lines=LINES,
    schemas=frozenset(
        {"deepseek_v2", "deepseek_v3", "gpt_neox", "llama", "mixtral", "qwen2_moe", "qwen3_moe"}
    ),
    marks=("transformer.layers.*.input_layernorm. transformer.layers.*.attention.",),
    home=("rank*.safetensors",),
    lacks_mtp="TensorRT-LLM's checkpoint format has no MTP layers",
    stores_tied=True,
)
