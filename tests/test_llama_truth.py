"""What llama.cpp's own loader did with damaged models: names, shapes, types and keys.

The models are made again by the tool that lies beside the project, in memory and without data; the
outcomes are those of libllama 0.3.36, in `loads_0336.json`. What is refused or dies has a finding that
names the tensor or the key; what loads and answers the same has none above info. What loads and answers
differently is found unless a header cannot tell it: `UNKNOWABLE` has all such kinds.

A part of the outcomes is run; `WEIGHTLINT_TRUTH=all` runs every one.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import zlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from weightlint import schema as schemas
from weightlint.checkpoint import Checkpoint
from weightlint.finding import Level
from weightlint.index import Header, Index, Kind
from weightlint.metadata import Value
from weightlint.opening import open_case
from weightlint.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.finding import Finding

SHARED = Path(__file__).parents[1].parent / "shared"
TOOL, LOADS = SHARED / "tools" / "llama_load_run.py", SHARED / "data" / "llama" / "loads_0336.json"
pytestmark = pytest.mark.skipif(not LOADS.is_file(), reason="the outcomes of llama.cpp are not here")

TYPES = ("u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "str", "arr", "u64", "i64", "f64")
DEAD = ("abort", "crash", "timeout", "nan", "zero", "ctx_failed", "decode_failed")

UNKNOWABLE = {
    # a sound type of less precision: the four toy layers show it, a user asked for it
    *(("type", name) for name in ("Q4_0", "IQ4_NL", "MXFP4", "Q8_0")),
    # the same names and shapes hold other values
    ("swapped", ""),
    # a model with a layer less, or tied to its embedding, is as good a model
    ("drop_layer", "and block_count - 1"),
    ("drop_one", "output.weight"),
    # a tied llama has the tensors and keys of a gemma
    ("arch_changed", "llama"),
    # optional for LLaMA, and real models have it
    ("extra", "rope_freqs.weight"),
    # factors that quantisers to NVFP4 write beside a weight: applied whatever the type
    *(("extra", f"{name}.scale") for name in ("attn_q", "attn_output", "ffn_down", "ffn_down_exps")),
    # another number that is as good as the one that was trained with
    *(("key_changed", key) for key in ("rope.freq_base", "expert_used_count", "expert_weights_scale")),
    *(("key_changed", key) for key in ("rope.scaling.factor", "rope.scaling.yarn_log_multiplier")),
}

BY_CHANCE = {
    # a bias in one layer of two, or missing from one of two, moves four toy tokens too little to be seen
    ("extra", "attn_q.bias"),
    ("extra", "attn_k.bias"),
    ("extra", "ffn_down.bias"),
    ("drop_one", "exp_probs_b.bias"),
    # another routing function chooses the same two of four experts
    ("key_changed", "expert_gating_func"),
}

NOT_HERE = {"duplicate", "key_duplicate"}
"""Damage to the file rather than to the model: see `test_gguf_loads`."""

JUDGED = {
    # llama.cpp asks for none of these, every published model has them: in all layers, then in one
    "ffn_gate_exps.weight": (Level.ERROR, Level.ERROR),
    "exp_probs_b.bias": (Level.ERROR, Level.ERROR),
    **{f"attn_{part}.bias": (Level.WARNING, Level.ERROR) for part in "qkv"},
    # some have them, in all layers or in none
    **{f"attn_{part}_norm.weight": (None, Level.ERROR) for part in "qk"},
    # the tensor by which a draft layer is found: without it the layer is left out
    "nextn.eh_proj.weight": (Level.INFO, Level.INFO),
}
"""How the absence of tensors is judged that the table of the recorded loader calls optional."""

Outcomes = dict[tuple[str, str, str], dict[str, Any]]


@cache
def tool() -> Any:
    """Import the tool, with zeros of the right size in place of what libllama quantises."""
    pytest.importorskip("numpy")
    spec = importlib.util.spec_from_file_location("llama_load_run", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vars(module)["quantise"] = lambda values, type_, **_: bytes(module.nbytes([values.size], type_))
    return module


@cache
def outcomes() -> Outcomes:
    rows = json.loads(LOADS.read_text())
    return {
        (f"{row['arch']}/{row['layout']}", row["mutation"], row["detail"]): row
        for row in rows
        if not row["mode"]
    }


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemas, "load", cache(schemas.load))


def typed(type_: int, value: Any) -> Value:
    if TYPES[type_] != "arr":
        return Value(TYPES[type_], value)
    of, items = value
    return Value("arr", None if TYPES[of] == "str" else list(items), TYPES[of], len(items))


def said(model: Any) -> list[Finding]:
    """Check a model of the tool as if it had been read from `toy.gguf`."""
    kinds = [Kind(tensor.typ, tuple(reversed(tensor.ne))) for tensor in model.tensors]
    same = {kind: kind for kind in kinds}
    none = [0] * len(kinds)
    index = Index()
    index.add(
        "toy.gguf", Header([tensor.name for tensor in model.tensors], [same[k] for k in kinds], none, none)
    )
    keys = {key: typed(type_, value) for key, type_, value in model.kv}
    case = open_case(
        Checkpoint(target="toy.gguf", index=index, format="gguf", keys=keys), arch=None, config=None
    )
    return judge([case])[0]


def damaged(key: str) -> Iterator[tuple[str, str, Any]]:
    made = tool()
    model = made.MODELS[key]
    yield "clean", "", model
    for mutation, detail, changed, _ in made.tensor_mutations(model, key in made.FULL):
        yield mutation, detail, changed
    for mutation, detail, changed, _ in made.kv_mutations(model):
        yield mutation, detail, changed


def is_chosen(mutation: str, detail: str) -> bool:
    if mutation in NOT_HERE or re.search(r"general\.alignment|split\.count", detail):
        return False
    many = mutation in {"type", "reshaped", "misnamed", "key_changed"}
    return not many or bool(os.environ.get("WEIGHTLINT_TRUTH")) or zlib.crc32(detail.encode()) % 5 == 0


def kind_of(mutation: str, detail: str) -> tuple[str, str]:
    """Fold a kind of damage as the tables of this file name it: tensors without layer, keys without prefix."""
    if mutation == "type":
        return mutation, detail.split(" -> ")[1].split(" ", maxsplit=1)[0]
    if mutation == "swapped":
        return mutation, ""
    if mutation == "drop_layer":
        return mutation, re.sub(r"^blk\.\d+ ", "", detail)
    subject = re.split(r"[: \[]", detail)[0]
    return mutation, re.sub(r"^(blk\.\w+\.|(llama|qwen\w+|deepseek2)\.)", "", subject)


def touched(mutation: str, detail: str) -> list[str]:
    """Return words of which a finding must have one: the tensor or key that was touched, or its new name."""
    if mutation in {"drop_layer", "layout", "arch_changed"} or detail.startswith("whole block"):
        return [""]
    if "attn_qkv" in detail:
        return ["attn_q"]  # with the fused tensor, the three apart are too many
    if mutation == "drop_all":
        return [detail.removeprefix("blk.N.")]
    if mutation.startswith("key"):
        return [kind_of(mutation, detail)[1]]
    return [word for word in re.split(r" -> | ", detail) if "." in word or word in {"foo", "token_embd"}][:2]


def names(finding: Finding) -> str:
    """Return all that a finding says, its patterns written out for the two or three toy layers."""
    from weightlint.names import expand

    tensors = [name for pattern in finding.place.tensors for name in expand(pattern)]
    return " ".join(filter(None, (finding.message, finding.expected, finding.found, finding.cure, *tensors)))


def verdict(row: dict[str, Any], findings: list[Finding]) -> str | None:
    """Return what is wrong with our verdict, or None."""
    mutation, detail = row["mutation"], row["detail"]
    shown = f"{mutation}, {detail}: {row['outcome']} {row['run']} {row['message'][-90:]}: "
    shown += "; ".join(f"{it.code} {it.message}" for it in findings)
    if any(finding.code == "WL000" for finding in findings):
        return f"crash: {shown}"
    loud = [finding for finding in findings if finding.level > Level.INFO]
    if row["outcome"] != "accepted" or row["run"].startswith(DEAD):
        text = " ".join(map(names, loud))
        return (
            None if loud and any(word in text for word in touched(mutation, detail)) else f"missed: {shown}"
        )
    if row["run"].startswith("differs"):
        return None if findings or kind_of(mutation, detail) in UNKNOWABLE else f"unnoticed: {shown}"
    return f"false alarm: {shown}" if loud and kind_of(mutation, detail) not in BY_CHANCE else None


MODELS = (
    "llama/dense",
    "llama/tied",
    "llama/mixtral",
    "qwen3/dense",
    "qwen3moe/plain",
    "deepseek2/legacy_v3",
    "deepseek2/mla_v3",
)


@pytest.mark.parametrize("key", MODELS)
def test_the_verdict_is_that_of_llama_cpp(key: str) -> None:
    wrong, count = [], 0
    for mutation, detail, model in damaged(key):
        row = outcomes().get((key, mutation, detail))
        if row is not None and is_chosen(mutation, detail):
            count += 1
            wrong.append(verdict(row, said(model)))
    assert [it for it in wrong if it] == []
    assert count > 100


def test_every_outcome_belongs_to_a_model_here() -> None:
    assert {key for key, *_ in outcomes()} == {*MODELS}


def test_all_clean_models_are_silent() -> None:
    found = {key: [it.message for it in said(model)] for key, model in tool().MODELS.items()}
    assert {key: messages for key, messages in found.items() if messages} == {}


def table() -> dict[str, tuple[list[str], list[str]]]:
    """Read which tensors the recorded loader asked for, and which it did without, by model."""
    text = (SHARED / "reference" / "llama-loader.md").read_text()
    rows = re.findall(r"^\| (\S+/\S+) \| \d+ \| ([^|]+) \| ([^|]+) \|", text, re.MULTILINE)
    return {key: (required.split(), optional.replace("-", "", 1).split()) for key, required, optional in rows}


def without(model: Any, name: str, *, every: bool) -> Level | None:
    """Return the highest level of what is said where a tensor is dropped in all its layers, or in the last."""
    hits = [
        it
        for it in model.tensors
        if it.name == name or re.fullmatch(rf"blk\.\d+\.{re.escape(name)}", it.name)
    ]
    gone = {it.name for it in (hits if every else hits[-1:])}
    assert gone
    changed = model.copy()
    changed.tensors = [it for it in model.tensors if it.name not in gone]
    found = said(changed)
    assert "WL000" not in {finding.code for finding in found}
    return max((finding.level for finding in found), default=None)


@pytest.mark.parametrize("key", table() if LOADS.is_file() else [])
def test_what_is_asked_for_and_what_is_not(key: str) -> None:
    required, optional = table()[key]
    model = tool().MODELS[key]
    for name in required:
        assert without(model, name, every=False) is Level.ERROR, name
    for name in optional:
        many = sum(it.name.endswith("." + name) for it in model.tensors) > 1
        whole, part = JUDGED.get(name, (None, None))
        assert (without(model, name, every=True), without(model, name, every=False)) == (
            whole,
            part if many else whole,
        ), name
