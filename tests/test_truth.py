"""Schemas against names and shapes that transformers' own model classes gave, 4.57 and 5.23."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from weightlint import schema as schemas
from weightlint.config import Config
from weightlint.expansion import expand
from weightlint.expected import Expected, Presence
from weightlint.index import Header, Index, Kind
from weightlint.join import join
from weightlint.shrink import shrink

DATA = Path(__file__).parents[1].parent / "shared" / "data"
TRUTH = sorted((*DATA.glob("hf4/*.json"), *DATA.glob("hf5/*.json")))
Names = dict[str, tuple[int, ...]]

dumped = pytest.mark.skipif(not TRUTH, reason="no dumps of transformers' classes beside the project")


def load(file: Path) -> tuple[dict[str, Any], Config]:
    dump = json.loads(file.read_text())
    # transformers builds no MTP layers, whatever the config announces
    return dump, Config({**dump["config"], "num_nextn_predict_layers": 0})


def shapes(entries: dict[str, list[Any]]) -> Names:
    return {name: tuple(entry[0]) for name, entry in entries.items()}


def stored(dump: dict[str, Any]) -> Names:
    """Names as saved: those of 5.x run through its conversions backwards, of 4.x as they are."""
    return shapes(dump.get("checkpoint") or {**dump["params"], **dump["buffers"]})


def required(expected: Expected) -> Names:
    slots = (slot for slot in expected.slots if slot.need is Presence.REQUIRED)
    return {name: slot.shape for slot in slots for name in slot.names()}


@dumped
@pytest.mark.parametrize("file", TRUTH, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_expansion_equals_the_model_class(file: Path) -> None:
    dump, config = load(file)
    schema = schemas.load(dump["model_type"])
    assert required(expand(schema, config)) == stored(dump)


def differs(dump: dict[str, Any]) -> bool:
    return "checkpoint" in dump and set(dump["checkpoint"]) != {*dump["params"], *dump["buffers"]}


FUSED = [file for file in TRUTH if file.parent.name == "hf5" and differs(json.loads(file.read_text()))]


@dumped
@pytest.mark.parametrize("file", FUSED, ids=lambda file: file.stem)
def test_fused_names_of_transformers_5_are_as_good(file: Path) -> None:
    dump, config = load(file)
    held = shapes({**dump["params"], **dump["buffers"]})
    index = Index()
    index.add(
        "a", Header([*held], [Kind(None, shape) for shape in held.values()], [0] * len(held), [0] * len(held))
    )
    joined = join(index, expand(schemas.load(dump["model_type"]), config))
    assert (joined.unmet, joined.extra, joined.misfits) == (0, {}, {})
    assert sum(map(len, joined.matched.values())) == len(held)


# switches and counts that change which tensors there are
CHOICES: dict[str, list[Any]] = {
    "attention_bias": [True, False],
    "mlp_bias": [True, False],
    "qkv_bias": [True, False],
    "use_qk_norm": [True, False],
    "tie_word_embeddings": [True, False],
    "q_lora_rank": [None, 20],
    "num_key_value_heads": [1, 2, 4],
    "head_dim": [8, 24],
    "mlp_only_layers": [[], [0], [1, 2]],
    "decoder_sparse_step": [1, 2, 3],
    "full_attention_interval": [1, 2, 3],
    "linear_num_value_heads": [2, 4],
    "linear_conv_kernel_dim": [2, 3],
    "first_k_dense_replace": [0, 1, 3],
    "n_shared_experts": [1, 3],
    "num_hash_layers": [0, 1, 5],
    "compress_ratios": [[0, 4, 128, 4, 4], [128, 128, 4, 0, 4], [4, 4, 4, 4, 4]],
    "index_topk_freq": [1, 2, 3],
    "hc_mult": [2, 3],
    "num_hidden_layers": [3, 4, 5],
    "vocab_size": [100, 257],
    "vision_config.depth": [1, 2],
    "vision_config.spatial_merge_size": [1, 2],
    "vision_config.in_channels": [1, 3],
}
# what a class demands, or reads in another way than the files do
FIXED = {
    # the indexer reads the compressed queries, and null is a fault of the config
    "deepseek_v32": {"q_lora_rank"},
    "glm_moe_dsa": {"q_lora_rank", "mlp_bias"},
    "deepseek_v4": {"q_lora_rank", "num_key_value_heads", "n_shared_experts"},
    "glm4_moe_lite": {"first_k_dense_replace"},
    "kimi_linear": {"num_hidden_layers"},
}
# transformers builds no layers for drafts
NO_DRAFTS = {"num_nextn_predict_layers": 0, "mtp_num_hidden_layers": 0}
SMALL = {
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 6,
    "linear_value_head_dim": 10,
    "o_groups": 2,
    "o_lora_rank": 12,
}
TOWER = {"hidden_size": 16, "num_heads": 2, "intermediate_size": 20, "patch_size": 2, "out_hidden_size": 64,
         "num_position_embeddings": 9}  # fmt: skip
# modules whose names transformers changes at load, as it has them in memory. Source: conversion_mapping.py, read backwards.
IN_MEMORY: dict[str, list[tuple[str, str]]] = {
    "deepseek_v4": [
        (r"^model\.", ""), (r"^lm_head\.", "head."), (r"^embed_tokens\.", "embed."), (r"^hc_head\.hc_", "hc_head_"),
        (r"\.input_layernorm\.", ".attn_norm."), (r"\.post_attention_layernorm\.", ".ffn_norm."),
        (r"\.(attn|ffn)_hc\.", r".hc_\1_"), (r"\.self_attn\.", ".attn."), (r"\.mlp\.", ".ffn."), (r"\.sinks$", ".attn_sink"),
        (r"\.compressor\.indexer\.scorer\.", ".indexer."), (r"\.compressor\.indexer\.q_b_proj\.", ".indexer.wq_b."),
        (r"\.compressor\.indexer\.", ".indexer.compressor."), (r"\.position_bias$", ".ape"), (r"\.compressor\.kv_norm\.", ".compressor.norm."),
        (r"\.q_a_proj\.", ".wq_a."), (r"\.q_b_proj\.", ".wq_b."), (r"\.q_a_norm\.", ".q_norm."), (r"\.o_(a|b)_proj\.", r".wo_\1."),
        (r"\.attn(.*)\.kv_proj\.", r".attn\1.wkv."), (r"\.compressor\.gate_proj\.", ".compressor.wgate."),
        (r"\.e_score_correction_bias$", ".bias"), (r"\.shared_experts\.gate_proj\.", ".shared_experts.w1."),
        (r"\.shared_experts\.down_proj\.", ".shared_experts.w2."), (r"\.shared_experts\.up_proj\.", ".shared_experts.w3."),
    ],
    "kimi_linear": [(r"\.forget_gate\.", "."), (r"\.mlp\.(experts|gate|shared_experts)\.", r".block_sparse_moe.\1.")],
}  # fmt: skip


def drawn(arch: str, base: dict[str, Any], source: random.Random) -> dict[str, Any]:
    """Return a small config with switches drawn at random, the fields of a nested config in their place."""
    out: dict[str, Any] = json.loads(json.dumps(base))
    schema = schemas.load(arch)
    for name in sorted({*schema.fields} - FIXED.get(arch, set()) & {*CHOICES}):
        if name in CHOICES:
            *holders, last = name.split(".")
            table = out
            for holder in holders or (
                [schema.scope] if schema.scope and name != "tie_word_embeddings" else []
            ):
                table = table[holder]
            table[last] = source.choice(CHOICES[name])
    return out


def small_base(arch: str) -> dict[str, Any]:
    base = shrink(json.loads((schemas.folder() / "configs" / f"{arch}.json").read_text()))
    for table in (base, base.get("text_config", {})):
        table |= {key: value for key, value in (NO_DRAFTS | SMALL).items() if key in table}
        if "num_hidden_layers" in table and "linear_attn_config" not in table:
            table["num_hidden_layers"] = 3
        for listed in ("layer_types", "mlp_layer_types"):
            table.pop(listed, None)
    if "vision_config" in base:
        base["vision_config"] |= TOWER
    return base | {"num_nextn_predict_layers": 0, "quantization_config": None, "pad_token_id": 0}


def as_stored(arch: str, name: str) -> str:
    for pattern, text in IN_MEMORY.get(arch, []):
        name = re.sub(pattern, text, name)
    return name


def split(held: Names) -> Names:
    """Undo the stacking of experts and convolutions where a schema has no layout for it: w1 above w3."""
    out: Names = {}
    for name, shape in held.items():
        if name.endswith("experts.gate_up_proj"):
            for at in range(shape[0]):
                for one in ("w1", "w3"):
                    out[name.replace("gate_up_proj", f"{at}.{one}.weight")] = (shape[1] // 2, shape[2])
        elif name.endswith("experts.down_proj"):
            out |= {name.replace("down_proj", f"{at}.w2.weight"): shape[1:] for at in range(shape[0])}
        elif name.endswith("self_attn.conv1d.weight"):
            parts = (name.replace("conv1d", f"{one}_conv1d") for one in "qkv")
            out |= dict.fromkeys(parts, (shape[0] // 3, *shape[1:]))
        else:
            out[name] = shape
    return out


# transformers imports every quantisation library that it finds, and torch warns of what some of them do
@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("arch", schemas.names())
def test_random_small_models_of_transformers_fit(arch: str) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    schema = schemas.load(arch)
    kind = getattr(transformers, schema.architectures[0], None)
    if kind is None:
        pytest.skip(f"transformers {transformers.__version__} has no {arch}")
    base = small_base(arch)
    source = random.Random(arch)
    for _ in range(20):
        config = drawn(arch, base, source)
        given = {k: v for k, v in config.items() if v is not None or k in CHOICES}
        with torch.device("meta"):
            model = kind(kind.config_class(**json.loads(json.dumps(given))))
        tied = {"lm_head.weight", "embed_out.weight"} if config.get("tie_word_embeddings") else set()
        held = {
            as_stored(arch, name): tuple(value.shape)
            for name, value in model.state_dict().items()
            if name not in tied
        }
        held = split(held) if arch in IN_MEMORY else held
        index = Index()
        index.add(
            "a", Header([*held], [Kind(None, it) for it in held.values()], [0] * len(held), [0] * len(held))
        )
        joined = join(index, expand(schema, Config(config)))
        assert (joined.unmet, joined.extra, joined.misfits) == (0, {}, {}), config
