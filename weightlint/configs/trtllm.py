"""TensorRT-LLM: the `config.json` of a checkpoint, Hugging Face names with one `architecture`.

Source: NVIDIA/TensorRT-LLM, docs/source/architecture/checkpoint.md; models/deepseek_v2/convert.py at
130232d for the table moe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weightlint.config_spelling import ConfigSpelling

if TYPE_CHECKING:
    from collections.abc import Mapping


def derive(data: Mapping[str, Any]) -> dict[str, Any]:
    """Say the architecture as a list, and the number of experts."""
    said: dict[str, Any] = {"architectures": [data["architecture"]], "tie_word_embeddings": False}
    moe = data.get("moe")
    if isinstance(moe, dict) and moe.get("num_experts"):
        said |= dict.fromkeys(("num_local_experts", "num_experts", "n_routed_experts"), moe["num_experts"])
    return said


CONFIG = ConfigSpelling(
    name="trtllm",
    title="TensorRT-LLM",
    files=("config.json",),
    marks=frozenset({"architecture", "mapping"}),
    fields={
        "num_key_value_heads": "num_key_value_heads",
        "head_size": "head_dim",
        "kv_lora_rank": "kv_lora_rank",
    },
    derive=derive,
)
