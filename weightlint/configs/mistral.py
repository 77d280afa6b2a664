"""Mistral: `params.json` with dim, n_layers, n_heads, n_kv_heads, hidden_dim and a table moe.

Sources: mistralai/mistral-inference, src/mistral_inference/args.py; the mapping onto Hugging Face
names as vLLM makes it, transformers_utils/configs/mistral.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weightlint.config_spelling import ConfigSpelling

if TYPE_CHECKING:
    from collections.abc import Mapping


def derive(data: Mapping[str, Any]) -> dict[str, Any]:
    """Say the architecture and what stands in the table of experts."""
    moe = data.get("moe")
    if not isinstance(moe, dict):
        return {"architectures": ["MistralForCausalLM"], **_tied(data)}
    if moe.get("num_shared_experts"):
        return {"architectures": ["MistralLarge3ForCausalLM"], **_tied(data)}
    return {
        "architectures": ["MixtralForCausalLM"],
        "num_local_experts": moe.get("num_experts"),
        "num_experts_per_tok": moe.get("num_experts_per_tok"),
        **_tied(data),
    }


def _tied(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"tie_word_embeddings": data.get("tied_embeddings", False)}


CONFIG = ConfigSpelling(
    name="mistral",
    title="Mistral's params.json",
    files=("params.json",),
    marks=frozenset({"dim", "n_layers", "hidden_dim", "head_dim"}),
    fields={
        "dim": "hidden_size",
        "n_layers": "num_hidden_layers",
        "n_heads": "num_attention_heads",
        "n_kv_heads": "num_key_value_heads",
        "hidden_dim": "intermediate_size",
        "norm_eps": "rms_norm_eps",
    },
    derive=derive,
)
