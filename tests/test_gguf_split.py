"""Files that belong together: names, the keys of a split, further models, snapshots and `inspect`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from click.testing import CliRunner
from gguf_toy import BESIDE, GgufFile, GgufTensor, Split, llama

from weightlint import api
from weightlint.cli import app
from weightlint.formats import snapshot
from weightlint.gguf.parts import companions, models
from weightlint.metadata import Value, restored
from weightlint.target import open_target

if TYPE_CHECKING:
    from weightlint.finding import Finding

SCHEMA = json.loads((Path(__file__).parents[1] / "schemas" / "_meta" / "snapshot.schema.json").read_text())


def part(at: int, of: int = 3, base: str = "m") -> str:
    return f"{base}-{at:05d}-of-{of:05d}.gguf"


def said(target: Path) -> list[Finding]:
    return list(api.check(str(target)).findings)


def only(target: Path) -> Finding:
    (finding,) = said(target)
    return finding


# --------------------------------------------------------------------------------------------------- names


def test_parts_of_one_split_are_one_model() -> None:
    zero = [part(at, 2, "zero") for at in (1, 2)]
    other = [part(at, 4) for at in (1, 2)]
    one = [part(at) for at in (1, 2, 3)]
    assert models(["b.gguf", *zero, *other, *one, "a.gguf"]) == [["a.gguf"], ["b.gguf"], one, other, zero]


def test_what_is_no_model_by_its_name_comes_last() -> None:
    names = ["a-lora.gguf", "imatrix.gguf", "mmproj-m.gguf", "z.gguf"]
    assert [model[0] for model in models(names)] == ["z.gguf", "a-lora.gguf", "imatrix.gguf", "mmproj-m.gguf"]


def test_a_part_beyond_the_count_is_no_member() -> None:
    names = [*(part(at) for at in (1, 2, 3)), part(4)]
    assert models(names) == [names[:3]]


def test_parts_under_two_names_are_one_model_if_only_together_they_are_whole() -> None:
    names = [part(1, base="other"), part(2), part(3)]
    assert models(names) == [names]
    assert len(models([*names, part(1)])) == 2
    assert len(models(names[:2])) == 2


def test_one_part_stands_for_all() -> None:
    names = ["a.gguf", part(1), part(3), part(1, base="other")]
    assert companions(part(3), names) == [part(1), part(3)]
    assert companions("a.gguf", names) == ["a.gguf"]
    assert companions(part(9, 2), names) == [part(9, 2)]
    assert models([]) == [[]]


# ------------------------------------------------------------------------------------------- a split model


@pytest.fixture
def split(tmp_path: Path) -> Split:
    made = Split(llama(), 3, base="m")
    made.write(tmp_path)
    return made


def test_a_whole_split_is_silent_whichever_part_is_named(split: Split, tmp_path: Path) -> None:
    for target in (tmp_path, *(tmp_path / split.name(at) for at in (1, 2, 3))):
        checkpoint = open_target(str(target))
        assert len(checkpoint.index) == 21
        assert checkpoint.keys["llama.block_count"] == Value("u32", 2)
        assert not said(target)


def test_the_keys_are_those_of_the_first_part_whatever_its_name(split: Split, tmp_path: Path) -> None:
    for at, name in enumerate((part(2), part(1), part(3))):
        split.parts[at].write(tmp_path / name)
    assert open_target(str(tmp_path)).keys["general.architecture"] == Value("str", "llama")


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_an_absent_part_is_one_finding(split: Split, tmp_path: Path, lost: int) -> None:
    (tmp_path / split.name(lost)).unlink()
    finding = only(tmp_path)
    assert finding.code == "WL103"
    assert finding.place.files == (part(lost),)
    assert ("14 of 21 tensors are there" in finding.message) or lost == 1


def changed(split: Split, at: int, key: str, *value: object) -> None:
    """Give a part, counted from 1, another value of a key, or take the key away."""
    keys = [it for it in split.parts[at - 1].keys if it[0] != key]
    new: list[Any] = [(key, *value)] if value else []
    split.parts[at - 1] = replace(split.parts[at - 1], keys=[*keys, *new])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ((1, "split.no", "u16", 1), "part 1 says that it is part 2"),
        ((1, "split.no"), "split.no of m-00001-of-00003.gguf, part 1 of 3, is not there"),
        ((1, "split.no", "u32", 0), "is u32, llama.cpp takes u16"),
        ((1, "split.count"), "llama.cpp loads this part alone"),
        ((1, "split.count", "u16", 4), "the names say 3 parts, split.count of m-00001-of-00003.gguf says 4"),
        ((1, "split.count", "u16", 2), "the names say 3 parts, split.count of m-00001-of-00003.gguf says 2"),
        ((1, "split.count", "u32", 3), "split.count of m-00001-of-00003.gguf, part 1 of 3, is u32"),
        ((1, "split.tensors.count", "i32", 22), "says 22 tensors, the parts hold 21"),
        ((1, "split.tensors.count", "i32", -5), "the parts hold 21"),
        ((2, "split.no", "u16", 2), "part 2 says that it is part 3"),
        ((2, "split.no", "u32", 1), "m-00002-of-00003.gguf gives split.no as u32: llama.cpp aborts"),
        ((3, "split.no"), "m-00003-of-00003.gguf has no split.no"),
    ],
)
def test_a_wrong_key_is_one_finding(
    split: Split, tmp_path: Path, change: tuple[Any, ...], words: str
) -> None:
    changed(split, *change)
    split.write(tmp_path)
    finding = only(tmp_path)
    assert finding.code == "WL106"
    assert words in finding.message


@pytest.mark.parametrize(
    ("at", "key", "value"),
    [
        (2, "split.count", ("u16", 9)),
        (2, "split.count", ()),
        (3, "split.tensors.count", ("i32", 1)),
        (2, "general.alignment", ("u32", 32)),
        (2, "general.architecture", ("str", "foo")),
    ],
)
def test_what_llama_never_reads_is_silent(
    split: Split, tmp_path: Path, at: int, key: str, value: tuple[object, ...]
) -> None:
    changed(split, at, key, *value)
    split.write(tmp_path)
    assert not said(tmp_path)


def test_parts_out_of_order(split: Split, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        changed(split, number, "split.no", "u16", number)
    split.write(tmp_path)
    assert "counts from 1, not from 0" in only(tmp_path).message
    for number in (1, 2, 3):
        changed(split, number, "split.no", "u16", number % 3)
    split.write(tmp_path)
    assert "parts 1, 2, 3 carry each other's name" in only(tmp_path).message


def test_a_part_copied_over_another_is_one_finding(split: Split, tmp_path: Path) -> None:
    split.parts[1].write(tmp_path / split.name(3))
    assert "part 3 says that it is part 2" in only(tmp_path).message


def test_a_tensor_in_two_parts_is_one_finding(split: Split, tmp_path: Path) -> None:
    split.parts[1] = replace(split.parts[1], tensors=[*split.parts[1].tensors, split.parts[0].tensors[2]])
    split.write(tmp_path)
    finding = only(tmp_path)
    assert (finding.code, finding.place.tensors) == ("WL106", ("output.weight",))
    assert finding.place.files == (part(1), part(2))


def test_names_that_llama_does_not_find(split: Split, tmp_path: Path) -> None:
    def names(folder: str, *given: str) -> list[Finding]:
        for name, it in zip(given, split.parts, strict=True):
            it.write(tmp_path / folder / name)
        return said(tmp_path / folder)

    (short,) = names("short", *(f"m-{at:04d}-of-0003.gguf" for at in (1, 2, 3)))
    assert "have not five digits" in short.message
    (other,) = names("other", part(1, base="o"), part(2), part(3))
    assert "the other parts have another name" in other.message
    (count,) = names("count", *(part(at, 4) for at in (1, 2, 3)))
    assert "the names say 4 parts" in count.message
    (first, *_) = names("plain", "a.gguf", "b.gguf", "c.gguf")
    assert "a.gguf says that it is part 1 of 3, its name does not" in first.message
    assert {finding.code for finding in (short, other, count, first)} == {"WL106"}


def test_parts_joined_with_cat(split: Split, tmp_path: Path) -> None:
    joined = tmp_path / "alone" / "m.gguf"
    joined.parent.mkdir()
    joined.write_bytes(b"".join(it.data() for it in split.parts))
    finding = only(joined)
    assert finding.code == "WL106"
    assert "joined with cat" in finding.message
    joined.write_bytes(llama().data() * 2)
    assert not said(joined), "a file that is no part may be followed by anything: llama.cpp never reads it"


def test_a_part_of_another_quantisation_is_a_warning(split: Split, tmp_path: Path) -> None:
    split.parts[1] = Split(llama(type_="Q8_0"), 3).parts[1]
    split.write(tmp_path)
    finding = only(tmp_path)
    assert str(finding.level) == "warning"
    assert (finding.expected, finding.found) == ("F16", "Q8_0")
    assert finding.place.files == (part(2),)


def test_a_mixture_of_types_within_parts_is_silent(tmp_path: Path) -> None:
    tensors = [
        replace(it, type="Q8_0") if "ffn_down" in it.name and at % 2 else it
        for at, it in enumerate(llama(6).tensors)
    ]
    Split(replace(llama(6), tensors=tensors), 4).write(tmp_path)
    assert not said(tmp_path)


def test_one_tensor_in_each_part_of_any_type_is_silent(tmp_path: Path) -> None:
    types = ["Q8_0", "F16", "BF16"]
    tensors = [
        replace(it, type=types[at % 3]) if len(it.ne) > 1 else it for at, it in enumerate(llama().tensors)
    ]
    Split(replace(llama(), tensors=tensors), 21).write(tmp_path)
    assert not said(tmp_path)


def test_a_part_of_another_model_is_a_warning(split: Split, tmp_path: Path) -> None:
    foreign = [("general.name", "str", "other"), ("llama.block_count", "u32", 3)]
    split.parts[2] = replace(split.parts[2], keys=[*foreign, *split.parts[2].keys])
    split.write(tmp_path)
    finding = only(tmp_path)
    assert str(finding.level) == "warning"
    assert "2 keys (general.name, llama.block_count)" in finding.message


def test_an_empty_first_part_and_a_single_part_are_silent(tmp_path: Path) -> None:
    made = Split(llama(), 3)
    everything = [*made.parts[0].tensors, *made.parts[1].tensors]
    made.parts[0], made.parts[1] = (
        replace(made.parts[0], tensors=[]),
        replace(made.parts[1], tensors=everything),
    )
    assert not said(made.write(tmp_path))
    single = Split(llama(), 1).parts[0].write(tmp_path / "single" / "m.gguf")
    assert not said(single)


def test_a_torn_part_is_no_broken_split(split: Split, tmp_path: Path) -> None:
    path = tmp_path / split.name(2)
    path.write_bytes(path.read_bytes()[:60])
    assert only(tmp_path).code == "WL102"
    path.write_bytes(b"")
    assert only(tmp_path).code == "WL101"


# ------------------------------------------------------------------------------------- models in one folder


def test_two_models_in_one_folder_are_a_warning_and_each_is_checked(tmp_path: Path) -> None:
    llama().write(tmp_path / "a.gguf")
    Split(llama(), 2, base="b").write(tmp_path)
    finding = only(tmp_path)
    assert (finding.code, str(finding.level), finding.count) == ("WL105", "warning", 21)
    assert finding.place.files == ("a.gguf", part(1, 2, "b"))
    assert api.check(str(tmp_path)).facts.tensors == 42
    assert not said(tmp_path / "a.gguf")


def test_models_without_a_tensor_in_common_are_silent(tmp_path: Path) -> None:
    llama().write(tmp_path / "a.gguf")
    GgufFile(tensors=[GgufTensor("other", (4,))]).write(tmp_path / "b.gguf")
    assert not [finding for finding in said(tmp_path) if finding.code == "WL105"]


def test_what_lies_beside_a_model_is_read_and_not_checked_as_one(tmp_path: Path) -> None:
    llama().write(tmp_path / "m.gguf")
    for at, file in enumerate(BESIDE.values()):
        file.write(tmp_path / f"a{at}.gguf" if at else tmp_path / "zz-mmproj.gguf")
    (tmp_path / "a1.gguf").rename(tmp_path / "z1.gguf")
    checkpoint = open_target(str(tmp_path))
    assert checkpoint.index.files[0].path == "m.gguf"
    assert not checkpoint.others
    assert {file.path for file in checkpoint.strays.files} == {"z1.gguf", "zz-mmproj.gguf"}
    (tmp_path / "z1.gguf").write_bytes((tmp_path / "z1.gguf").read_bytes()[:-64])
    assert only(tmp_path).code == "WL102"


# ----------------------------------------------------------------------------------- snapshots and `inspect`


def test_a_snapshot_keeps_keys_split_and_others(split: Split, tmp_path: Path) -> None:
    tags = ("general.tags", "arr", ("str", ["a", "b"]))
    rest = [
        ("x.nan", "f32", float("nan")),
        ("x.inf", "f64", float("-inf")),
        ("x.no", "arr", ("f32", [0.0] * 9999)),
    ]
    other = llama()
    replace(other, keys=[*other.keys, tags, *rest, ("x.bools", "arr", ("bool", [True, False]))]).write(
        tmp_path / "other.gguf"
    )
    before = open_target(str(tmp_path))
    table = json.loads(json.dumps(snapshot.describe(before), allow_nan=False))
    jsonschema.validate(table, SCHEMA)
    after = snapshot.restore(table, before.target)
    assert after.format == "gguf"
    assert list(map(str, after.keys.items())) == list(map(str, before.keys.items()))
    assert list(map(str, after.others[0].keys.items())) == list(map(str, before.others[0].keys.items()))
    assert [(file.path, len(file.metadata)) for file in after.others[0].index.files] == [
        (file.path, len(file.metadata)) for file in before.others[0].index.files
    ]
    snapshot.write(before, tmp_path / "s.json.gz")
    assert said(tmp_path / "s.json.gz") == said(tmp_path)
    del split


@pytest.mark.parametrize(
    "value", [5, {}, {"type": "u32"}, {"type": "u32", "value": "x"}, {"type": "arr", "value": []}]
)
def test_a_value_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, KeyError, ValueError)):
        restored(value)


def test_inspect_shows_keys_ggml_shapes_and_bits(tmp_path: Path) -> None:
    file = llama(type_="Q8_0")
    keys = [*file.keys, ("x.text", "str", "\x1b[31m" + "t" * 500), ("x.long", "arr", ("str", ["t"] * 70))]
    path = replace(file, keys=[*keys, ("x.short", "arr", ("u8", range(10)))]).write(tmp_path / "m.gguf")
    lines = CliRunner().invoke(app, ["inspect", str(path)]).output.splitlines()
    shown = {line.split()[0]: " ".join(line.split()[1:]) for line in lines if line}
    assert shown["llama.attention.layer_norm_rms_epsilon"] == "f32 1e-05"
    assert shown["general.name"] == "str toy"
    assert shown["x.long"] == "arr[str] of 70"
    assert shown["x.short"] == "arr[u8] of 10 [0, 1, 2, 3, 4, 5, 6, 7, ... 2 more]"
    assert shown["x.text"].startswith("str \\x1b[31mttt")
    assert shown["x.text"].endswith("... (505 characters)")
    assert any(
        line.split() == ["2", "Q8_0", "{64,", "96}", "13,056", "8.5", "blk.{0,1}.ffn_up.weight"]
        for line in lines
    )
    assert lines[-1].endswith("bytes; llama")


def test_inspect_as_json(tmp_path: Path) -> None:
    llama().write(tmp_path / "a.gguf")
    llama().write(tmp_path / "b.gguf")
    document = json.loads(CliRunner().invoke(app, ["inspect", "--json", str(tmp_path)]).output)
    assert document["keys"]["llama.block_count"] == {"type": "u32", "value": 2}
    assert document["others"] == ["b.gguf"]
    assert {family["bits"] for family in document["families"]} == {16.0, 32.0}
    assert "1 more models lie beside it: b.gguf" in CliRunner().invoke(app, ["inspect", str(tmp_path)]).output
