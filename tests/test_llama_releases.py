"""What earlier releases of llama.cpp make of a GGUF file.

The facts on 0.3.16 are those of its recorded loader: the last column of the table in llama-loader.md, and a set
of outcomes with the words of its errors. Which release was the first to take a file is held to `src/` of the releases.
"""

from __future__ import annotations

import itertools
import re
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import pytest
import test_llama_truth as truth
from gguf_models import model
from gguf_toy import GgufFile, GgufTensor

from weightlint import llama
from weightlint import schema as schemas
from weightlint.api import check
from weightlint.edition import choose, edition, holds, releases
from weightlint.finding import Level
from weightlint.loader import release
from weightlint.version import within

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gguf_toy import Key

    from weightlint.finding import Finding

OLD = "0.3.16"
needs_truth = pytest.mark.skipif(not truth.LOADS.is_file(), reason="the outcomes of llama.cpp are not here")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemas, "load", cache(schemas.load))


# The first release that takes each file, and what 0.3.16 said of it.
OUTCOMES: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "fused": (
        "llama",
        {"drop": r"attn_[qkv]\.weight", "add": {"blk.{0..2}.attn_qkv.weight": (64, 128)}},
        "missing tensor 'blk.0.attn_q.weight'",
        "0.3.21",
    ),
    "no bias": ("qwen2", {"drop": r"attn_[qkv]\.bias"}, "missing tensor 'blk.0.attn_q.bias'", "0.3.17"),
    "no sink bias": (
        "gpt-oss",
        {"drop": r"attn_[qkv]\.bias"},
        "missing tensor 'blk.0.attn_q.bias'",
        "0.3.21",
    ),
    "tied": ("deepseek2", {"drop": r"^output\.weight"}, "missing tensor 'output.weight'", "0.3.17"),
    "draft": ("deepseek2_draft", {}, "wrong number of tensors; expected 76, got 70", "0.3.35"),
    "scale": (
        "qwen3",
        {"add": {"blk.1.attn_q.scale": (1,)}},
        "wrong number of tensors; expected 37, got 36",
        "0.3.20",
    ),
    "expert widths": (
        "qwen3moe",
        {"keys": {"expert_feed_forward_length": ("arr", ("u32", [32, 32, 32]))}},
        "key qwen3moe.expert_feed_forward_length has wrong type arr but expected type u32",
        "0.3.36",
    ),
    "window": (
        "gemma3",
        {"keys": {"attention.sliding_window": None, "block_count": ("u32", 3)}},
        "key not found in model: gemma3.attention.sliding_window",
        "0.3.17",
    ),
    "architecture": ("qwen3next", {}, "unknown model architecture: 'qwen3next'", "0.3.17"),
    "later architecture": ("deepseek32", {}, "unknown model architecture: 'deepseek32'", "0.3.24"),
}


def changed(toy: str, edit: dict[str, Any]) -> GgufFile:
    from weightlint.names import expand

    whole = model(toy)
    listed: list[Key] = list(whole.keys)
    prefix = next(value for key, _, value in listed if key == "general.architecture")
    for name, new in edit.get("keys", {}).items():
        listed = [key for key in listed if key[0] != f"{prefix}.{name}"]
        listed += [(f"{prefix}.{name}", *new)] if new else []
    kept = [it for it in whole.tensors if not ("drop" in edit and re.search(edit["drop"], it.name))]
    kept += [
        GgufTensor(name, ne, "F32" if len(ne) == 1 else "F16")
        for pattern, ne in edit.get("add", {}).items()
        for name in expand(pattern)
    ]
    return GgufFile(listed, kept)


def said(made: GgufFile, folder: Path, loader: str | None) -> list[Finding]:
    made.write(folder / "toy.gguf")
    return list(check(str(folder / "toy.gguf"), loader=loader).findings)


@pytest.mark.parametrize("name", OUTCOMES)
def test_an_old_release_refuses_in_its_own_words_and_the_first_that_takes_the_file_is_named(
    name: str, tmp_path: Path
) -> None:
    toy, edit, words, first = OUTCOMES[name]
    made = changed(toy, edit)
    found = said(made, tmp_path, f"llama_cpp@{OLD}")
    told = [it for it in found if words in it.message]
    assert [it.code for it in told] == ["WL601"], found
    assert f"llama_cpp@{first} and later" in str(told[0].expected)
    assert all(it.level < Level.ERROR for it in said(made, tmp_path, None))
    assert {it.code for it in said(made, tmp_path, f"llama_cpp@{first}")} <= {"WL201"}


def column() -> dict[str, str]:
    """Read what the table of the reference says of 0.3.16."""
    text = (truth.SHARED / "reference" / "llama-loader.md").read_text()
    rows = re.findall(r"^\| (\S+/\S+) \| \d+ \|[^|]+\|[^|]+\| ([^|]+) \|$", text, re.MULTILINE)
    return dict(rows)


OWN_WORDS = {"missing tensor 'blk.0.attn_q_a_norm.weight'": "attention.q_lora_rank"}
"""Where the key is told that makes the loader miss a tensor, in place of the tensor."""


def judged(made: Any) -> list[Finding]:
    opened = vars(truth)["open_case"]
    try:
        vars(truth)["open_case"] = partial(opened, loader=release(f"llama_cpp@{OLD}"))
        return truth.said(made)
    finally:
        vars(truth)["open_case"] = opened


@needs_truth
@pytest.mark.parametrize("key", column() if truth.LOADS.is_file() else [])
def test_what_the_old_loader_asks_for(key: str) -> None:
    whole, verdict = truth.tool().MODELS[key], column()[key]
    found = judged(whole)
    refused = re.match(r"refused: (.*)", verdict)
    if refused:
        assert OWN_WORDS.get(refused[1], refused[1]) in " ".join(it.message for it in found)
        return
    assert found == []
    asked = verdict.partition("differs: ")[2].split(", ") if "differs" in verdict else []
    for name in asked:
        hits = {it.name for it in whole.tensors if it.name == name or it.name.endswith(f".{name}")}
        less = whole.copy()
        less.tensors = [it for it in whole.tensors if it.name not in hits]
        assert hits
        assert any(it.level is Level.ERROR and name in truth.names(it) for it in judged(less)), name


def test_every_release_of_the_table_is_one_and_they_rise() -> None:
    listed = llama.releases()
    assert listed[0] == release("llama_cpp").loader.since
    assert listed[-1] == release("llama_cpp").loader.newest
    assert all(within(later, f">{earlier}") for earlier, later in itertools.pairwise(listed))


def test_every_release_that_a_schema_names_is_known() -> None:
    named = {each for name in schemas.names("gguf") for each in schemas.turning_points(name)}
    assert named <= {*llama.releases()}


def test_no_architecture_is_learned_twice() -> None:
    learned = [name for names in llama.facts()["architectures"].values() for name in names]
    assert len(learned) == len({*learned}) == len(llama.architectures())


@pytest.mark.parametrize(
    ("spec", "version", "settled"),
    [("b9445", "0.3.24", True), ("b9500", "0.3.24", True), ("b11312", "0.3.36", True), ("b6123", OLD, False)],
)
def test_a_build_stands_for_a_release_that_is_not_newer(spec: str, version: str, *, settled: bool) -> None:
    found = release(f"llama.cpp@{spec}")
    assert (found.version, found.is_settled, str(found)) == (version, settled, f"llama_cpp@{spec}")


def test_a_span_holds_from_its_first_release_to_the_one_before_its_last() -> None:
    span = {"since": "0.3.17", "before": "0.3.36"}
    held = [holds(span, each) for each in (OLD, "0.3.17", "0.3.35", "0.3.36", None)]
    assert held == [False, True, True, False, False]
    assert holds({"since": "0.3.36"}, None)


def test_of_several_values_the_first_that_holds_is_taken() -> None:
    values = {"drafts": [{"is": "True", "since": "0.3.35"}, {"is": "False"}], "plain": "1"}
    assert choose(values, None) == {"drafts": "True", "plain": "1"}
    assert choose(values, OLD) == {"drafts": "False", "plain": "1"}
    assert choose({"probe": [{"is": "x", "since": "0.3.36"}]}, OLD) == {}


def table() -> Iterator[tuple[str, Any]]:
    yield "name", "x"
    yield "probe", [{"is": "eh_proj", "since": "0.3.36"}]
    line = {"name": "a", "kind": "bias", "shape": [1]}
    yield (
        "block",
        [{"prefix": "", "tensors": [{**line, "before": "0.3.17"}]}, {"prefix": "", "tensors": [line]}],
    )
    yield "check", [{"name": "c", "since": "0.3.20"}]


def test_an_edition_leaves_out_what_does_not_hold_and_blocks_without_a_tensor() -> None:
    whole = dict(table())
    assert releases(whole) == {"0.3.17", "0.3.20", "0.3.36"}
    old, new = edition(whole, OLD), edition(whole, None)
    assert [len(each["block"]) for each in (old, new)] == [2, 1]
    assert [len(each["check"]) for each in (old, new)] == [0, 1]
    assert ("probe" in old, new["probe"]) == (False, "eh_proj")
    assert "before" not in old["block"][0]["tensors"][0]
