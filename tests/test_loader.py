"""Loaders by name and version, and their rules for experts and vocabularies against what was recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from weightlint.cut import Cut, gaps
from weightlint.errors import UsageError
from weightlint.experts import absent, copied, deal
from weightlint.expr import round_up
from weightlint.loader import LOADERS, release
from weightlint.pipeline import SPLITS

VLLM = Path(__file__).parents[2] / "shared" / "data" / "vllm"
recorded = pytest.mark.skipif(not VLLM.is_dir(), reason="the recorded maps of vLLM are not here")
RELEASES = [("0.8.4", "maps_v08.json"), ("0.33.0", "maps_v33.json")]


def maps(file: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((VLLM / file).read_text())
    return loaded


@pytest.mark.parametrize("name", [*LOADERS])
def test_a_loader_is_named_after_its_file(name: str) -> None:
    loader = LOADERS[name]
    assert loader.name == name
    for version in (loader.since, loader.newest, *loader.recorded, "999"):
        assert release(f"{name}@{version}").rules.split in SPLITS
    assert str(release(name)) == f"{name}@{loader.newest}"


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("vlm", r"no loader 'vlm' \(nearest: vllm\)"),
        ("vllm@0.1", "nothing is known of vLLM before 0.8.3"),
        ("vllm@main", "'main' is no version"),
        ("vllm@", "'' is no version"),
    ],
)
def test_what_is_no_loader(spec: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        release(spec)


def test_spellings() -> None:
    assert str(release("llama.cpp")) == "llama_cpp@0.3.36"
    assert release("vllm@0.8.4").says == "vLLM 0.8.4"
    assert release("sglang@0.4.6.post5").rules.split == "last_takes_rest"
    assert release("sglang@0.5.8").rules.split == "last_one_more"


@recorded
@pytest.mark.parametrize(("version", "file"), RELEASES)
def test_every_recorded_placement_of_experts(version: str, file: str) -> None:
    rules = release(f"vllm@{version}").rules.experts
    for key, ranks in maps(file)["ep"].items():
        experts, count, placement = key.split(",")
        dealt = deal(
            int(experts), int(count), remainder=rules.remainder, round_robin=placement == "round_robin"
        )
        if placement == "linear":
            assert [[mine[0], mine[-1], len(mine)] for mine in dealt] == ranks, key
        else:
            assert [[mine[0], len(mine)] for mine in dealt] == [[r[0], r[-1]] for r in ranks], key


@recorded
@pytest.mark.parametrize(("version", "file"), RELEASES)
def test_every_recorded_slice_of_a_vocabulary(version: str, file: str) -> None:
    rules = release(f"vllm@{version}").rules
    for key, ranks in maps(file)["vocab"].items():
        rows, ways = map(int, key.split(","))
        cut = Cut(dim=0, size=rows, ways=ways, padded=round_up(rows, rules.vocab))
        ours = [[*(cut.at(rank) or ((rows, rows),))[0], cut.width] for rank in range(ways)]
        assert ours == ranks, key
        assert gaps(cut) == ()


@recorded
def test_redundant_experts() -> None:
    """VLLM 0.33 writes the experts of 256 + 32 slots from slot 250 on as 250 to 255 and 0 again."""
    slots = [expert for mine in deal(256, 8, redundant=32) for expert in mine]
    assert slots[250:262] == maps("maps_v33.json")["eplb_physical_to_logical_256+32"]


def test_copies_wrap_around() -> None:
    assert deal(8, 4, redundant=4) == ((0, 1, 2), (3, 4, 5), (6, 7, 0), (1, 2, 3))
    assert copied(deal(8, 4, redundant=4)) == {0: 2, 1: 2, 2: 2, 3: 2}
    assert absent(8, deal(8, 4)) == ()
    assert absent(4, ((0, 1), (3,))) == (2,)


@pytest.mark.parametrize(
    ("spec", "thing", "read"),
    [
        ("vllm@0.32.0", "gguf", True),
        ("vllm@0.33.0", "gguf", False),
        ("llama_cpp", "safetensors", False),
        ("mlx", "torch", False),
        ("ktransformers@0.3", "kt_kernel", False),
        ("ktransformers@0.7.2", "kt_kernel", True),
        ("ktransformers@0.7.2", "ktransformers", False),
        ("litgpt", "hf", False),
        ("transformers", "hf", True),
    ],
)
def test_a_release_reads_dialects_and_formats(spec: str, thing: str, *, read: bool) -> None:
    """Sources: ktransformers' archive and kt-kernel, vLLM 0.33.0 (GGUF moved to a plugin), the loaders' own file globs."""
    assert release(spec).reads(thing) is read
