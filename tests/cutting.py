"""Models cut into rank files, for tests: the writers' own rules, independent of how weightlint reads.

A model is {name: (dtype, shape)}; a cut model is {file: {name: (dtype, shape)}}.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch_toy
from toy import Tensor, Toy, damage, table, torch_table, toy

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
        as_table = table if file.endswith(".safetensors") else torch_table
        (folder / file).write_bytes(as_table([Tensor(name, *kind, 1) for name, kind in held.items()]))
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


MIXTRAL = {
    "architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "vocab_size": 64, "hidden_size": 48,
    "intermediate_size": 80, "num_hidden_layers": 4, "num_attention_heads": 8, "num_key_value_heads": 8,
    "num_local_experts": 8, "num_experts_per_tok": 2, "tie_word_embeddings": False,
}  # fmt: skip


def layer_of(name: str) -> int | None:
    """Return the layer number in a Hugging Face name."""
    return int(name.split(".")[2]) if name.startswith("model.layers.") else None


def staged(whole: Model, layers: int, stages: int) -> list[Model]:
    """Deal a model out to pipeline stages of equal depth, layers counted anew in each.

    The embedding goes to the first stage, the last norm and the head to the last.
    """
    depth = layers // stages
    out: list[Model] = [{} for _ in range(stages)]
    for name, kind in whole.items():
        layer = layer_of(name)
        if layer is None:
            out[0 if "embed" in name else -1][name] = kind
        else:
            out[layer // depth][name.replace(f"layers.{layer}.", f"layers.{layer % depth}.")] = kind
    return out


def joined(parts: list[tuple[str, tuple[int, ...]]]) -> tuple[str, tuple[int, ...]]:
    """Return the tensor that parts make, one under the other."""
    dtype, shape = parts[0]
    return dtype, (sum(rows for _, (rows, *_) in parts), *shape[1:])


MEGATRON = {
    "self_attn.q_proj.weight": ("self_attention.linear_qkv.weight", 0),
    "self_attn.k_proj.weight": ("self_attention.linear_qkv.weight", 0),
    "self_attn.v_proj.weight": ("self_attention.linear_qkv.weight", 0),
    "self_attn.o_proj.weight": ("self_attention.linear_proj.weight", 1),
    "mlp.gate_proj.weight": ("mlp.linear_fc1.weight", 0),
    "mlp.up_proj.weight": ("mlp.linear_fc1.weight", 0),
    "mlp.down_proj.weight": ("mlp.linear_fc2.weight", 1),
    "input_layernorm.weight": ("self_attention.linear_qkv.layer_norm_weight", None),
    "post_attention_layernorm.weight": ("mlp.linear_fc1.layer_norm_weight", None),
    "block_sparse_moe.gate.weight": ("mlp.router.weight", None),
}
"""Reference: Megatron-core with Transformer Engine, parameter by parameter, with the dimension cut."""

MEGATRON_TOP = {
    "model.embed_tokens.weight": ("embedding.word_embeddings.weight", 0),
    "model.norm.weight": ("decoder.final_layernorm.weight", None),
    "lm_head.weight": ("output_layer.weight", 0),
}


Place = tuple[str, int | None, int | None]
"""Name, dimension that is cut, expert rank that alone has the tensor."""


def megatron(whole: Model, *, layers: int, tp: int = 1, pp: int = 1, ep: int = 1, experts: int = 0) -> Cut:
    """Cut as Megatron-LM saves in format torch: experts of each layer in a row, counted within their rank."""
    cut: Cut = {}
    own = experts // ep if experts else 0
    for stage, part in enumerate(staged(whole, layers, pp)):
        fused: dict[Place, list[tuple[str, tuple[int, ...]]]] = {}
        for name, kind in part.items():
            if name in MEGATRON_TOP:
                fused[*MEGATRON_TOP[name], None] = [kind]
                continue
            layer, _, rest = name.removeprefix("model.layers.").partition(".")
            if ".experts." in rest:
                _, _, number, leaf, _ = rest.split(".")
                into = f"mlp.experts.linear_{'fc2' if leaf == 'w2' else 'fc1'}.weight{int(number) % own}"
                key: Place = (f"decoder.layers.{layer}.{into}", 1 if leaf == "w2" else 0, int(number) // own)
            else:
                into, dim = MEGATRON[rest]
                if "block_sparse_moe" in "".join(whole) and rest == "post_attention_layernorm.weight":
                    into = "pre_mlp_layernorm.weight"
                key = (f"decoder.layers.{layer}.{into}", dim, None)
            fused.setdefault(key, []).append(kind)
        for tensor in range(tp):
            for expert in range(ep):
                folder = f"mp_rank_{tensor:02d}" + (f"_{stage:03d}" if pp > 1 else "")
                folder += f"_{expert:03d}" if ep > 1 else ""
                held = cut.setdefault(f"{folder}/model_optim_rng.safetensors", {})
                for (name, dim, where), parts in fused.items():
                    if where in {None, expert}:
                        dtype, shape = joined(parts)
                        held[name] = (dtype, sliced(shape, dim, tp))
    return cut


TRTLLM = {
    "self_attn.q_proj": ("attention.qkv", 0), "self_attn.k_proj": ("attention.qkv", 0),
    "self_attn.v_proj": ("attention.qkv", 0), "self_attn.o_proj": ("attention.dense", 1),
    "mlp.gate_proj": ("mlp.fc", 0), "mlp.up_proj": ("mlp.gate", 0), "mlp.down_proj": ("mlp.proj", 1),
    "input_layernorm": ("input_layernorm", None), "post_attention_layernorm": ("post_layernorm", None),
    "block_sparse_moe.gate": ("mlp.router", None),
}  # fmt: skip


def trtllm(whole: Model, *, layers: int, tp: int = 1, pp: int = 1, moe_ep: int = 1, experts: int = 0) -> Cut:
    """Cut as TensorRT-LLM's converters do: experts stacked, cut by expert and then by width."""
    cut: Cut = {}
    moe_tp = tp // moe_ep
    for stage, part in enumerate(staged(whole, layers, pp)):
        ranks: list[Model] = [{} for _ in range(tp)]
        for held in ranks:
            stacks: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
            for name, kind in part.items():
                layer, _, rest = name.removeprefix("model.layers.").removesuffix(".weight").partition(".")
                if name == "model.embed_tokens.weight":
                    held["transformer.vocab_embedding.weight"] = kind
                elif name == "lm_head.weight":
                    held["lm_head.weight"] = (kind[0], sliced(kind[1], 0, tp))
                elif ".experts." in rest:
                    into = "proj" if rest.endswith("w2") else "fc"
                    stacks.setdefault(f"transformer.layers.{layer}.mlp.{into}.weight", []).append(kind)
                elif name != "model.norm.weight":
                    into, dim = TRTLLM[rest]
                    into = f"transformer.layers.{layer}.{into}.weight"
                    piece = (kind[0], sliced(kind[1], dim, tp))
                    held[into] = joined([held[into], piece]) if into in held else piece
            held["transformer.ln_f.weight"] = whole["model.norm.weight"]
            for into, kinds in stacks.items():
                dtype, (rows, wide) = kinds[0]
                rows *= len(kinds) // experts
                dim = 1 if "proj" in into else 0
                held[into] = (dtype, (experts // moe_ep, *sliced((rows, wide), dim, moe_tp)))
        cut |= {f"rank{stage * tp + at}.safetensors": held for at, held in enumerate(ranks)}
    return cut


META = {
    "self_attn.q_proj": ("attention.wq", 0), "self_attn.k_proj": ("attention.wk", 0),
    "self_attn.v_proj": ("attention.wv", 0), "self_attn.o_proj": ("attention.wo", 1),
    "mlp.gate_proj": ("feed_forward.w1", 0), "mlp.up_proj": ("feed_forward.w3", 0),
    "mlp.down_proj": ("feed_forward.w2", 1), "input_layernorm": ("attention_norm", None),
    "post_attention_layernorm": ("ffn_norm", None),
}  # fmt: skip
META_TOP = {
    "model.embed_tokens": ("tok_embeddings", 1), "model.norm": ("norm", None), "lm_head": ("output", 0),
}  # fmt: skip


def meta(whole: Model, ways: int) -> Cut:
    """Cut as Meta published LLaMA 2: the embedding by columns, the head by rows."""
    cut: Cut = {f"consolidated.{rank:02d}.pth": {} for rank in range(ways)}
    for name, (dtype, shape) in whole.items():
        short = name.removesuffix(".weight")
        layer = layer_of(name)
        into, dim = META_TOP[short] if layer is None else META[short.split(".", 3)[3]]
        into = into if layer is None else f"layers.{layer}.{into}"
        for held in cut.values():
            held[f"{into}.weight"] = (dtype, sliced(shape, dim, ways))
    for held in cut.values():
        held["rope.freqs"] = ("F32", (3,))
    return cut


def with_arguments(kinds: list[tuple[str, str, tuple[int, ...]]], arguments: dict[str, Any]) -> bytes:
    """Write a torch file of tensors and, as Megatron-LM does, the arguments of the training."""
    said = {key: _value(value) for key, value in arguments.items()}
    made = torch_toy.named("argparse", "Namespace") + b")\x81" + torch_toy.table(said) + b"b"
    return torch_toy.file(kinds, more={"args": made})


def _value(value: object) -> bytes:
    match value:
        case bool():
            return b"\x88" if value else b"\x89"
        case int():
            return torch_toy.number(value)
    return torch_toy.text(str(value))
