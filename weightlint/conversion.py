"""What llama.cpp's converter makes of a Hugging Face config: which key of a GGUF file stands for which fields.

Source: llama.cpp, conversion/base.py, conversion/deepseek.py, conversion/qwen.py and conversion/gptneox.py.
Keys that people change on purpose, such as the context length, are not here.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose
from typing import TYPE_CHECKING, Any

from weightlint import expr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.config import Config
    from weightlint.keys import Keys

CLOSE = 1e-5
"""Share by which a key may differ: f32 keeps seven digits."""

GATING = {"softmax": 1, "sigmoid": 2}
"""Values of expert_gating_func; source: llama.cpp, src/llama-hparams.h llama_expert_gating_func_type."""

SAME = {
    "embedding_length": ("hidden_size",),
    "feed_forward_length": ("intermediate_size",),
    "attention.head_count": ("num_attention_heads",),
    "attention.layer_norm_rms_epsilon": ("rms_norm_eps",),
    "attention.layer_norm_epsilon": ("layer_norm_eps", "layer_norm_epsilon"),
    "attention.q_lora_rank": ("q_lora_rank",),
    "attention.kv_lora_rank": ("kv_lora_rank",),
    "attention.value_length_mla": ("v_head_dim",),
    "rope.dimension_count": ("qk_rope_head_dim",),
    "rope.freq_base": ("rope_theta", "rope_parameters.rope_theta", "rotary_emb_base"),
    "leading_dense_block_count": ("first_k_dense_replace",),
    "expert_count": ("n_routed_experts", "num_local_experts", "num_experts"),
    "expert_used_count": ("num_experts_per_tok",),
    "expert_shared_count": ("n_shared_experts",),
    "expert_feed_forward_length": ("moe_intermediate_size",),
    "expert_shared_feed_forward_length": ("shared_expert_intermediate_size",),
    "expert_weights_scale": ("routed_scaling_factor",),
    "expert_weights_norm": ("norm_topk_prob",),
    "expert_group_count": ("n_group",),
    "expert_group_used_count": ("topk_group",),
}
"""Keys that take over one field, under any of its names."""

WORKED_OUT = {
    "block_count": ("num_hidden_layers", "num_hidden_layers + num_nextn_predict_layers"),
    "attention.head_count_kv": ("1 if kv_lora_rank else num_key_value_heads", "num_key_value_heads"),
    "attention.key_length_mla": ("qk_nope_head_dim + qk_rope_head_dim",),
}
"""Keys that follow from several fields, each in all ways that converters have had."""


ARCHITECTURES = {
    "llama": {"llama", "deci", "mistral3", "bitnet"},
    "mistral": {"llama", "mistral3"},
    "mixtral": {"llama"},
    "qwen2": {"qwen2"},
    "qwen2_moe": {"qwen2moe"},
    "qwen3": {"qwen3"},
    "qwen3_moe": {"qwen3moe"},
    "qwen3_next": {"qwen3next"},
    "deepseek_v2": {"deepseek2"},
    "deepseek_v3": {"deepseek2"},
    "kimi_k2": {"deepseek2"},
    "deepseek_v32": {"deepseek2", "deepseek32"},
    "gpt_neox": {"gptneox"},
    "gpt_oss": {"gpt-oss"},
    "glm4_moe": {"glm4moe"},
    "gemma": {"gemma"},
    "gemma2": {"gemma2"},
    "gemma3_text": {"gemma3"},
    "phi3": {"phi3"},
}
"""What general.architecture may be for a model type; source: llama.cpp, conversion/*.py (ModelBase.register)."""


def other_architecture(config: Config, keys: Keys) -> frozenset[str] | None:
    """Return the architectures that a converter gives this config, where the file has another one."""
    known = ARCHITECTURES.get(config.model_type or "")
    return None if known is None or keys.prefix in known else frozenset(known)


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A key with its value, and what the config says in its place: `fields`, a name or a formula."""

    key: str
    found: Any
    fields: str
    said: Any


def contradictions(config: Config, keys: Keys, scope: str | None) -> Iterator[Contradiction]:
    """Compare the keys of a GGUF file with the config that it was made from, where both say something."""
    fields = _Fields(config, scope)
    for key, names in SAME.items():
        name = next((name for name in names if fields.get(name) is not None), None)
        if name is not None:
            yield from _compared(keys, key, config.spelled(name), [fields.get(name)])
    for key, formulas in WORKED_OUT.items():
        said = {text: value for text in formulas if (value := fields.value(text)) is not None}
        if said:
            yield from _compared(keys, key, next(iter(said)), list(said.values()))
    scoring = GATING.get(str(fields.get("scoring_func")))
    if scoring is not None:
        yield from _compared(keys, "expert_gating_func", "scoring_func", [scoring])


def _compared(keys: Keys, key: str, fields: str, said: list[Any]) -> Iterator[Contradiction]:
    there, found = keys.find(key, None)
    if not there or isinstance(found, (list, range, str)) or any(_same(found, value) for value in said):
        return
    shown = float(f"{found:.7g}") if isinstance(found, float) else found
    yield Contradiction(key, shown, fields, said[0])


def _same(found: Any, said: Any) -> bool:
    if isinstance(found, float) or isinstance(said, float):
        return isclose(float(found), float(said), rel_tol=CLOSE)
    return bool(found == said)


@dataclass(frozen=True, slots=True)
class _Fields:
    """Fields of a config as numbers; None where it does not give one."""

    config: Config
    scope: str | None

    def get(self, name: str) -> Any:
        _, value = self.config.find(name, self.scope)
        return value if isinstance(value, (int, float, str)) else None

    def value(self, text: str) -> Any:
        """Work a formula out; None where a field that it cannot do without is not there."""
        try:
            return expr.parse(text).value(self.get)
        except expr.EvaluationError:
            return None
