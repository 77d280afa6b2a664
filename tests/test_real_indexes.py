"""Indexes of real public models: the sound ones are silent, the broken ones give the right finding."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from weightlint.api import check
from weightlint.finding import Level

INDEXES = Path(__file__).parents[1] / "fixtures" / "indexes"
SHARED = Path(__file__).parents[2] / "shared" / "data"

# Numbers of tensors: the models' own listings and indexes.
SOUND = {
    "deepseek-r1": ("deepseek_v3", 91_991),
    "deepseek-v2-lite-chat": ("deepseek_v2", 5_291),
    "kimi-k2-instruct": ("deepseek_v3", 139_644),
    "qwen3-30b-a3b-2507": ("qwen3_moe", 18_867),
    "wizardlm-2-8x22b": ("mixtral", 1_739),
    "dolphin-2.5-mixtral-8x7b-bin": ("mixtral", 995),
    "yi-1.5-6b-slerp": ("llama", 291),
    "granite-7b-llama": ("llama", 291),
    "llama-2-70b-lzlv": ("llama", 723),
    "atom-7b-bin": ("llama", 323),
    "llama-7b-layerwise-bin": ("llama", 323),
    "reflection-llama-3.1-70b": ("llama", 723),
    "redpajama-incite-7b-bin": ("gpt_neox", 484),
}


@pytest.mark.parametrize("slug", SOUND)
def test_sound(slug: str) -> None:
    arch, count = SOUND[slug]
    report = check(str(INDEXES / f"{slug}.json"))
    assert [finding.message for finding in report.findings] == []
    assert (report.facts.arch, report.facts.tensors, report.facts.checked) == (arch, count, count)
    assert report.exit_code() == 0


def test_names_alone_say_what_they_leave_open() -> None:
    report = check(str(INDEXES / "wizardlm-2-8x22b.json"))
    assert {skip.code for skip in report.skips} == {"WL301", "WL302", "WL401", "WL403", "WL405"}
    assert all("only an index file" in skip.why for skip in report.skips)


@pytest.mark.parametrize(
    ("slug", "arch", "quant", "count"),
    [("llama-2-7b-awq", "llama", "awq", 739), ("qwen3-14b-mlx-4bit", "qwen3", "mlx", 1_007)],
)
def test_sound_and_quantised(slug: str, arch: str, quant: str, count: int) -> None:
    report = check(str(INDEXES / f"{slug}.json"))
    assert [finding.message for finding in report.findings] == []
    facts = report.facts
    assert (facts.arch, facts.quant, facts.tensors, facts.checked) == (arch, quant, count, count)


def test_whole_numbers_that_nobody_declared() -> None:
    report = check(str(INDEXES / "glm-5.1-w8a8.json"))
    (finding,) = report.findings
    assert (finding.code, finding.level) == ("WL401", Level.WARNING)
    assert "undeclared quantisation" in finding.message
    assert report.facts.quant == "modelslim, undeclared"
    # every tensor of a weight in 8 bits: all but embeddings, heads, norms, routers and what the export left in BF16
    assert finding.count == 177_790


def test_a_shard_that_was_never_uploaded() -> None:
    report = check(str(INDEXES / "pygmalion-7b-missing-shard.json"))
    assert [finding.code for finding in report.findings] == ["WL103"]
    assert report.findings[0].place.files == ("model-00001-of-00002.safetensors",)


def test_a_pipeline_slice_is_no_whole_checkpoint() -> None:
    report = check(str(INDEXES / "llama-3.2-3b-tensor-per-file.json"))
    assert [(finding.code, finding.count) for finding in report.findings] == [("WL103", 254 - 48)]


def test_an_extended_model_has_tensors_of_its_own() -> None:
    report = check(str(INDEXES / "qwen3-30b-a3b-transgqa.json"))
    assert {finding.code for finding in report.findings} == {"WL202"}
    assert sum(finding.count for finding in report.findings) == 19_107 - 18_867
    assert report.exit_code() == 0
    assert report.exit_code(Level.WARNING) == 1


def test_an_unknown_architecture_is_read_and_said_so() -> None:
    report = check(str(INDEXES / "pythia-1.5b-oasst-rm.json"))
    assert report.findings == ()
    assert any("GPTNeoXRewardModel" in skip.why for skip in report.skips)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder with the raw indexes is not beside the project")
@pytest.mark.parametrize(
    ("slug", "file", "code", "text"),
    [
        ("kimi2-pcl-empty", "model.safetensors.index.json", "WL107", "names no tensor"),
        ("qwen2.5-coder-32b-empty", "model.safetensors.index.json", "WL107", "names no tensor"),
        ("json-with-comment-lumina", "model.safetensors.index.json", "WL107", "comment"),
        ("index-nul-filled", "model.safetensors.index 2.json", "WL101", "zero"),
        ("internlm2-index-is-lfs-pointer", "pytorch_model.bin.index.json", "WL101", "LFS pointer"),
        ("bloom-176b-bin-huge-total", "pytorch_model.bin.index.json", "WL104", "total_size"),
    ],
)
def test_broken_index_files(slug: str, file: str, code: str, text: str) -> None:
    report = check(str(SHARED / "indexes" / slug / file))
    found = [finding for finding in report.findings if finding.code == code]
    assert len(found) == 1
    assert text in found[0].message


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder with the raw indexes is not beside the project")
def test_no_real_index_brings_a_rule_down() -> None:
    for folder in sorted((SHARED / "indexes").iterdir()):
        for file in folder.glob("*.index*.json"):
            codes = [finding.code for finding in check(str(file)).findings]
            assert "WL000" not in codes, file


def test_every_fixture_says_where_it_comes_from() -> None:
    for path in INDEXES.glob("*.json"):
        assert "/" in json.loads(path.read_text())["origin"], path
