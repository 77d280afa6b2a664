"""Snapshots of indexes of published models: silence on the sound ones, the right word on the others."""

from __future__ import annotations

from pathlib import Path

import pytest

import weightlint

INDEXES = Path(__file__).parents[1] / "fixtures" / "indexes"

# tensors of each as its public listing or index gives them
SOUND = {
    "deepseek-r1": ("deepseek_v3", 91_991),
    "deepseek-v2-lite-chat": ("deepseek_v2", 5_291),
    "kimi-k2-instruct": ("deepseek_v3", 139_644),
    "wizardlm-2-8x22b": ("mixtral", 1_739),
    "dolphin-2.5-mixtral-8x7b": ("mixtral", 995),
    "qwen3-30b-a3b-2507": ("qwen3_moe", 18_867),
    "yi-1.5-6b-slerp": ("llama", 291),
    "granite-7b-llama": ("llama", 291),
    "llama-2-70b-lzlv": ("llama", 723),
    "atom-7b": ("llama", 323),
    "llama-7b-layerwise": ("llama", 323),
    "reflection-llama-3.1-70b": ("llama", 723),
    "redpajama-incite-7b": ("gpt_neox", 484),
}


def check(name: str) -> weightlint.Report:
    return weightlint.check(str(INDEXES / f"{name}.json.gz"))


@pytest.mark.parametrize("name", SOUND)
def test_sound_models_are_silent(name: str) -> None:
    report = check(name)
    assert report.findings == ()
    assert (report.facts.arch, report.facts.tensors, report.facts.checked) == (*SOUND[name], SOUND[name][1])


@pytest.mark.parametrize(
    ("name", "code", "count"),
    [
        # 241 tensors of layers 0..23 with the embedding are in the first of two files
        ("pygmalion-7b-missing-shard", "WL103", 1),
        # one file per tensor, 48 of 254 in the repository
        ("llama-3.2-3b-tensor-per-file", "WL103", 206),
        # two indexer tensors and three biases in each of 48 layers
        ("qwen3-30b-a3b-transgqa", "WL202", 240),
        # an empty weight_map
        ("kimi2-pcl-empty", "WL107", 1),
    ],
)
def test_broken_models_have_one_finding(name: str, code: str, count: int) -> None:
    (finding,) = check(name).findings
    assert (finding.code, finding.count) == (code, count)


def test_every_fixture_is_tested() -> None:
    broken = {
        "pygmalion-7b-missing-shard",
        "llama-3.2-3b-tensor-per-file",
        "qwen3-30b-a3b-transgqa",
        "kimi2-pcl-empty",
    }
    assert {path.name.removesuffix(".json.gz") for path in INDEXES.iterdir()} == {*SOUND} | broken
