"""DeepSeek's inference code: `config_671B.json` and its like, the fields of ModelArgs.

Source: deepseek-ai/DeepSeek-V3, inference/model.py and configs/ at 9b4e978; DeepSeek-V3.2-Exp, inference/.
The dtype "fp8" stands for FP8 weights with a scale for each block of 128 x 128; score_func "sigmoid"
for the router with a correction bias that V2 does not have; q_lora_rank 0 for plain queries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weightlint.config_spelling import ConfigSpelling

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULTS: Mapping[str, Any] = {
    "vocab_size": 102400,
    "hidden_size": 2048,
    "intermediate_size": 10944,
    "moe_intermediate_size": 1408,
    "num_hidden_layers": 27,
    "first_k_dense_replace": 1,
    "num_attention_heads": 16,
    "n_routed_experts": 64,
    "n_shared_experts": 2,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
}
"""ModelArgs' own values, under Hugging Face names."""


def derive(data: Mapping[str, Any]) -> dict[str, Any]:
    """Say the architecture, the quantisation and what ModelArgs says of itself."""
    own = {theirs: name for name, theirs in CONFIG.fields.items()}
    said = {name: value for name, value in DEFAULTS.items() if own.get(name, name) not in data}
    said |= {
        "architectures": [_architecture(data)],
        "q_lora_rank": data.get("q_lora_rank") or None,
        "num_nextn_predict_layers": 0,
        "tie_word_embeddings": False,
    }
    if data.get("dtype") == "fp8":
        said["quantization_config"] = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    return said


def _architecture(data: Mapping[str, Any]) -> str:
    if "index_n_heads" in data:
        return "DeepseekV32ForCausalLM"
    return "DeepseekV3ForCausalLM" if data.get("score_func") == "sigmoid" else "DeepseekV2ForCausalLM"


CONFIG = ConfigSpelling(
    name="deepseek_native",
    title="DeepSeek's inference code",
    files=("config_*.json",),
    marks=frozenset({"dim", "n_layers", "moe_inter_dim"}),
    fields={
        "dim": "hidden_size",
        "inter_dim": "intermediate_size",
        "moe_inter_dim": "moe_intermediate_size",
        "n_layers": "num_hidden_layers",
        "n_dense_layers": "first_k_dense_replace",
        "n_heads": "num_attention_heads",
        "n_activated_experts": "num_experts_per_tok",
        "n_expert_groups": "n_group",
        "n_limited_groups": "topk_group",
        "route_scale": "routed_scaling_factor",
    },
    derive=derive,
)
