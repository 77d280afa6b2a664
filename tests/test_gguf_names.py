"""GGUF names and shapes against llama.cpp itself, real files and the gguf package's tables."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from toy import expected_of

from weightlint import schema
from weightlint.api import DIALECTS
from weightlint.config import Config
from weightlint.expansion import expand
from weightlint.expected import Expected, Presence

GGUF = DIALECTS["gguf"]
ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
CLEAN = DATA / "llama" / "clean_0336.json"
Shapes = dict[str, tuple[int, ...]]

beside = pytest.mark.skipif(not CLEAN.is_file(), reason="no recorded GGUF files beside the project")

KINDS = {
    "deepseek_v2": "deepseek2",
    "deepseek_v3": "deepseek2",
    "llama": "llama",
    "mixtral": "llama",
    "qwen2_moe": "qwen2moe",
    "qwen3_moe": "qwen3moe",
    "gpt_neox": "gptneox",
}


def published(arch: str, **changes: Any) -> Expected:
    text = (ROOT / "schemas" / "configs" / f"{arch}.json").read_text()
    return expand(schema.load(arch), Config({**json.loads(text), **changes}))


def required(expected: Expected, *, mtp: bool = False) -> Shapes:
    slots = [*expected.slots, *(slot for it in expected.layouts if mtp for slot in it.slots)]
    return {n: s.shape for s in slots if s.need is not Presence.TIED for n in s.names()}


def row_major(ne: list[int]) -> tuple[int, ...]:
    """Turn ggml's dimensions round and leave out the ones it pads with."""
    while len(ne) > 1 and ne[-1] == 1:
        ne = ne[:-1]
    return tuple(reversed(ne))


# ../shared/reference/formats.md 2.7, real-indexes.md 5.3: counts in the loader headers of real files
COUNTS = [
    ("deepseek_v3", {}, "whole", 1025),
    ("deepseek_v3", {}, "split", 1086),
    ("deepseek_v3", {}, "both", 1147),
    ("deepseek_v3", {"n_routed_experts": 384, "first_k_dense_replace": 1}, "split", 1096),
    ("deepseek_v3", {"n_routed_experts": 384, "first_k_dense_replace": 1}, "both", 1157),
    ("deepseek_v2", {"num_hidden_layers": 60, "q_lora_rank": 1536}, "whole", 959),
    ("deepseek_v2", {"num_hidden_layers": 60, "q_lora_rank": 1536}, "split", 1019),
    ("deepseek_v2", {"num_hidden_layers": 27, "q_lora_rank": None}, "whole", 377),
    ("deepseek_v2", {"num_hidden_layers": 27, "q_lora_rank": None}, "split", 404),
    ("deepseek_v2", {"num_hidden_layers": 27, "q_lora_rank": None}, "both", 431),
    ("deepseek_v32", {}, "split", 1391),
    ("llama", {}, "split", 291),
    ("mixtral", {}, "split", 323),
    ("qwen3_moe", {"num_hidden_layers": 94}, "split", 1131),
    ("qwen3_moe", {"num_hidden_layers": 48}, "split", 579),
]


@pytest.mark.parametrize(("arch", "changes", "way", "count"), COUNTS)
def test_the_number_of_tensors(arch: str, changes: dict[str, Any], way: str, count: int) -> None:
    assert len(required(GGUF.rewrite(published(arch, **changes), GGUF.chosen([way])))) == count


def test_with_its_mtp_layer_deepseek_v32_has_1420() -> None:
    # ../shared/reference/dialects.md section 2
    assert len(required(GGUF.rewrite(published("deepseek_v32")), mtp=True)) == 1420


def listing(name: str) -> Shapes:
    rows = json.loads((DATA / "indexes" / name / "tensors.json").read_text())
    return {row["name"]: row_major(row["shape"]) for row in rows}


@beside
@pytest.mark.parametrize(
    ("name", "arch", "way"),
    [
        ("gguf-ik-deepseek-r1-f16-1147", "deepseek_v3", "both"),
        ("gguf-ik-deepseek-r1-q4_k_m-1025", "deepseek_v3", "whole"),
        ("gguf-ik-deepseek-v3-0324-q8_0-1025", "deepseek_v3", "whole"),
        ("gguf-ik-deepseek-v2-lite-431", "deepseek_v2", "both"),
    ],
)
def test_names_and_shapes_of_real_files(name: str, arch: str, way: str) -> None:
    assert required(GGUF.rewrite(published(arch), GGUF.chosen([way]))) == listing(name)


@beside
def test_kimi_has_the_halves_in_three_dimensions() -> None:
    folder = DATA / "indexes"
    text = (folder / "gguf-kimi-k2.5" / "tensors.iq4_xs.map").read_text()
    rows = re.findall(r":([\w.]+):shape=\(([\d, ]+)\)", text)
    found = {name: row_major([int(n) for n in re.findall(r"\d+", shape)]) for name, shape in rows}
    config = json.loads((folder / "kimi-k2-instruct" / "config.json").read_text())
    made = expand(schema.load("deepseek_v3"), Config({**config, "num_nextn_predict_layers": 0}))
    assert required(GGUF.rewrite(made)) == found


def config_of(keys: dict[str, Any], layout: str) -> dict[str, Any]:
    """Write the config of a toy from its keys, by hand: llama.cpp, conversion/*.py, read backwards."""

    def key(name: str, default: Any = None) -> Any:
        return next((value for full, value in keys.items() if full.partition(".")[2] == name), default)

    heads, ahead = key("attention.head_count"), key("nextn_predict_layers", 0)
    out = {
        "num_hidden_layers": key("block_count") - ahead,
        "num_nextn_predict_layers": ahead,
        "hidden_size": key("embedding_length"),
        "vocab_size": key("vocab_size", 64),
        "intermediate_size": key("feed_forward_length"),
        "moe_intermediate_size": key("expert_feed_forward_length"),
        "shared_expert_intermediate_size": key("expert_shared_feed_forward_length"),
        "num_attention_heads": heads,
        "num_key_value_heads": key("attention.head_count_kv"),
        "head_dim": key("attention.key_length"),
        "num_experts": key("expert_count"),
        "num_local_experts": key("expert_count"),
        "n_routed_experts": key("expert_count"),
        "n_shared_experts": key("expert_shared_count"),
        "first_k_dense_replace": key("leading_dense_block_count"),
        "tie_word_embeddings": layout == "tied",
    }
    if rank := key("attention.kv_lora_rank"):
        rope = key("rope.dimension_count")
        out |= {
            "kv_lora_rank": rank,
            "q_lora_rank": key("attention.q_lora_rank") or None,
            "qk_rope_head_dim": rope,
            "qk_nope_head_dim": key("attention.key_length_mla", key("attention.key_length")) - rope,
            "v_head_dim": key("attention.value_length_mla", key("attention.value_length")),
        }
    return {name: value for name, value in out.items() if value is not None or name == "q_lora_rank"}


def arch_of(name: str, keys: dict[str, Any], tensors: list[Any]) -> str | None:
    match name.split("/", maxsplit=1)[0]:
        case "llama":
            return "mixtral" if "llama.expert_count" in keys else "llama"
        case "deepseek2":
            biased = any("exp_probs_b" in tensor[0] for tensor in tensors)
            return "deepseek_v3" if biased else "deepseek_v2"
        case other:
            return {"qwen2moe": "qwen2_moe", "qwen3moe": "qwen3_moe"}.get(other)


@beside
def test_every_layout_that_llama_cpp_loads() -> None:
    seen = 0
    for name, row in json.loads(CLEAN.read_text()).items():
        keys = {key: value for key, _, value in row["kv"]}
        arch = arch_of(name, keys, row["tensors"])
        if arch is None:
            continue
        seen += 1
        found = {tensor: (row_major(ne), dtype) for tensor, ne, dtype in row["tensors"]}
        variant = GGUF.variant({tensor.replace(".1.", ".*."): {(0,): 0} for tensor in found})
        written = GGUF.rewrite(expected_of(arch, config_of(keys, name.split("/")[1])), variant)
        wanted = required(written, mtp="nextn" in name)
        extra = {tensor for tensor in found if tensor == "rope_freqs.weight"}
        assert wanted == {tensor: shape for tensor, (shape, _) in found.items() if tensor not in extra}, name
        dtypes = {n: s.dtypes for s in written.slots for n in s.names()}
        assert all(found[tensor][1] in dtypes[tensor] for tensor in dtypes if tensor in found), name
    assert seen == 17


@beside
@pytest.mark.parametrize(("arch", "kind"), KINDS.items())
def test_the_gguf_package_lists_every_name(arch: str, kind: str) -> None:
    table = json.loads((DATA / "gguf" / f"{kind}.json").read_text())
    written = GGUF.rewrite(published(arch, num_nextn_predict_layers=0))
    names = {target.pattern for recipe in written.recipes for target in recipe.targets}
    modules = {re.sub(r"\{\w+\}", "{bid}", re.sub(r"\.(weight|bias)$", "", name)) for name in names}
    assert modules <= set(table["tensors"].values())


@pytest.mark.oracle
@pytest.mark.parametrize(("arch", "kind"), KINDS.items())
def test_the_gguf_package_maps_every_name_alike(arch: str, kind: str) -> None:
    gguf = pytest.importorskip("gguf")
    which = next(number for number, name in gguf.MODEL_ARCH_NAMES.items() if name == kind)
    table = gguf.get_tensor_name_map(which, 200)
    for recipe in GGUF.rewrite(published(arch, num_nextn_predict_layers=0), GGUF.chosen(["whole"])).recipes:
        for source, target in zip(recipe.sources, recipe.targets, strict=True):
            # the conversion names a stack without the numbers, and a correction without its bias
            name = source.name(next(source.coords())).replace("experts.0.", "experts.")
            name = name.replace("e_score_correction_bias", "e_score_correction.bias")
            for letter, part in (("w1", "gate_proj"), ("w2", "down_proj"), ("w3", "up_proj")):
                name = name.replace(f"block_sparse_moe.experts.{letter}", f"mlp.experts.{part}")
            assert table.get_name(name, (".weight", ".bias")) == target.name(next(target.coords())), name
