"""Models cut into rank files, for tests: the writers' own rules, independent of how weightlint reads.

A model is {name: (dtype, shape)}; a cut model is {file: {name: (dtype, shape)}}.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from toy import Tensor, Toy, damage, table, toy

if TYPE_CHECKING:
    from pathlib import Path

Model = dict[str, tuple[str, tuple[int, ...]]]
Cut = dict[str, Model]

DEEPSEEK = {
    "architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", "vocab_size": 64,
    "hidden_size": 32, "intermediate_size": 64, "moe_intermediate_size": 16, "num_hidden_layers": 3,
    "num_attention_heads": 8, "num_key_value_heads": 8, "n_shared_experts": 2, "n_routed_experts": 8,
    "num_experts_per_tok": 2, "first_k_dense_replace": 1, "moe_layer_freq": 1, "q_lora_rank": 12,
    "kv_lora_rank": 20, "qk_nope_head_dim": 4, "qk_rope_head_dim": 2, "v_head_dim": 4,
    "tie_word_embeddings": False,
}  # fmt: skip
LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 64, "hidden_size": 48,
    "intermediate_size": 80, "num_hidden_layers": 4, "num_attention_heads": 8, "num_key_value_heads": 8,
    "tie_word_embeddings": False,
}  # fmt: skip


def model(arch: str, config: dict[str, Any]) -> Model:
    """Return the tensors of a whole model under Hugging Face names."""
    return {tensor.name: (tensor.dtype, tensor.shape) for tensor in toy(arch, config, shards=1).tensors}


def write_toy(folder: Path, made: Toy, *, by: str, ways: int, left: int = 0) -> None:
    """Cut a toy, write it, and do to the files what its edits ask for.

    `left` is the number of ranks of an earlier run whose files were left where the new one wrote none.
    """
    whole = {tensor.name: (tensor.dtype, tensor.shape) for tensor in made.tensors}
    match by:
        case "deepseek_native":
            cut = deepseek_native(whole, ways, experts=made.config["n_routed_experts"])
        case "sharded_state":
            cut = {**(sharded_state(whole, left) if left else {}), **sharded_state(whole, ways)}
        case _:
            message = f"no such cut: {by}"
            raise AssertionError(message)
    write(folder, cut, made.config)
    for edit in made.after:
        damage(folder, edit)


def write(folder: Path, cut: Cut, config: dict[str, Any] | None) -> Path:
    """Write rank files with data of zeros, and a config."""
    folder.mkdir(parents=True, exist_ok=True)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    for file, held in cut.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(table([Tensor(name, *kind, 1) for name, kind in held.items()]))
    return folder


def sliced(shape: tuple[int, ...], dim: int | None, ways: int) -> tuple[int, ...]:
    """Return one of equal slices of a shape."""
    if dim is None:
        return shape
    assert shape[dim] % ways == 0, (shape, dim, ways)
    return (*shape[:dim], shape[dim] // ways, *shape[dim + 1 :])


NATIVE = {
    "embed_tokens": ("embed", 0), "input_layernorm": ("attn_norm", None),
    "post_attention_layernorm": ("ffn_norm", None), "q_proj": ("wq", 0), "q_a_proj": ("wq_a", None),
    "q_a_layernorm": ("q_norm", None), "q_b_proj": ("wq_b", 0), "kv_a_proj_with_mqa": ("wkv_a", None),
    "kv_a_layernorm": ("kv_norm", None), "kv_b_proj": ("wkv_b", 0), "o_proj": ("wo", 1),
    "gate": ("gate", None), "gate_proj": ("w1", 0), "down_proj": ("w2", 1), "up_proj": ("w3", 0),
    "norm": ("norm", None), "lm_head": ("head", 0),
}  # fmt: skip
"""DeepSeek-V3, inference/convert.py at 9b4e978: second last part of a name, its new name, dimension."""


def deepseek_native(whole: Model, ways: int, *, experts: int) -> Cut:
    """Cut as DeepSeek's convert.py does."""
    cut: Cut = {f"model{rank}-mp{ways}.safetensors": {} for rank in range(ways)}
    for name, (dtype, shape) in whole.items():
        native = name.removeprefix("model.").replace("self_attn", "attn").replace("mlp", "ffn")
        native = native.replace("weight_scale_inv", "scale").replace("e_score_correction_bias", "bias")
        key = native.split(".")[-2]
        new, dim = NATIVE[key]
        native = native.replace(key, new)
        for rank, held in enumerate(cut.values()):
            if "experts" in name and "shared_experts" not in name:
                if int(native.split(".experts.")[1].split(".")[0]) // (experts // ways) == rank:
                    held[native] = (dtype, shape)
            else:
                held[native] = (dtype, sliced(shape, dim, ways))
    return cut


def sharded_state(whole: Model, ways: int, *, parts: int = 1) -> Cut:
    """Cut a LLaMA as vLLM holds it at run time: q, k, v and gate, up in one matrix, by column or row."""
    dims = {"qkv_proj": 0, "gate_up_proj": 0, "o_proj": 1, "down_proj": 1, "embed_tokens": 0, "lm_head": 0}
    fused: Model = {}
    for name, (dtype, shape) in whole.items():
        key = name.split(".")[-2]
        group = {**dict.fromkeys("qkv", "qkv_proj"), "gate": "gate_up_proj", "up": "gate_up_proj"}
        into = name.replace(key, group.get(key.removesuffix("_proj"), key)) if key.endswith("_proj") else name
        before = fused.get(into, (dtype, (0, *shape[1:])))[1]
        fused[into] = (dtype, (before[0] + shape[0], *shape[1:]) if into != name else shape)
    cut: Cut = {}
    for rank in range(ways):
        for at, (name, (dtype, shape)) in enumerate(fused.items()):
            part = at * parts // len(fused)
            held = cut.setdefault(f"model-rank-{rank}-part-{part}.safetensors", {})
            held[name] = (dtype, sliced(shape, dims.get(name.split(".")[-2]), ways))
    return cut
