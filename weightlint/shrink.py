"""A tiny model of the same architecture: the config with every size made small, every kind of layer kept.

Knows the fields' names and what transformers demands of them together; nothing of tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

SIZES = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "moe_intermediate_size": 32,
    "shared_expert_intermediate_size": 48,
    "head_dim": 16,
    "q_lora_rank": 24,
    "kv_lora_rank": 32,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8,
    "v_head_dim": 16,
    "o_lora_rank": 16,
    "o_groups": 2,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "index_head_dim": 16,
    "index_n_heads": 2,
    "index_topk": 16,
    "n_routed_experts": 4,
    "num_local_experts": 4,
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "n_group": 2,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    "vocab_size": 256,
    "max_position_embeddings": 256,
}
"""Largest value of each field; a config with less keeps it."""

HEADS = 4
LAYERS = 3


def shrink(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config of a tiny model; fields that are no sizes stay as they are."""
    out = {name: _shrunk(name, value) for name, value in config.items()}
    out.pop("rope_scaling", None)
    for name in ("text_config", "vision_config"):
        if isinstance(config.get(name), dict):
            out[name] = shrink(config[name])
    if isinstance(config.get("num_attention_heads"), int):
        out |= _heads(config, out)
    if isinstance(config.get("num_hidden_layers"), int):
        out |= _layers(config)
    return out


def _shrunk(name: str, value: Any) -> Any:
    if name.endswith("_token_id"):
        return _token(value)
    if name in SIZES and isinstance(value, int):
        return min(value, SIZES[name])
    return value


def _token(value: Any) -> Any:
    """Bring the number of a special token inside the small vocabulary: an embedding checks it."""
    if isinstance(value, list):
        return [_token(one) for one in value]
    return value % SIZES["vocab_size"] if isinstance(value, int) else value


def _heads(config: Mapping[str, Any], small: Mapping[str, Any]) -> dict[str, int]:
    """Keep grouped queries grouped, and heads that divide the width."""
    heads = config["num_attention_heads"]
    width = small.get("hidden_size", SIZES["hidden_size"])
    count = max(n for n in range(1, min(heads, HEADS) + 1) if width % n == 0)
    out = {"num_attention_heads": count}
    groups = config.get("num_key_value_heads")
    if isinstance(groups, int):
        out["num_key_value_heads"] = count if groups >= heads or count % 2 else count // 2
    return out


def _layers(config: Mapping[str, Any]) -> dict[str, Any]:
    """Keep few layers, of every kind.

    With MTP layers the depth stays: transformers passes over them by their published number
    (`_keys_to_ignore_on_load_unexpected`, models/deepseek_v3), and would call others unexpected.
    """
    depth = config["num_hidden_layers"]
    step = max(config.get("decoder_sparse_step") or 1, config.get("moe_layer_freq") or 1)
    few = (
        depth
        if config.get("num_nextn_predict_layers")
        else min(depth, max(LAYERS, step + 1, _period(config)))
    )
    out: dict[str, Any] = {"num_hidden_layers": few}
    if isinstance(config.get("max_window_layers"), int):
        out["max_window_layers"] = min(few, config["max_window_layers"])
    if isinstance(config.get("mlp_only_layers"), list):
        out["mlp_only_layers"] = [layer for layer in config["mlp_only_layers"] if layer < few]
    if isinstance(linear := config.get("linear_attn_config"), dict):
        out["linear_attn_config"] = _linear(linear, few)
    for name, value in config.items():
        if isinstance(value, list) and len(value) == depth and name.endswith("_types"):
            out[name] = [value[0], *value[depth - few + 1 :]]
    return out


def _period(config: Mapping[str, Any]) -> int:
    """Return after how many layers both kinds of attention have come, where some layers have a linear one."""
    full = (config.get("linear_attn_config") or {}).get("full_attn_layers")
    listed = "layer_types" in config
    return min(full) if full else 0 if listed else config.get("full_attention_interval") or 0


def _linear(config: Mapping[str, Any], few: int) -> dict[str, Any]:
    """Keep the linear attention of few layers, which Kimi-Linear counts from 1."""
    small = {name: min(value, 4) if isinstance(value, int) else value for name, value in config.items()}
    lists = {
        name: [at for at in value if at <= few] for name, value in config.items() if isinstance(value, list)
    }
    return {**small, **lists}
