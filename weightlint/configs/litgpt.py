"""LitGPT: `model_config.yaml`, the fields of its Config.

Source: Lightning-AI/litgpt, litgpt/config.py and model.py of 0.5.9: the class of the MLP and the norms
tell the family; a tied head is written twice; the vocabulary is that with its padding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weightlint.config_spelling import ConfigSpelling

if TYPE_CHECKING:
    from collections.abc import Mapping


def derive(data: Mapping[str, Any]) -> dict[str, Any]:
    """Say the architecture, and what is left unsaid where it is the usual."""
    return {
        "architectures": [_architecture(data)],
        "num_key_value_heads": data.get("n_query_groups") or data.get("n_head"),
        "tie_word_embeddings": False,
        "attention_bias": bool(data.get("bias") or data.get("attn_bias")),
        "mlp_bias": bool(data.get("bias")),
        "num_local_experts": data.get("n_expert"),
        "num_experts": data.get("n_expert"),
    }


def _architecture(data: Mapping[str, Any]) -> str:
    normed = bool(data.get("norm_qk"))
    match data.get("mlp_class_name"):
        case "LLaMAMoE":
            return "Qwen3MoeForCausalLM" if normed else "MixtralForCausalLM"
        case "LLaMAMLP" if normed:
            return "Qwen3ForCausalLM"
        case "LLaMAMLP" if data.get("attn_bias"):
            return "Qwen2ForCausalLM"
        case "LLaMAMLP":
            return "LlamaForCausalLM"
        case "GptNeoxMLP" if not data.get("lm_head_bias") and not data.get("shared_attention_norm"):
            return "GPTNeoXForCausalLM"
    return f"LitGPT's {data.get('name')}"


CONFIG = ConfigSpelling(
    name="litgpt",
    title="LitGPT's model_config.yaml",
    files=("model_config.yaml",),
    marks=frozenset({"n_layer", "n_embd", "n_head", "mlp_class_name"}),
    fields={
        "n_layer": "num_hidden_layers",
        "n_embd": "hidden_size",
        "n_head": "num_attention_heads",
        "head_size": "head_dim",
        "padded_vocab_size": "vocab_size",
        "n_expert_per_token": "num_experts_per_tok",
        "rotary_percentage": "rotary_pct",
        "parallel_residual": "use_parallel_residual",
    },
    derive=derive,
)
