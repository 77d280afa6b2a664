"""Every GGUF schema: whole toys are silent, each tensor and key that is damaged alone gives one finding."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import pytest
from gguf_models import TOYS, is_there, keys, model, slots, values
from gguf_toy import GgufTensor

from weightlint import llama
from weightlint import schema as schemas
from weightlint.api import check
from weightlint.checkpoint import Checkpoint
from weightlint.errors import UsageError
from weightlint.expected import Presence
from weightlint.finding import Level
from weightlint.gguf.tensors import row_major
from weightlint.index import Header, Index, Kind
from weightlint.names import expand
from weightlint.opening import open_case
from weightlint.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gguf_toy import GgufFile, Key

    from weightlint.finding import Finding


ACCEPTED: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "gguf" / "accepted.json").read_text()
)["models"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemas, "load", cache(schemas.load))


def said(listed: list[Key], tensors: Iterable[GgufTensor]) -> list[Finding]:
    tensors = list(tensors)
    kinds = [Kind(str(tensor.type), row_major(tensor.ne)) for tensor in tensors]
    same = {kind: kind for kind in kinds}
    none = [0] * len(kinds)
    index = Index()
    index.add("toy.gguf", Header([it.name for it in tensors], [same[kind] for kind in kinds], none, none))
    checkpoint = Checkpoint(target="toy.gguf", index=index, format="gguf", keys=values(listed))
    return judge([open_case(checkpoint, arch=None, config=None)])[0]


def shown(findings: list[Finding]) -> list[str]:
    return [f"{it.code} {it.level} {it.message} {it.place.tensors}" for it in findings]


def edited(toy: GgufFile, name: str, **change: object) -> list[GgufTensor]:
    from dataclasses import replace

    return [replace(it, **change) if it.name == name else it for it in toy.tensors]  # type: ignore[arg-type]


def test_every_schema_is_valid_and_has_a_toy() -> None:
    names = schemas.names("gguf")
    known = {arch for arch, _ in TOYS.values()} | {name.partition("/")[0] for name in ACCEPTED}
    assert {f"gguf/{arch}" for arch in known} == {*names}
    assert {name: schemas.validate(schemas.path(name)) for name in names} == {name: [] for name in names}
    assert all(f"gguf/{schemas.load(name).name}" == name for name in names)
    assert {schemas.load(name).name for name in names} <= llama.architectures()


def accepted(name: str) -> tuple[list[Key], list[GgufTensor]]:
    """Return keys and tensors of a model that libllama loads."""
    made = ACCEPTED[name]
    listed: list[Key] = [(key, type_, value) for key, type_, value in made["keys"]]
    tensors = [
        GgufTensor(each, tuple(ne), type_)
        for ne, type_, folded in made["tensors"]
        for pattern in folded
        for each in expand(pattern)
    ]
    return listed, tensors


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_llama_cpp_accepts_is_silent(name: str) -> None:
    assert [it for it in said(*accepted(name)) if it.level > Level.INFO] == []


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_llama_cpp_refuses_to_miss_is_told(name: str) -> None:
    listed, tensors = accepted(name)
    lost = ACCEPTED[name]["refused_without"]
    assert lost
    for gone in lost:
        found = said(listed, [it for it in tensors if it.name != gone])
        told = {each for it in found for pattern in it.place.tensors for each in expand(pattern)}
        assert gone in told, (gone, shown(found))


@pytest.mark.parametrize("toy", TOYS)
def test_a_whole_model_is_silent(toy: str) -> None:
    assert shown(said(keys(toy), model(toy).tensors)) == []


def samples(toy: str) -> dict[str, str]:
    """Return the last name of each slot with how much it is asked for."""
    out = {}
    for slot in slots(toy):
        alone = slot.absent == "part" and slot.count == 1
        out[slot.names()[-1]] = slot.need.value if alone else slot.absent or slot.need.value
    return out


@pytest.mark.parametrize("toy", TOYS)
def test_each_tensor_is_missed(toy: str) -> None:
    made = model(toy)
    for name, need in samples(toy).items():
        found = said(keys(toy), (it for it in made.tensors if it.name != name))
        if need == "optional":
            assert found == [], name
        elif name.endswith("nextn.eh_proj.weight") and schemas.load(f"gguf/{TOYS[toy][0]}").probe:
            assert [(it.code, it.level) for it in found] == [("WL204", Level.INFO)]
        else:
            assert [it.code for it in found] == ["WL201"], (name, shown(found))
            assert found[0].place.tensors == (name,)


@pytest.mark.parametrize("toy", TOYS)
def test_each_tensor_is_measured(toy: str) -> None:
    made = model(toy)
    by_name = {tensor.name: tensor for tensor in made.tensors}
    for name in samples(toy):
        ne = by_name[name].ne
        found = said(keys(toy), edited(made, name, ne=(*ne[:-1], ne[-1] + 32)))
        assert [it.code in {"WL301", "WL302", "WL303"} for it in found] == [True], (name, shown(found))
        assert name in found[0].place.tensors
        assert said(keys(toy), edited(made, name, ne=(*ne, 1))) == [], name


@pytest.mark.parametrize("toy", TOYS)
def test_each_tensor_has_a_type_that_can_be_run(toy: str) -> None:
    made = model(toy)
    for slot in slots(toy):
        name = slot.names()[-1]
        plain = slot.dtypes == {"F32"}
        assert [it.code for it in said(keys(toy), edited(made, name, type="I8"))] == ["WL405"], name
        found = said(keys(toy), edited(made, name, type="BF16"))
        assert [it.code for it in found] == (["WL405"] if plain else []), name


@pytest.mark.parametrize("toy", TOYS)
def test_a_tensor_too_many_is_refused(toy: str) -> None:
    from gguf_toy import GgufTensor

    made = model(toy)
    (found,) = said(keys(toy), [*made.tensors, GgufTensor("blk.0.foo.weight", (8,))])
    assert (found.code, found.level) == ("WL202", Level.ERROR)


@pytest.mark.parametrize("toy", TOYS)
def test_each_key_has_the_exact_type(toy: str) -> None:
    made = model(toy)
    wrong = {"u32": "u64", "i32": "u32", "f32": "f64", "bool": "u32", "str": "u32"}
    for at, (key, type_, value) in enumerate(keys(toy)):
        if key == "general.architecture" or type_ == "arr":
            continue
        listed = keys(toy)
        listed[at] = key, wrong[type_], 1 if type_ in {"str", "bool"} else value
        found = [it for it in said(listed, made.tensors) if it.level is Level.ERROR]
        assert [it.code for it in found] == ["WL304"], (key, shown(found))
        assert found[0].message.startswith(f"toy.gguf: {key} is stored as {wrong[type_]}, not as {type_}")


@pytest.mark.parametrize("toy", TOYS)
def test_each_key_that_is_asked_for_is_missed(toy: str) -> None:
    arch = TOYS[toy][0]
    fields = schemas.load(f"gguf/{arch}").fields
    required = {f"{arch}.{name}" for name, spec in fields.items() if spec.required} | {"tokenizer.ggml.model"}
    made = model(toy)
    for key in required & {it[0] for it in keys(toy)}:
        found = said([it for it in keys(toy) if it[0] != key], made.tensors)
        assert f"toy.gguf: {key} is absent" in " ".join(it.message for it in found), key


@pytest.mark.parametrize("toy", TOYS)
def test_each_set_is_whole(toy: str) -> None:
    """An optional family that all layers have is missed where one lacks it."""
    made = model(toy)
    for slot in slots(toy):
        if slot.need is Presence.OPTIONAL and slot.absent and slot.count > 1:
            assert is_there(slot)
            found = said(keys(toy), (it for it in made.tensors if it.name != slot.names()[-1]))
            assert [(it.code, it.level) for it in found] == [("WL201", Level.ERROR)]
            gone = {*slot.names()}
            found = said(keys(toy), (it for it in made.tensors if it.name not in gone))
            assert [(it.code, str(it.level)) for it in found] == (
                [] if slot.absent == "part" else [("WL201", slot.absent)]
            )


def judged(
    listed: list[Key], tensors: Iterable[GgufTensor], arch: str | None = None
) -> tuple[list[str], set[str]]:
    """Return the findings of a file on the disk, and why rules were skipped."""
    from gguf_toy import GgufFile

    report = check(str(GgufFile(listed, [*tensors]).write(Path(mkdtemp()) / "toy.gguf")), arch=arch)
    return shown([*report.findings]), {skip.why for skip in report.skips if skip.code == "WL201"}


def renamed(toy: str, arch: str) -> list[Key]:
    return [(key, type_, arch if key == "general.architecture" else value) for key, type_, value in keys(toy)]


def test_an_architecture_without_a_schema_is_said_so() -> None:
    listed = [(key.replace("llama.", "mamba2."), *rest) for key, *rest in renamed("llama", "mamba2")]
    found, skipped = judged(
        [(key, str(type_), value) for key, type_, value in listed], model("llama").tensors
    )
    assert found == []
    assert skipped == {"no schema for the architecture of the file (general.architecture = mamba2)"}


@pytest.mark.parametrize(("name", "level"), [("llama99", "warning"), ("", "error")])
def test_an_architecture_that_nobody_knows_is_a_finding(name: str, level: str) -> None:
    (found,), _ = judged(renamed("llama", name), model("llama").tensors)
    assert found.startswith(f"WL304 {level} toy.gguf: general.architecture is {name!r}")


def test_what_is_no_model_of_its_own_is_not_judged_as_one() -> None:
    adapter = [*keys("llama"), ("general.type", "str", "adapter")]
    found, skipped = judged(adapter, [it for it in model("llama").tensors if "attn_q" in it.name])
    assert found == []
    assert skipped == {"the file is no model of its own: it says that it is of type adapter"}


@pytest.mark.parametrize("arch", ["qwen2", "gguf/qwen2"])
def test_another_architecture_can_be_asked_for(arch: str) -> None:
    found, _ = judged(keys("llama"), model("llama").tensors, arch)
    assert len(found) == 1
    assert "attn_q.bias" in found[0]
    with pytest.raises(UsageError, match="no schema named 'gguf/qwen9'"):
        judged(keys("llama"), model("llama").tensors, "gguf/qwen9")


def test_a_file_of_draft_layers_only_is_said_so() -> None:
    last = "blk.3."
    tensors = [
        it
        for it in model("deepseek2_draft").tensors
        if not it.name.startswith("blk.") or it.name.startswith(last)
    ]
    (found,), _ = judged(keys("deepseek2_draft"), tensors)
    assert found.startswith("WL204 info the file holds draft layers only")


def test_a_file_without_its_draft_layers_is_said_so() -> None:
    tensors = [it for it in model("deepseek2_draft").tensors if not it.name.startswith("blk.3.")]
    (found,), _ = judged(keys("deepseek2_draft"), tensors)
    assert found.startswith("WL204 info the file announces MTP layer 3, the checkpoint does not hold it")


def test_a_draft_layer_that_is_not_announced_is_found() -> None:
    listed = [key for key in keys("deepseek2_draft") if key[0] != "deepseek2.nextn_predict_layers"]
    (found,), _ = judged(listed, model("deepseek2_draft").tensors)
    assert found.startswith(
        "WL304 error toy.gguf: deepseek2.nextn_predict_layers is absent: the file holds a draft layer"
    )
