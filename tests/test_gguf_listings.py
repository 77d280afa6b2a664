"""Listings of real GGUF files, with the keys of their models: whole they are silent, each damage is found.

Names, shapes and types: transcribed listings beside the project. Keys: headers that loaders printed
(`gguf-headers-ik`), or the published config.json of the model, as llama.cpp's converter writes it.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from weightlint import schema as schemas
from weightlint.checkpoint import Checkpoint
from weightlint.finding import Level
from weightlint.ggml import BY_NAME, IK_ONLY
from weightlint.index import Header, Index, Kind
from weightlint.metadata import Value
from weightlint.names import fold
from weightlint.opening import open_case
from weightlint.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weightlint.finding import Finding

INDEXES = Path(__file__).parents[1].parent / "shared" / "data" / "indexes"
pytestmark = pytest.mark.skipif(not INDEXES.is_dir(), reason="the listings are not beside the project")

Rows = dict[str, Kind]

COMMON = {"context_length": 131072, "attention.layer_norm_rms_epsilon": 1e-6, "rope.freq_base": 1e6}
MOE = {"expert_used_count": 8}
ROUTED = {**MOE, "expert_weights_scale": 2.5, "expert_weights_norm": True, "expert_gating_func": 2}

# config.json of zai-org/GLM-4.5 and GLM-4.5-Air; block_count counts the draft layer
GLM = {
    **COMMON,
    **ROUTED,
    "block_count": 93,
    "nextn_predict_layers": 1,
    "embedding_length": 5120,
    "feed_forward_length": 12288,
    "attention.head_count": 96,
    "attention.head_count_kv": 8,
    "attention.key_length": 128,
    "attention.value_length": 128,
    "rope.dimension_count": 64,
    "leading_dense_block_count": 3,
    "expert_count": 160,
    "expert_shared_count": 1,
    "expert_feed_forward_length": 1536,
}
AIR = {
    **GLM,
    "block_count": 47,
    "embedding_length": 4096,
    "feed_forward_length": 10944,
    "leading_dense_block_count": 1,
    "expert_count": 128,
    "expert_feed_forward_length": 1408,
}
# config.json of moonshotai/Kimi-K2-Instruct, split form: convert_hf_to_gguf.py, DeepseekV2Model
MLA = {**COMMON, **ROUTED, "attention.head_count_kv": 1, "attention.kv_lora_rank": 512}
MLA |= {"attention.key_length": 576, "attention.value_length": 512, "rope.dimension_count": 64}
KIMI = {
    **MLA,
    "block_count": 61,
    "embedding_length": 7168,
    "feed_forward_length": 18432,
    "attention.head_count": 64,
    "attention.q_lora_rank": 1536,
    "attention.key_length_mla": 192,
    "attention.value_length_mla": 128,
    "leading_dense_block_count": 1,
    "expert_count": 384,
    "expert_shared_count": 1,
    "expert_feed_forward_length": 2048,
}
# config.json of zai-org/GLM-4.7-Flash: 47 layers, its MTP layer left out
FLASH = {
    **MLA,
    "block_count": 47,
    "embedding_length": 2048,
    "feed_forward_length": 10240,
    "attention.head_count": 20,
    "attention.q_lora_rank": 768,
    "attention.key_length_mla": 256,
    "attention.value_length_mla": 256,
    "leading_dense_block_count": 1,
    "expert_count": 64,
    "expert_shared_count": 1,
    "expert_feed_forward_length": 1536,
}
# config.json of zai-org/GLM-5.1
GLM5 = {
    **MLA,
    "block_count": 79,
    "nextn_predict_layers": 1,
    "embedding_length": 6144,
    "feed_forward_length": 12288,
    "attention.head_count": 64,
    "attention.q_lora_rank": 2048,
    "attention.key_length_mla": 256,
    "attention.value_length_mla": 256,
    "attention.indexer.head_count": 32,
    "attention.indexer.key_length": 128,
    "attention.indexer.top_k": 2048,
    "leading_dense_block_count": 3,
    "expert_count": 256,
    "expert_shared_count": 1,
    "expert_feed_forward_length": 2048,
}
# config.json of Qwen/Qwen3-4B-Instruct-2507 and Qwen/Qwen3-VL-235B-A22B-Instruct
QWEN3 = {
    **COMMON,
    "block_count": 36,
    "embedding_length": 2560,
    "feed_forward_length": 9728,
    "attention.head_count": 32,
    "attention.head_count_kv": 8,
    "attention.key_length": 128,
    "attention.value_length": 128,
}
QWEN3VL = {
    **QWEN3,
    **MOE,
    "block_count": 94,
    "embedding_length": 4096,
    "feed_forward_length": 12288,
    "attention.head_count": 64,
    "attention.head_count_kv": 4,
    "expert_count": 128,
    "expert_feed_forward_length": 1536,
    "rope.dimension_sections": [24, 20, 20, 0],
}
# config.json of Qwen/Qwen3.5-4B and Qwen/Qwen3.5-35B-A3B (text_config)
QWEN35 = {
    **COMMON,
    "block_count": 32,
    "embedding_length": 2560,
    "feed_forward_length": 9216,
    "attention.head_count": 16,
    "attention.head_count_kv": 4,
    "attention.key_length": 256,
    "attention.value_length": 256,
    "rope.dimension_count": 64,
    "rope.dimension_sections": [11, 11, 10, 0],
    "ssm.conv_kernel": 4,
    "ssm.inner_size": 4096,
    "ssm.state_size": 128,
    "ssm.time_step_rank": 32,
    "ssm.group_count": 16,
    "full_attention_interval": 4,
}
QWEN35MOE = {
    **QWEN35,
    **MOE,
    "block_count": 40,
    "embedding_length": 2048,
    "attention.head_count_kv": 2,
    "expert_count": 256,
    "expert_feed_forward_length": 512,
    "expert_shared_feed_forward_length": 512,
}
# config.json of google/gemma-4-31B-it: five local layers, then a global one without values
GLOBAL = [layer % 6 == 5 for layer in range(60)]
GEMMA4 = {
    **COMMON,
    "block_count": 60,
    "embedding_length": 5376,
    "feed_forward_length": 21504,
    "attention.head_count": 32,
    "attention.head_count_kv": [4 if each else 16 for each in GLOBAL],
    "attention.key_length": 512,
    "attention.value_length": 512,
    "attention.key_length_swa": 256,
    "attention.value_length_swa": 256,
    "attention.sliding_window": 1024,
    "attention.sliding_window_pattern": [not each for each in GLOBAL],
    "embedding_length_per_layer_input": 0,
}
# slug: architecture, keys (or the number of tensors under which the header lists them), vocabulary, tensors
MODELS: dict[str, tuple[str, Mapping[str, Any] | int, int, int]] = {
    "gguf-ik-deepseek-r1-q4_k_m-1025": ("deepseek2", 1025, 129280, 1025),
    "gguf-ik-deepseek-v3-0324-q8_0-1025": ("deepseek2", 1025, 129280, 1025),
    "gguf-ik-deepseek-r1-f16-1147": ("deepseek2", 1147, 129280, 1147),
    "gguf-ik-deepseek-v2-lite-431": ("deepseek2", 431, 102400, 431),
    "gguf-kimi-k2.5": ("deepseek2", KIMI, 163840, 1096),
    "gguf-glm-4.7-flash": ("deepseek2", FLASH, 154880, 844),
    "gguf-glm-4.5": ("glm4moe", GLM, 151552, 1761),
    "gguf-glm-4.6": ("glm4moe", GLM, 151552, 1759),
    "gguf-glm-4.7": ("glm4moe", GLM, 151552, 1761),
    "gguf-glm-4.5-air": ("glm4moe", AIR, 151552, 803),
    "gguf-glm-5.1": ("glm-dsa", GLM5, 154880, 1809),
    "gguf-qwen3-4b-instruct-2507": ("qwen3", QWEN3, 151936, 398),
    "gguf-qwen3-4b-thinking-2507": ("qwen3", QWEN3, 151936, 398),
    "gguf-qwen3-vl-235b-a22b-instruct": ("qwen3vlmoe", QWEN3VL, 151936, 1131),
    "gguf-qwen3.5-4b": ("qwen35", QWEN35, 248320, 426),
    "gguf-qwen3.5-35b-a3b": ("qwen35moe", QWEN35MOE, 248320, 733),
    "gguf-qwen3.6-35b-a3b": ("qwen35moe", QWEN35MOE, 248320, 733),
    "gguf-gemma-4-31b-it": ("gemma4", GEMMA4, 262144, 833),
}
READ_BY_IK_ONLY = {"gguf-ik-deepseek-r1-f16-1147", "gguf-ik-deepseek-v2-lite-431"}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemas, "load", cache(schemas.load))


@cache
def headers() -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads((INDEXES / "gguf-headers-ik" / "headers.json").read_text())
    return [header for header in listed if header["kv"]]


@cache
def listed(slug: str) -> Rows:
    """Return kinds by name, with a type of llama.cpp in place of ik_llama.cpp's; shapes are ggml's."""
    folder = INDEXES / slug
    if (folder / "tensors.json").is_file():
        entries = json.loads((folder / "tensors.json").read_text())
        return {it["name"]: kind(it["type"], it["shape"]) for it in entries}
    rows = {}
    for line in next(folder.glob("*.map")).read_text().splitlines():
        found = re.search(r":([^:]+):shape=\(([^)]*)\):dtype=([^:]+):", line)
        if found:
            rows[found[1]] = kind(found[3], [int(size) for size in re.findall(r"\d+", found[2])])
    return rows


def kind(type_: str, ne: list[int]) -> Kind:
    while len(ne) > 1 and ne[-1] == 1:
        ne = ne[:-1]
    by_lower = {name.lower(): name for name in BY_NAME}
    name = by_lower[type_.lower()]
    return Kind("Q6_K" if name in IK_ONLY else name, tuple(reversed(ne)))


def keys_of(slug: str) -> tuple[str, dict[str, Any]]:
    arch, given, _, _ = MODELS[slug]
    if not isinstance(given, int):
        return arch, dict(given)
    header = next(it for it in headers() if (it["arch"], it["n_header"]) == (arch, given))
    return arch, printed(arch, header)


def printed(arch: str, header: dict[str, Any]) -> dict[str, Any]:
    """Read the keys as a loader printed them, as texts; some ran in a locale with commas."""
    fields = schemas.load(f"gguf/{arch}").fields
    out: dict[str, Any] = {}
    for key, text in header["kv"].items():
        name = key.removeprefix(f"{arch}.")
        if name in fields and key != name:
            match fields[name].type:
                case "int":
                    out[name] = int(text)
                case "float":
                    out[name] = float(text.replace(",", "."))
                case "bool":
                    out[name] = text == "true"
                case _:
                    out[name] = text
    return out


def stored(arch: str, keys: Mapping[str, Any], vocabulary: int) -> dict[str, Value]:
    """Give keys the types that llama.cpp reads, and a tokenizer of the right length."""
    fields = schemas.load(f"gguf/{arch}").fields
    out = {
        "general.architecture": Value("str", arch),
        "tokenizer.ggml.model": Value("str", "gpt2"),
        "tokenizer.ggml.tokens": Value("arr", None, "str", vocabulary),
        "tokenizer.ggml.merges": Value("arr", None, "str", vocabulary),
    }
    for name, value in keys.items():
        type_ = fields[name].stored or ""
        if isinstance(value, list):
            of = "bool" if isinstance(value[0], bool) else type_.removeprefix("arr[").split("|")[0]
            out[f"{arch}.{name}"] = Value("arr", value, of, len(value))
        else:
            out[f"{arch}.{name}"] = Value(type_, value)
    return out


def said(arch: str, keys: Mapping[str, Any], rows: Rows, vocabulary: int) -> list[Finding]:
    index = Index()
    same = {it: it for it in rows.values()}
    none = [0] * len(rows)
    index.add("m.gguf", Header([*rows], [same[it] for it in rows.values()], none, none))
    checkpoint = Checkpoint(target="m.gguf", index=index, format="gguf", keys=stored(arch, keys, vocabulary))
    return judge([open_case(checkpoint, arch=None, config=None)])[0]


def loud(slug: str, rows: Rows, **changes: Any) -> list[Finding]:
    arch, keys = keys_of(slug)
    found = said(arch, {**keys, **changes}, rows, MODELS[slug][2])
    assert "WL000" not in {finding.code for finding in found}
    return [finding for finding in found if finding.level > Level.INFO]


@pytest.mark.parametrize("slug", MODELS)
def test_whole_models_are_silent(slug: str) -> None:
    arch, keys = keys_of(slug)
    rows = listed(slug)
    assert len(rows) == MODELS[slug][3]
    found = [(it.code, it.level, it.message) for it in said(arch, keys, rows, MODELS[slug][2])]
    quiet = [it for it in found if it[1] is Level.INFO and slug in READ_BY_IK_ONLY]
    assert [it for it in found if it not in quiet] == []


@pytest.mark.parametrize(
    "header",
    [it for it in headers() if f"gguf/{it['arch']}" in schemas.names("gguf") and it["n_header"]]
    if INDEXES.is_dir()
    else [],
    ids=lambda it: f"{it['arch']}-{it['n_header']}",
)
def test_printed_headers_have_sound_keys_and_as_many_tensors(header: dict[str, Any]) -> None:
    from weightlint.expansion import expand
    from weightlint.key_faults import key_faults
    from weightlint.keys import read

    arch = header["arch"]
    keys = printed(arch, header)
    if not {"block_count", "context_length", "embedding_length"} <= {*keys}:
        pytest.skip("the header is cut off")
    if any(isinstance(it, str) and "..." in it for it in keys.values()):
        pytest.skip("an array is cut off")
    values = stored(arch, keys, 1000)
    config = read(values, "m.gguf")
    schema = schemas.load(f"gguf/{arch}")
    assert [(fault.key, fault.what) for fault in key_faults(schema, config, ())] == []
    expected = expand(schema, config)
    optional = sum(slot.count for slot in expected.slots if slot.need != "required" and slot.kind != "scale")
    flat = sum(
        slot.count
        for layout in expected.layouts
        for slot in layout.slots
        if layout.name == "ik_llama" and slot.kind != "scale"
    )
    assert expected.count <= header["n_header"] <= expected.count + optional + flat


def families(slug: str) -> dict[str, str]:
    """Return one name of each family: the last, as the first of a layer is often the dense one."""
    return {fold(name)[0]: name for name in listed(slug)}


def is_optional(slug: str, name: str) -> bool:
    """Tell whether the model is as good without it: llama.cpp takes another tensor in its place."""
    aliases = ("embed_tokens.weight", "shared_head_head.weight", "shared_head_norm.weight", "eh_proj.weight")
    return (
        name == "output.weight"
        or name.endswith(aliases)
        or (slug in READ_BY_IK_ONLY and name.endswith("_b.weight") and "_q_" not in name)
    )


SEVERAL = (
    "gguf-ik-deepseek-r1-q4_k_m-1025",
    "gguf-kimi-k2.5",
    "gguf-glm-4.5-air",
    "gguf-glm-5.1",
    "gguf-qwen3-4b-instruct-2507",
    "gguf-qwen3.5-35b-a3b",
    "gguf-gemma-4-31b-it",
)


@pytest.mark.parametrize("slug", SEVERAL)
def test_each_family_is_missed(slug: str) -> None:
    for name in families(slug).values():
        rows = {other: it for other, it in listed(slug).items() if other != name}
        found = loud(slug, rows)
        if is_optional(slug, name):
            assert found == [], name
        else:
            assert len(found) == 1, (name, [it.message for it in found])
            assert name in found[0].place.tensors


@pytest.mark.parametrize("slug", SEVERAL)
def test_each_family_is_missed_under_another_name(slug: str) -> None:
    for name in families(slug).values():
        rows = {(f"{other}x" if other == name else other): it for other, it in listed(slug).items()}
        found = loud(slug, rows)
        assert len(found) == 1, (name, [it.message for it in found])
        assert found[0].code == "WL203", name


@pytest.mark.parametrize("slug", SEVERAL)
def test_each_family_is_measured(slug: str) -> None:
    for name in families(slug).values():
        rows = dict(listed(slug))
        shape = rows[name].shape
        assert shape is not None
        rows[name] = replace_shape(rows[name], (*shape[:-1], shape[-1] + 32))
        found = loud(slug, rows)
        assert len(found) == 1, (name, [it.message for it in found])
        assert name in found[0].place.tensors


def replace_shape(kind: Kind, shape: tuple[int, ...]) -> Kind:
    return kind._replace(shape=shape)


@pytest.mark.parametrize(
    ("slug", "key", "value"),
    [
        ("gguf-ik-deepseek-r1-q4_k_m-1025", "block_count", 62),
        ("gguf-ik-deepseek-r1-q4_k_m-1025", "block_count", 60),
        ("gguf-ik-deepseek-r1-q4_k_m-1025", "expert_count", 257),
        ("gguf-ik-deepseek-r1-q4_k_m-1025", "expert_count", 255),
        ("gguf-ik-deepseek-r1-q4_k_m-1025", "leading_dense_block_count", 2),
        ("gguf-ik-deepseek-r1-q4_k_m-1025", "leading_dense_block_count", 4),
        ("gguf-ik-deepseek-r1-q4_k_m-1025", "attention.head_count_kv", 1),
        ("gguf-ik-deepseek-r1-q4_k_m-1025", "expert_gating_func", 1),
        ("gguf-ik-deepseek-r1-q4_k_m-1025", "attention.q_lora_rank", 0),
        ("gguf-ik-deepseek-r1-q4_k_m-1025", "attention.kv_lora_rank", 256),
        ("gguf-ik-deepseek-r1-q4_k_m-1025", "feed_forward_length", 9216),
        ("gguf-kimi-k2.5", "attention.key_length_mla", 0),
        ("gguf-kimi-k2.5", "attention.value_length_mla", 0),
        ("gguf-kimi-k2.5", "attention.head_count_kv", 64),
        ("gguf-kimi-k2.5", "attention.key_length", 192),
        ("gguf-kimi-k2.5", "attention.head_count", 128),
        ("gguf-kimi-k2.5", "nextn_predict_layers", 1),
        ("gguf-glm-4.5-air", "nextn_predict_layers", 0),
        ("gguf-glm-4.5-air", "block_count", 48),
        ("gguf-glm-4.5-air", "expert_count", 127),
        ("gguf-glm-4.5-air", "expert_gating_func", 1),
        ("gguf-glm-4.5-air", "rope.dimension_count", 128),
        ("gguf-qwen3-4b-instruct-2507", "attention.head_count", 16),
        ("gguf-qwen3-4b-instruct-2507", "attention.key_length", 64),
        ("gguf-qwen3.5-35b-a3b", "full_attention_interval", 3),
        ("gguf-qwen3.5-35b-a3b", "ssm.group_count", 8),
    ],
)
def test_one_wrong_key_is_one_finding(slug: str, key: str, value: int) -> None:
    found = loud(slug, listed(slug), **{key: value})
    assert len(found) == 1, [(it.code, it.message) for it in found]
    assert f"{MODELS[slug][0]}.{key} " in found[0].message


def test_types_of_ik_llama_are_for_the_reader_to_tell() -> None:
    rows = dict(listed("gguf-kimi-k2.5"))
    rows["token_embd.weight"] = Kind("IQ5_K", rows["token_embd.weight"].shape)
    assert loud("gguf-kimi-k2.5", rows) == []
    rows["output_norm.weight"] = Kind("Q6_0", rows["output_norm.weight"].shape)
    assert [(it.code, it.place.tensors) for it in loud("gguf-kimi-k2.5", rows)] == [
        ("WL405", ("output_norm.weight",))
    ]
