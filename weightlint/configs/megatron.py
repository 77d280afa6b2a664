"""Megatron-LM: the arguments of the training, which lie in every file of format `torch`.

Source: Megatron-LM, megatron/training/arguments.py; the fields of the latent attention and of experts from
core/transformer/transformer_config.py. The vocabulary is that with its padding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weightlint.config_spelling import ConfigSpelling

if TYPE_CHECKING:
    from collections.abc import Mapping


def derive(data: Mapping[str, Any]) -> dict[str, Any]:
    """Say the architecture, and what Megatron says in another way."""
    experts, heads = data.get("num_experts"), data.get("num_attention_heads")
    grouped = data.get("num_query_groups") if data.get("group_query_attention") else heads
    said: dict[str, Any] = {
        "architectures": [_architecture(data)],
        "num_key_value_heads": grouped or heads,
        "tie_word_embeddings": not data.get("untie_embeddings_and_output_weights"),
        "attention_bias": bool(data.get("add_bias_linear") or data.get("add_qkv_bias")),
        "mlp_bias": bool(data.get("add_bias_linear")),
        "vocab_size": data.get("padded_vocab_size") or data.get("vocab_size"),
        "num_nextn_predict_layers": data.get("mtp_num_layers") or 0,
    }
    if experts:
        said |= dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), experts)
        said |= _experts(data)
    return said


def _experts(data: Mapping[str, Any]) -> dict[str, Any]:
    width = data.get("moe_ffn_hidden_size") or data.get("ffn_hidden_size")
    shared = data.get("moe_shared_expert_intermediate_size") or 0
    said: dict[str, Any] = {"moe_intermediate_size": width, "shared_expert_intermediate_size": shared}
    if isinstance(width, int) and isinstance(shared, int) and width > 0:
        said["n_shared_experts"] = shared // width
    order = data.get("moe_layer_freq", 1)
    if isinstance(order, list) and 1 in order:
        said["first_k_dense_replace"] = order.index(1)
        said["mlp_only_layers"] = [at for at, routed in enumerate(order) if not routed]
    else:
        said |= {"first_k_dense_replace": 0, "moe_layer_freq": order, "decoder_sparse_step": order}
    if not data.get("multi_latent_attention") and "moe_ffn_hidden_size" not in data:
        said["intermediate_size"] = width
    return said


def _architecture(data: Mapping[str, Any]) -> str:
    routed, normed = bool(data.get("num_experts")), bool(data.get("qk_layernorm"))
    if data.get("multi_latent_attention"):
        return (
            "DeepseekV3ForCausalLM" if data.get("moe_router_enable_expert_bias") else "DeepseekV2ForCausalLM"
        )
    if data.get("normalization", "LayerNorm") == "LayerNorm":
        return "GPTNeoXForCausalLM"
    if routed and data.get("moe_shared_expert_intermediate_size"):
        return "Qwen2MoeForCausalLM"
    if routed:
        return "Qwen3MoeForCausalLM" if normed else "MixtralForCausalLM"
    if normed:
        return "Qwen3ForCausalLM"
    return "Qwen2ForCausalLM" if data.get("add_qkv_bias") else "LlamaForCausalLM"


CONFIG = ConfigSpelling(
    name="megatron",
    title="Megatron-LM's arguments",
    files=(),
    marks=frozenset({"num_layers", "hidden_size", "num_attention_heads", "padded_vocab_size"}),
    fields={
        "num_layers": "num_hidden_layers",
        "ffn_hidden_size": "intermediate_size",
        "kv_channels": "head_dim",
        "qk_head_dim": "qk_nope_head_dim",
        "qk_pos_emb_head_dim": "qk_rope_head_dim",
        "moe_ffn_hidden_size": "moe_intermediate_size",
    },
    derive=derive,
)
