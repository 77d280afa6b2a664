"""The parameter names of vLLM and SGLang at run time, as a state dict of the live model has them.

Source: vLLM, model_executor/layers/fused_moe (w13_weight, w2_weight) and the packed_modules_mapping
of its models. No loader reads them back; they reach a disk when somebody saves the running model.
"""

from __future__ import annotations

from weightlint.dialect import Dialect
from weightlint.line import line, within
from weightlint.move import Concat, Stack

RANKED = Concat(0, per_rank=True)

LAYER = (
    line(
        ("mlp.experts.*.gate_proj.weight", "mlp.experts.*.up_proj.weight"),
        "mlp.experts.w13_weight",
        Stack(),
        Concat(1, per_rank=True),
    ),
    line("mlp.experts.*.down_proj.weight", "mlp.experts.w2_weight", Stack()),
    line(
        ("block_sparse_moe.experts.*.w1.weight", "block_sparse_moe.experts.*.w3.weight"),
        "block_sparse_moe.experts.w13_weight",
        Stack(),
        Concat(1, per_rank=True),
    ),
    line("block_sparse_moe.experts.*.w2.weight", "block_sparse_moe.experts.w2_weight", Stack()),
    line(("self_attn.q_a_proj", "self_attn.kv_a_proj_with_mqa"), "self_attn.fused_qkv_a_proj", Concat(0)),
    line(("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), "self_attn.qkv_proj", RANKED),
    line(("mlp.gate_proj", "mlp.up_proj"), "mlp.gate_up_proj", RANKED),
    line(
        ("mlp.shared_experts.gate_proj", "mlp.shared_experts.up_proj"),
        "mlp.shared_experts.gate_up_proj",
        RANKED,
    ),
    line(
        ("mlp.shared_expert.gate_proj", "mlp.shared_expert.up_proj"),
        "mlp.shared_expert.gate_up_proj",
        RANKED,
    ),
)

DIALECT = Dialect(
    name="fused_runtime",
    title="a running vLLM or SGLang model",
    cure="save the model again from its Hugging Face class, or split the fused tensors back",
    lines=within("model.layers.*.", "model.layers.*.", LAYER),
    schemas=frozenset(
        {"deepseek_v2", "deepseek_v3", "deepseek_v32", "llama", "mixtral", "qwen2_moe", "qwen3_moe"}
    ),
    marks=(".experts.w13_weight", ".gate_up_proj.weight", ".fused_qkv_a_proj.", ".qkv_proj."),
    home=("model-rank-*-part-*.safetensors", "model-pp-*-tp-*-part-*.safetensors"),
    rest=str,
    scale=lambda weight: f"{weight}_scale_inv",
)
