"""The parameter names of vLLM and SGLang at run time, as a state dict of the live model has them.

Sources: vLLM 0.8.4 and 0.33.0, model_executor/layers/fused_moe (w13_weight, w2_weight; `routed_experts.`
since the module was split) and the packed_modules_mapping of its models; SGLang 0.5.23, models/deepseek_v2.py
(fused_qkv_a_proj_with_mqa). They reach a disk when somebody saves the running model. MTP layers are no
part of it: both engines run them as a model of their own.
"""

from __future__ import annotations

from weightlint.dialect import Dialect, Option
from weightlint.expected import Ignore
from weightlint.moving.line import Line, line, within
from weightlint.moving.move import Concat, Stack

RANKED = Concat(0, per_rank=True)
A_PROJ = ("self_attn.q_a_proj", "self_attn.kv_a_proj_with_mqa")
A_CHOICE = (
    Option("fused_qkv_a", title="vLLM"),
    Option("fused_qkv_a_with_mqa", (".fused_qkv_a_proj_with_mqa.",), "SGLang"),
    Option(
        "separate_a",
        (".self_attn.q_a_proj. .experts.w13", ".self_attn.q_a_proj. .gate_up_proj."),
        "vLLM before 0.9",
    ),
)
EXPERT_CHOICE = (
    Option("experts", title="stacks right below the experts"),
    Option("routed_experts", (".experts.routed_experts.",), "vLLM from 0.33 on"),
)
ROUTER = frozenset({"BF16", "F16", "F32"})
"""vLLM 0.8.4 keeps the correction bias of a router in the type of the model."""

BUFFERS = ("*.attn.*_scale", "*.attn.*_scale_float", "*.rotary_emb.*")
"""Scales of the KV cache and tables of angles, which are set anew when the model starts."""


def _experts(holder: str, names: tuple[str, str, str]) -> tuple[Line, ...]:
    """Stack the experts of a layer, gate above up, under the name of either release."""
    gate, up, down = (f"{holder}.experts.*.{name}.weight" for name in names)
    return tuple(
        each
        for tag, inner in (("experts", "experts"), ("routed_experts", "experts.routed_experts"))
        for each in (
            line((gate, up), f"{holder}.{inner}.w13_weight", Stack(), Concat(1, per_rank=True), tags=tag),
            line(down, f"{holder}.{inner}.w2_weight", Stack(), tags=tag),
        )
    )


LAYER = (
    *_experts("mlp", ("gate_proj", "up_proj", "down_proj")),
    *_experts("block_sparse_moe", ("w1", "w3", "w2")),
    line(A_PROJ, "self_attn.fused_qkv_a_proj", Concat(0), tags="fused_qkv_a"),
    line(A_PROJ, "self_attn.fused_qkv_a_proj_with_mqa", Concat(0), tags="fused_qkv_a_with_mqa"),
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
    marks=(
        ".experts.w13_weight",
        ".experts.routed_experts.",
        ".gate_up_proj.weight",
        ".fused_qkv_a_proj.",
        ".qkv_proj.",
    ),
    home=("model-rank-*-part-*.safetensors", "model-pp-*-tp-*-part-*.safetensors"),
    rest=str,
    choices=(A_CHOICE, EXPERT_CHOICE),
    scale=lambda weight: f"{weight}_scale_inv",
    dtypes=lambda slot: slot.dtypes | ROUTER if slot.kind == "router" else slot.dtypes,
    ignores=tuple(Ignore(pattern, "made anew at start") for pattern in BUFFERS),
)
