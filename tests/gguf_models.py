"""Toy models of every architecture that a GGUF schema is for: keys by hand, tensors as the schema has them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from gguf_toy import GgufFile, GgufTensor

from weightlint import schema as schemas
from weightlint.expansion import expand
from weightlint.expected import Presence
from weightlint.keys import read
from weightlint.metadata import Value

if TYPE_CHECKING:
    from gguf_toy import Key

    from weightlint.expected import Slot

BASE = {
    "block_count": 3,
    "context_length": 64,
    "embedding_length": 64,
    "feed_forward_length": 96,
    "vocab_size": 32,
    "attention.head_count": 4,
    "attention.head_count_kv": 2,
    "attention.layer_norm_rms_epsilon": 1e-5,
    "rope.freq_base": 1e4,
}
HEADS = {"attention.key_length": 24, "attention.value_length": 24}
EXPERTS = {"expert_count": 4, "expert_used_count": 2, "expert_feed_forward_length": 32}
ROUTED = {"expert_weights_scale": 2.5, "expert_weights_norm": True, "expert_gating_func": 2}
MLA = {
    **EXPERTS,
    **ROUTED,
    "leading_dense_block_count": 1,
    "expert_shared_count": 1,
    "attention.q_lora_rank": 48,
    "attention.kv_lora_rank": 32,
    "attention.head_count_kv": 1,
    "attention.key_length": 40,
    "attention.value_length": 32,
    "attention.key_length_mla": 24,
    "attention.value_length_mla": 16,
    "rope.dimension_count": 8,
    "rope.scaling.type": "yarn",
    "rope.scaling.factor": 40.0,
    "rope.scaling.original_context_length": 64,
    "rope.scaling.yarn_log_multiplier": 0.1,
}
WHOLE = {
    "attention.head_count_kv": 4,
    "attention.key_length": 24,
    "attention.value_length": 16,
    "attention.key_length_mla": None,
    "attention.value_length_mla": None,
}
INDEXER = {
    f"attention.indexer.{key}": value for key, value in (("head_count", 2), ("key_length", 16), ("top_k", 8))
}
SSM = {"conv_kernel": 4, "inner_size": 64, "state_size": 16, "time_step_rank": 4, "group_count": 2}
HYBRID = {
    **HEADS,
    **{f"ssm.{key}": value for key, value in SSM.items()},
    "block_count": 4,
    "rope.dimension_count": 8,
}
SECTIONS = {"rope.dimension_sections": [2, 2, 0, 0]}
LAYER_NORM = {"attention.layer_norm_rms_epsilon": None, "attention.layer_norm_epsilon": 1e-5}
DRAFT = {"nextn_predict_layers": 1, "block_count": 4}

TOYS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {}),
    "mixtral": ("llama", {"expert_count": 4, "expert_used_count": 2}),
    "qwen2": ("qwen2", {}),
    "qwen3": ("qwen3", HEADS),
    "qwen2moe": ("qwen2moe", {**EXPERTS, "expert_shared_feed_forward_length": 48}),
    "qwen3moe": ("qwen3moe", {**HEADS, **EXPERTS}),
    "qwen3vlmoe": ("qwen3vlmoe", {**HEADS, **EXPERTS, **SECTIONS}),
    "qwen35": ("qwen35", {**HYBRID, **SECTIONS}),
    "qwen35moe": ("qwen35moe", {**HYBRID, **SECTIONS, **EXPERTS, "expert_shared_feed_forward_length": 48}),
    "qwen3next": ("qwen3next", {**HYBRID, **EXPERTS, "expert_shared_feed_forward_length": 48}),
    "deepseek": ("deepseek", {**EXPERTS, "leading_dense_block_count": 1, "expert_shared_count": 2}),
    "deepseek2": ("deepseek2", MLA),
    "deepseek2_whole": ("deepseek2", {**MLA, **WHOLE}),
    "deepseek2_draft": ("deepseek2", {**MLA, **DRAFT}),
    "deepseek32": ("deepseek32", {**MLA, **INDEXER}),
    "glm-dsa": ("glm-dsa", {**MLA, **INDEXER, **DRAFT}),
    "glm4moe": (
        "glm4moe",
        {
            **HEADS,
            **EXPERTS,
            **ROUTED,
            **DRAFT,
            "rope.dimension_count": 12,
            "leading_dense_block_count": 1,
            "expert_shared_count": 1,
        },
    ),
    "gpt-oss": ("gpt-oss", {**HEADS, **EXPERTS, "attention.sliding_window": 32}),
    "gptneox": (
        "gptneox",
        {
            **LAYER_NORM,
            "use_parallel_residual": True,
            "attention.head_count_kv": 4,
            "rope.dimension_count": 4,
        },
    ),
    "gemma": ("gemma", HEADS),
    "gemma2": ("gemma2", HEADS),
    "gemma3": ("gemma3", HEADS),
    "gemma4": (
        "gemma4",
        {
            **HEADS,
            "attention.key_length_swa": 16,
            "attention.value_length_swa": 16,
            "attention.sliding_window": 8,
            "attention.sliding_window_pattern": [True, True, False],
            "embedding_length_per_layer_input": 8,
        },
    ),
    "phi3": ("phi3", {"attention.head_count_kv": 4}),
    "phi2": ("phi2", {**LAYER_NORM, "attention.head_count_kv": 4, "rope.dimension_count": 8}),
    "command-r": ("command-r", LAYER_NORM),
    "bitnet": ("bitnet", {}),
}
"""Architecture and keys, laid over `BASE`, of each toy; a key that is None is left out."""

LEFT_OUT = ("rope_freqs", "rope_factors", "output.bias")
"""Optional tensors that the toys do not have; of others, those that are judged as a set are there."""


def keys(toy: str) -> list[Key]:
    """Return the keys of a toy with the types that llama.cpp reads."""
    arch, own = TOYS[toy]
    fields = schemas.load(f"gguf/{arch}").fields
    out: list[Key] = [("general.architecture", "str", arch)]
    for name, value in {**BASE, **own}.items():
        if value is not None:
            type_ = fields[name].stored or ""
            of = type_.removeprefix("arr[").split("|")[0]
            typed = ("arr", (of, value)) if isinstance(value, list) else (type_, value)
            out.append((f"{arch}.{name}", *typed))
    return [*out, ("tokenizer.ggml.model", "str", "no_vocab")]


def values(listed: list[Key]) -> dict[str, Value]:
    """Return keys as a reader gives them."""
    return {
        key: Value(type_, value) if type_ != "arr" else Value("arr", list(value[1]), value[0], len(value[1]))
        for key, type_, value in listed
    }


def model(toy: str) -> GgufFile:
    """Return a whole toy."""
    listed = keys(toy)
    schema = schemas.load(f"gguf/{TOYS[toy][0]}")
    expected = expand(schema, read(values(listed), "toy.gguf"))
    tensors = [
        GgufTensor(name, tuple(reversed(slot.shape)), "F32" if slot.dtypes == {"F32"} else "F16")
        for slot in expected.slots
        for name in slot.names()
        if is_there(slot)
    ]
    return GgufFile(listed, tensors)


@cache
def slots(toy: str) -> tuple[Slot, ...]:
    """Return what a toy holds."""
    schema = schemas.load(f"gguf/{TOYS[toy][0]}")
    return tuple(slot for slot in expand(schema, read(values(keys(toy)), "toy.gguf")).slots if is_there(slot))


def is_there(slot: Slot) -> bool:
    if slot.need is Presence.REQUIRED or slot.absent in {"warning", "error"}:
        return True
    return slot.kind not in {"scale", "bias"} and not slot.pattern.startswith(LEFT_OUT)
