"""Names and settings made to hurt: answered with a finding, in little time, whatever they say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from cutting import LLAMA, MIXTRAL, model, trtllm, write
from toy import Tensor, table

from weightlint.api import check
from weightlint.ranking.ranks import MAX_ABSENT, found

if TYPE_CHECKING:
    from pathlib import Path

ONE = table([Tensor("decoder.layers.0.x.weight", "BF16", (2, 2), 1)])


@pytest.mark.parametrize(
    "name",
    [
        "model0-mp999999.safetensors",
        "model999999-mp1.safetensors",
        "mp_rank_9999_99999_99999/model_optim_rng.safetensors",
        "model-pp-999999-tp-999999-part-999999.safetensors",
        "rank99999.safetensors",
    ],
)
def test_numbers_beyond_all_clusters(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(ONE)
    found_here = [finding for finding in check(str(tmp_path)).findings if finding.code == "WL507"]
    assert len(found_here) == 1
    assert len(found_here[0].place.files) <= MAX_ABSENT


@pytest.mark.parametrize("size", [10**12, -1, 0, True, "2", None, 1.5, [2], float("nan")])
def test_a_mapping_of_any_size(tmp_path: Path, size: object) -> None:
    config = {**LLAMA, "mapping": {"world_size": size, "tp_size": size, "pp_size": size, "moe_ep_size": size}}
    cut = trtllm(model("llama", LLAMA), layers=4, tp=2)
    report = check(str(write(tmp_path, cut, config)))
    assert all(finding.code != "WL000" for finding in report.findings)


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 300, "-1", "1e9", "٣"])
def test_layer_numbers_of_any_length(tmp_path: Path, number: str) -> None:
    for stage in range(2):
        folder = tmp_path / f"mp_rank_00_{stage:03d}"
        folder.mkdir()
        names = [f"decoder.layers.{number}.x", f"model{number}.y", f"a.experts.linear_fc1.weight{number}"]
        raw = table([Tensor(name, "BF16", (2, 2), 1) for name in names])
        (folder / "model_optim_rng.safetensors").write_bytes(raw)
    assert all(finding.code != "WL000" for finding in check(str(tmp_path)).findings)


HUGE: dict[str, dict[str, Any]] = {
    "numbers": {"dim": 10**30, "n_layers": 10**30, "n_heads": 1, "multiple_of": 1, "vocab_size": 2},
    "infinity": {"dim": 8, "n_layers": 2, "n_heads": 1, "multiple_of": 2, "ffn_dim_multiplier": float("inf")},
    "no number": {
        "dim": 8,
        "n_layers": 2,
        "n_heads": 1,
        "multiple_of": 2,
        "ffn_dim_multiplier": float("nan"),
    },
    "texts": {
        "dim": "8",
        "n_layers": [],
        "n_heads": {},
        "multiple_of": "x",
        "hidden_dim": None,
        "head_dim": 1,
    },
    "experts": {"dim": 8, "n_layers": 2, "hidden_dim": 4, "head_dim": 4, "moe": {"num_experts": 10**12}},
    "a list": {"dim": 8, "n_layers": 2, "hidden_dim": 4, "head_dim": 4, "moe": {"num_experts": [1]}},
}


@pytest.mark.parametrize("name", HUGE)
def test_settings_that_no_model_has(tmp_path: Path, name: str) -> None:
    (tmp_path / "consolidated.safetensors").write_bytes(ONE)
    (tmp_path / "params.json").write_text(json.dumps(HUGE[name]))
    assert all(finding.code != "WL000" for finding in check(str(tmp_path)).findings)


def test_very_many_rank_files(tmp_path: Path) -> None:
    names = [f"model-rank-{rank}-part-0.safetensors" for rank in range(20_000)]
    ranks = found(names, {})
    assert ranks is not None
    assert (ranks.width, ranks.absent) == (20_000, ())
    for name in names[:300]:
        (tmp_path / name).write_bytes(ONE)
    assert check(str(tmp_path)).facts.files == 300


def test_very_many_targets_and_patterns(tmp_path: Path) -> None:
    many = [f"m{number}" for number in range(50_000)]
    said = {"r": 2, "target_modules": many, "rank_pattern": dict.fromkeys((f"({n}+)+$" for n in many), 2)}
    (tmp_path / "adapter_config.json").write_text(json.dumps(said))
    names = [f"base_model.model.{'a.' * 2000}{number}.lora_A.weight" for number in range(20)]
    raw = table([Tensor(name, "BF16", (2, 2), 1) for name in names])
    (tmp_path / "adapter_model.safetensors").write_bytes(raw)
    codes = {finding.code for finding in check(str(tmp_path)).findings}
    assert "WL207" in codes
    assert "WL000" not in codes


@pytest.mark.parametrize(
    "said",
    [
        {"r": "x", "target_modules": {"a": 1}, "rank_pattern": [1], "modules_to_save": 3, "use_dora": "yes"},
        {"r": -1, "target_modules": [None], "rank_pattern": {"a": {}}, "peft_type": ["LORA"]},
        {"r": 10**400, "target_modules": "(a+)+$", "layers_to_transform": "x"},
    ],
)
def test_adapter_settings_of_any_type(tmp_path: Path, said: dict[str, Any]) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps(said))
    raw = table([Tensor("base_model.model.a.lora_A.weight", "BF16", (2,), 1)])
    (tmp_path / "adapter_model.safetensors").write_bytes(raw)
    assert all(finding.code != "WL000" for finding in check(str(tmp_path)).findings)


@pytest.mark.parametrize("text", ["../../etc", "/etc", "100\n200", "x" * 5000, "\0", "iter_1/../.."])
def test_a_tracker_leads_nowhere_else(tmp_path: Path, text: str) -> None:
    (tmp_path / "latest_checkpointed_iteration.txt").write_text(text)
    (tmp_path / "mp_rank_00").mkdir()
    (tmp_path / "mp_rank_00" / "model_optim_rng.safetensors").write_bytes(ONE)
    assert check(str(tmp_path)).facts.files == 1


def test_experts_that_nothing_bounds(tmp_path: Path) -> None:
    """Expert numbers that count from a billion make no list of a billion."""
    for expert in range(2):
        folder = tmp_path / f"mp_rank_00_{expert:03d}"
        folder.mkdir()
        names = [
            "embedding.word_embeddings.weight",
            "decoder.final_layernorm.weight",
            "decoder.layers.0.mlp.experts.local_experts.999999999.linear_fc1.weight",
        ]
        raw = table([Tensor(name, "BF16", (2, 2), 1) for name in names])
        (folder / "model_optim_rng.safetensors").write_bytes(raw)
    (tmp_path / "config.json").write_text(json.dumps(MIXTRAL))
    assert all(finding.code != "WL000" for finding in check(str(tmp_path)).findings)
