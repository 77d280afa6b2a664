"""Configs in the names of other writers: read as the writers themselves read them."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from cutting import DEEPSEEK, LLAMA, deepseek_native, model, write
from toy import Tensor
from toy import table as table_of

from weightlint import flat_yaml, schema
from weightlint.api import check
from weightlint.config_spelling import SPELLINGS, read
from weightlint.expansion import expand

if TYPE_CHECKING:
    from pathlib import Path

MODEL_ARGS = {
    "vocab_size": 64, "dim": 32, "inter_dim": 64, "moe_inter_dim": 16, "n_layers": 3, "n_dense_layers": 1,
    "n_heads": 8, "n_routed_experts": 8, "n_shared_experts": 2, "n_activated_experts": 2,
    "score_func": "sigmoid", "q_lora_rank": 12, "kv_lora_rank": 20, "qk_nope_head_dim": 4,
    "qk_rope_head_dim": 2, "v_head_dim": 4, "dtype": "bf16",
}  # fmt: skip
"""DEEPSEEK of `cutting` as a config of DeepSeek's inference code."""

MISTRAL_7B = {
    "dim": 4096, "n_layers": 32, "head_dim": 128, "hidden_dim": 14336, "n_heads": 32, "n_kv_heads": 8,
    "norm_eps": 1e-05, "vocab_size": 32768, "rope_theta": 1000000.0,
}  # fmt: skip
"""params.json of Mistral-7B-v0.3."""

LLAMA_3_8B = {
    "dim": 4096, "n_layers": 32, "n_heads": 32, "n_kv_heads": 8, "vocab_size": 128256, "multiple_of": 1024,
    "ffn_dim_multiplier": 1.3, "norm_eps": 1e-05, "rope_theta": 500000.0,
}  # fmt: skip
"""params.json of Llama-3-8B, whose published intermediate size is 14,336."""


def read_json(table: dict[str, Any], path: str = "params.json") -> Any:
    return read(json.dumps(table).encode(), path)


def shapes(config: Any) -> dict[str, tuple[int, ...]]:
    name = schema.detect(config)
    assert name is not None
    return {n: slot.shape for slot in expand(schema.load(name), config).slots for n in slot.names()}


def test_params_json_of_mistral() -> None:
    found = shapes(read_json(MISTRAL_7B))
    assert found["model.layers.31.mlp.gate_proj.weight"] == (14336, 4096)
    assert found["model.layers.0.self_attn.k_proj.weight"] == (1024, 4096)


def test_params_json_of_mixtral() -> None:
    config = read_json({**MISTRAL_7B, "moe": {"num_experts": 8, "num_experts_per_tok": 2}})
    assert config.architectures == ("MixtralForCausalLM",)
    assert "model.layers.3.block_sparse_moe.experts.7.w1.weight" in shapes(config)


@pytest.mark.parametrize(
    ("changes", "width"),
    [
        ({}, 14336),
        # Llama-2-7B: multiple_of 256 without a multiplier; Llama-2-70B: 1.3 and 4096
        ({"multiple_of": 256, "ffn_dim_multiplier": None}, 11008),
        ({"dim": 8192, "n_heads": 64, "multiple_of": 4096}, 28672),
    ],
)
def test_params_json_of_meta(changes: dict[str, Any], width: int) -> None:
    assert shapes(read_json({**LLAMA_3_8B, **changes}))["model.layers.0.mlp.up_proj.weight"][0] == width


def test_a_vocabulary_that_only_the_tokenizer_knows_is_not_minus_one() -> None:
    assert read_json({**LLAMA_3_8B, "vocab_size": -1}).data["vocab_size"] is None


def test_model_args_of_deepseek() -> None:
    assert shapes(read_json(MODEL_ARGS)) == {
        name: shape for name, (_, shape) in model("deepseek_v3", DEEPSEEK).items()
    }


def test_model_args_say_v2_without_the_correction_bias() -> None:
    config = read_json({**MODEL_ARGS, "score_func": "softmax", "q_lora_rank": 0})
    assert schema.detect(config) == "deepseek_v2"
    assert "model.layers.0.self_attn.q_proj.weight" in shapes(config)


def test_model_args_beside_rank_files_are_their_config(tmp_path: Path) -> None:
    cut = deepseek_native(model("deepseek_v3", DEEPSEEK), 2, experts=8)
    write(tmp_path, cut, None)
    (tmp_path / "config_toy.json").write_text(json.dumps(MODEL_ARGS))
    report = check(str(tmp_path))
    assert (report.findings, report.facts.arch) == ((), "deepseek_v3")


def test_a_message_names_the_field_as_its_file_does(tmp_path: Path) -> None:
    write(tmp_path, deepseek_native(model("deepseek_v3", DEEPSEEK), 2, experts=8), None)
    (tmp_path / "config_toy.json").write_text(json.dumps({**MODEL_ARGS, "inter_dim": 96}))
    (finding,) = check(str(tmp_path)).findings
    assert finding.message == "config_toy.json says inter_dim = 96, the tensors are those of 64"


def test_a_hugging_face_config_is_left_as_it_is() -> None:
    assert not read_json({**LLAMA, "dim": 8, "n_layers": 2, "hidden_dim": 3, "head_dim": 1}).names


@pytest.mark.parametrize("raw", [b"a b", b"a: 1\n- 2", b"\xff", b"x:\n  y:\n    z w"])
def test_what_is_no_plain_yaml_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- the text is of many kinds
        flat_yaml.parse(raw)


def test_yaml_reads_as_yaml_reads_it() -> None:
    yaml = pytest.importorskip("yaml")
    text = (
        "a: 1\nb: 1.0e-05\nc: null\nd: true\ne: 'it''s'\nf:\n- 1\n- x\ng:\n  h: 2\n  i: null\nj: {}\nk: []\n"
    )
    assert flat_yaml.parse(text.encode()) == yaml.safe_load(text)


DUMP = """
import json, yaml
from dataclasses import asdict
from litgpt.config import Config, configs
made = [Config.from_name(known["name"]) for known in configs]
print(json.dumps({each.name: [yaml.dump(asdict(each)), asdict(each)] for each in made}))
"""


@pytest.fixture(scope="module")
def litgpt() -> dict[str, tuple[str, dict[str, Any]]]:
    """Return each config of LitGPT as it writes it and as it holds it, from a process of its own."""
    if find_spec("litgpt") is None:
        pytest.skip("litgpt is not installed")
    words = [sys.executable, "-W", "ignore", "-c", DUMP]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    table: dict[str, tuple[str, dict[str, Any]]] = json.loads(done.stdout)
    return table


@pytest.mark.oracle
def test_the_configs_of_litgpt_read_as_litgpt_wrote_them(litgpt: dict[str, Any]) -> None:
    assert len(litgpt) > 100
    for name, (text, table) in litgpt.items():
        assert flat_yaml.parse(text.encode()) == table, name
        config = read(text.encode(), "model_config.yaml")
        assert config.data["hidden_size"] == table["n_embd"]
        assert config.data["vocab_size"] == table["padded_vocab_size"]
        assert len(config.architectures) == 1


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("name", "arch"),
    [
        ("pythia-160m", "gpt_neox"),
        ("Llama-3-8B", "llama"),
        ("Mixtral-8x7B-v0.1", "mixtral"),
        ("Mistral-7B-v0.3", "llama"),
    ],
)
def test_litgpt_says_the_same_model_as_hugging_face(litgpt: dict[str, Any], name: str, arch: str) -> None:
    text, table = litgpt[name]
    config = read(text.encode(), "model_config.yaml")
    assert schema.detect(config) == arch
    expected = expand(schema.load(arch), config)
    wide = {slot.shape for slot in expected.slots if slot.kind == "embedding"}
    assert wide == {(table["padded_vocab_size"], table["n_embd"])}


def test_every_spelling_is_named_after_its_file() -> None:
    assert all(name == spelling.name for name, spelling in SPELLINGS.items())


MISTRAL = {"consolidated.safetensors": ["layers.0.attention.wq.weight", "tok_embeddings.weight"]}


def folder(path: Path, files: dict[str, list[str]], *, index: bool) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for file, names in files.items():
        (path / file).write_bytes(table_of([Tensor(name, "BF16", (2, 2), 1) for name in names]))
    if index:
        entries = {n: file for file, names in files.items() if file not in MISTRAL for n in names}
        text = json.dumps({"metadata": {}, "weight_map": entries})
        (path / "model.safetensors.index.json").write_text(text)
    return path


@pytest.mark.parametrize("index", [True, False])
def test_the_two_sets_of_a_mistral_repository_are_silent(tmp_path: Path, *, index: bool) -> None:
    report = check(str(folder(tmp_path, {"model.safetensors": ["a"], **MISTRAL}, index=index)))
    assert (report.findings, report.facts.tensors) == ((), 1)


def test_mistrals_own_set_beside_shards_without_an_index(tmp_path: Path) -> None:
    """VLLM #4989: nothing filters the second set."""
    shards = {"model-00001-of-00002.safetensors": ["a"], "model-00002-of-00002.safetensors": ["b"]}
    (finding,) = check(str(folder(tmp_path, {**shards, **MISTRAL}, index=False))).findings
    assert (finding.code, finding.place.files) == ("WL105", ("consolidated.safetensors",))


def test_mistrals_own_set_alone_is_the_checkpoint(tmp_path: Path) -> None:
    assert check(str(folder(tmp_path, dict(MISTRAL), index=False))).facts.tensors == 2
