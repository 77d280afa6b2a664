"""Which files belong to a checkpoint, in every way that people lay them out."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch_toy

from weightlint import weight_map
from weightlint.errors import UsageError
from weightlint.folder import open_folder
from weightlint.index import UNKNOWN, FaultKind, Kind
from weightlint.series import gaps
from weightlint.store import MemoryBlob, MemoryStore
from weightlint.target import open_target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weightlint.checkpoint import Checkpoint

INDEX = "model.safetensors.index.json"
SHARED = Path(__file__).parents[1].parent / "shared" / "data" / "indexes"


def shard(*names: str) -> bytes:
    """Return a sound file with these tensors, two F32 each."""
    table = {
        name: {"dtype": "F32", "shape": [2], "data_offsets": [8 * at, 8 * at + 8]}
        for at, name in enumerate(names)
    }
    raw = json.dumps(table).encode()
    return struct.pack("<Q", len(raw)) + raw + bytes(8 * len(names))


def index(entries: Mapping[str, object], **metadata: object) -> bytes:
    """Return an index file."""
    return json.dumps({"metadata": metadata, "weight_map": entries}, indent=2).encode()


def opened(files: Mapping[str, bytes], wanted: str | None = None) -> Checkpoint:
    """Read a folder in memory."""
    return open_folder(MemoryStore(files), target="ckpt", wanted=wanted)


def placed(checkpoint: Checkpoint) -> dict[str, str]:
    """Return the file of each tensor."""
    return {name: checkpoint.index.file(row) for name, row in checkpoint.index.rows.items()}


LAYOUTS: dict[str, Sequence[str]] = {
    "one": ["model.safetensors"],
    "from one": ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
    "from zero": ["model-00000-of-00002.safetensors", "model-00001-of-00002.safetensors"],
    "suffix inside": [
        "model.safetensors-00001-of-00002.safetensors",
        "model.safetensors-00002-of-00002.safetensors",
    ],
    "six digits": ["model-00001-of-000002.safetensors", "model-00002-of-000002.safetensors"],
    "no padding": ["model-2-of-10.safetensors", "model-10-of-10.safetensors"],
    "sub-folders": ["a/model-1.safetensors", "b/model-1.safetensors"],
    "no numbers": ["mtp.safetensors", "trunk.safetensors"],
}


@pytest.mark.parametrize("files", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("name", [INDEX, "consolidated.index.json", "m.safetensors.index.fp16.json"])
def test_any_layout_under_any_index(files: Sequence[str], name: str) -> None:
    entries = {f"t.{at}": path for at, path in enumerate(files)}
    content = {path: shard(tensor) for tensor, path in entries.items()}
    checkpoint = opened({**content, name: index(entries, total_size=8 * len(files))})
    assert placed(checkpoint) == entries
    assert [file.path for file in checkpoint.index.files] == list(files)
    assert checkpoint.map is not None
    assert checkpoint.map.total_size == 8 * len(files)
    assert not checkpoint.faults
    assert not checkpoint.absent
    assert not checkpoint.names_only
    assert not checkpoint.series_gaps()


def test_without_an_index_every_tensor_file_is_a_member() -> None:
    checkpoint = opened({"b.safetensors": shard("b"), "a.safetensors": shard("a"), "README.md": b"#"})
    assert placed(checkpoint) == {"a": "a.safetensors", "b": "b.safetensors"}
    assert checkpoint.map is None


@pytest.mark.parametrize(
    "name",
    [
        "adapter_model.safetensors",
        "optimizer.safetensors",
        "training_args.safetensors",
        "._model.safetensors",
    ],
)
def test_what_lies_beside_weights_is_no_member(name: str) -> None:
    checkpoint = opened({"model.safetensors": shard("a"), name: b"x"})
    assert placed(checkpoint) == {"a": "model.safetensors"}
    assert not checkpoint.faults


def test_a_file_that_the_index_does_not_name_is_a_stray() -> None:
    checkpoint = opened(
        {INDEX: index({"a": "1.safetensors"}), "1.safetensors": shard("a"), "2.safetensors": shard("b")}
    )
    assert placed(checkpoint) == {"a": "1.safetensors"}
    assert checkpoint.strays.names == ["b"]


def test_an_absent_shard_is_named_and_the_others_are_read() -> None:
    entries = {"a": "1.safetensors", "b": "2.safetensors"}
    checkpoint = opened({INDEX: index(entries), "1.safetensors": shard("a"), "2.safetensors.incomplete": b""})
    assert checkpoint.absent == ("2.safetensors",)
    assert checkpoint.lost == {"2.safetensors": ["b"]}
    assert checkpoint.unfinished == ("2.safetensors.incomplete",)
    assert placed(checkpoint) == {"a": "1.safetensors"}


def test_a_download_in_the_hub_s_folder_is_seen() -> None:
    half = ".cache/huggingface/download/x.incomplete"
    checkpoint = opened({INDEX: index({"a": "1.safetensors"}), half: b"", "2.safetensors": shard("b")})
    assert checkpoint.unfinished == (half,)


def test_a_torch_index_beside_a_safetensors_file_is_not_gone_by() -> None:
    """Repositories often hold both sets; the tensor file needs no index of its own."""
    torch = index({"a": "pytorch_model-00001-of-00001.bin"})
    checkpoint = opened(
        {
            "pytorch_model.bin.index.json": torch,
            "pytorch_model-00001-of-00001.bin": b"x",
            "model.safetensors": shard("a"),
        }
    )
    assert placed(checkpoint) == {"a": "model.safetensors"}
    assert checkpoint.map is None
    assert [it.path for it in checkpoint.other_maps] == ["pytorch_model.bin.index.json"]
    assert not checkpoint.faults


def test_an_index_of_files_that_are_not_read_gives_names() -> None:
    checkpoint = opened({"tf_model.h5.index.json": index({"a": "x.h5"}), "x.h5": b"x"})
    assert checkpoint.names_only
    assert checkpoint.index.names == ["a"]


def test_a_torch_index_is_gone_by() -> None:
    files = {"1.bin": torch_toy.file([("a", "F32", (2,))]), "2.bin": torch_toy.file([("b", "F32", (2,))])}
    checkpoint = opened({"pytorch_model.bin.index.json": index({"a": "1.bin", "b": "3.bin"}), **files})
    assert placed(checkpoint) == {"a": "1.bin"}
    assert checkpoint.absent == ("3.bin",)
    assert [file.path for file in checkpoint.strays.files] == ["2.bin"]
    assert checkpoint.format == "torch"


def test_training_leftovers_are_no_model_files() -> None:
    beside = ("training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state_0.pth", "openvino_model.bin")
    model = torch_toy.file([("a", "F32", (2,))])
    assert placed(opened({"pytorch_model.bin": model, **dict.fromkeys(beside, b"x")})) == {
        "a": "pytorch_model.bin"
    }


def test_a_foreign_container_in_a_safetensors_index_is_odd() -> None:
    entries = {"a": "1.safetensors", "b": "extra.pt"}
    checkpoint = opened({INDEX: index(entries), "1.safetensors": shard("a"), "extra.pt": b"\x80\x04."})
    (fault,) = checkpoint.faults
    assert (fault.kind, fault.tensors) == (FaultKind.ODD, ("b",))
    assert "extra.pt" in fault.message
    assert not checkpoint.absent


def test_the_usual_index_goes_before_a_longer_one() -> None:
    files = {"1.safetensors": shard("a"), "2.safetensors": shard("b")}
    maps = {
        INDEX: index({"a": "1.safetensors"}),
        "z.index.json": index({"a": "1.safetensors", "b": "2.safetensors"}),
    }
    checkpoint = opened({**files, **maps})
    assert checkpoint.map is not None
    assert checkpoint.map.path == INDEX
    assert [it.path for it in checkpoint.other_maps] == ["z.index.json"]


def test_an_index_whose_files_are_there_goes_before_one_of_another_save() -> None:
    maps = {INDEX: index({"a": "old.safetensors"}), "z.index.json": index({"a": "1.safetensors"})}
    checkpoint = opened({**maps, "1.safetensors": shard("a")})
    assert checkpoint.map is not None
    assert checkpoint.map.path == "z.index.json"


def test_an_index_alone_is_names_only() -> None:
    checkpoint = opened({INDEX: index({"a": "1.safetensors"})}, INDEX)
    assert checkpoint.names_only
    assert not checkpoint.absent
    assert checkpoint.index.kind(0) == UNKNOWN


def test_an_index_with_its_shards_reads_them() -> None:
    checkpoint = opened({INDEX: index({"a": "1.safetensors"}), "1.safetensors": shard("a")}, INDEX)
    assert not checkpoint.names_only
    assert checkpoint.index.kind(0) == Kind("F32", (2,))


def test_a_broken_index_leaves_the_files_to_be_read() -> None:
    checkpoint = opened({INDEX: bytes(500), "model.safetensors": shard("a")})
    assert [fault.kind for fault in checkpoint.faults] == [FaultKind.FOREIGN]
    assert placed(checkpoint) == {"a": "model.safetensors"}


def test_a_copy_of_an_index_that_is_broken_is_told() -> None:
    checkpoint = opened({"model.safetensors.index 2.json": bytes(500), "model.safetensors": shard("a")})
    assert [fault.file for fault in checkpoint.faults] == ["model.safetensors.index 2.json"]


def test_only_broken_files_are_faults_not_a_usage_error() -> None:
    checkpoint = opened({INDEX: b"{}"})
    assert [fault.kind for fault in checkpoint.faults] == [FaultKind.MALFORMED]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "*.safetensors, *.gguf"),
        ({"m.h5": b"\x89HDF"}, ".h5"),
        ({"m.safetensors.incomplete": b""}, "m.safetensors.incomplete"),
    ],
)
def test_nothing_to_read_is_a_usage_error_that_says_what_is_there(files: dict[str, bytes], said: str) -> None:
    with pytest.raises(UsageError) as error:
        opened(files)
    assert said in str(error.value)


def test_the_config_is_kept_as_bytes() -> None:
    assert opened({"m.safetensors": shard("a"), "config.json": b"{ }"}).config == b"{ }"
    assert opened({"m.safetensors": shard("a")}).config is None


SERIES: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "complete": (["m-1-of-2.safetensors", "m-2-of-2.safetensors"], []),
    "padded": (["m-00002-of-00003.x"], ["m-00001-of-00003.x", "m-00003-of-00003.x"]),
    "from zero": (["m-00000-of-00002.x"], ["m-00001-of-00002.x"]),
    "one more than said": ([f"m-0000{n}-of-00002.x" for n in range(3)], []),
    "no padding": (
        ["m-10-of-10.x", *(f"m-{n}-of-10.x" for n in range(3, 10))],
        ["m-1-of-10.x", "m-2-of-10.x"],
    ),
    "underscore": (["m_00002-of-00002.x"], ["m_00001-of-00002.x"]),
    "suffix inside": (["m.x-00001-of-00002.x"], ["m.x-00002-of-00002.x"]),
    "two series": (["a-1-of-2.x", "b-2-of-2.x"], ["a-2-of-2.x", "b-1-of-2.x"]),
    "no number": (["model.safetensors"], []),
    "absurd": (["m-1-of-999999999.x", f"m-1-of-{'9' * 200}.x"], []),
}


@pytest.mark.parametrize(("files", "absent"), SERIES.values(), ids=SERIES)
def test_gaps_of_numbered_files(files: Sequence[str], absent: Sequence[str]) -> None:
    assert gaps(files) == absent


BROKEN_MAPS: dict[str, tuple[bytes, FaultKind, str]] = {
    "empty file": (b"", FaultKind.FOREIGN, "0 bytes"),
    "zeros": (bytes(489_959), FaultKind.FOREIGN, "zeros"),
    "git lfs": (b"version https://git-lfs.github.com/spec/v1\nsize 7\n", FaultKind.FOREIGN, "7 bytes"),
    "web page": (b"<html>", FaultKind.FOREIGN, "HTML"),
    "comment": (b"// made by hand\n{}", FaultKind.MALFORMED, "comment (//)"),
    "second document": (b"{}\n{}", FaultKind.MALFORMED, "line 2"),
    "list": (b"[]", FaultKind.MALFORMED, "a list"),
    "no map": (b"{}", FaultKind.MALFORMED, "weight_map"),
    "map of another type": (b'{"weight_map":["a"]}', FaultKind.MALFORMED, "weight_map"),
    "empty map": (b'{"weight_map":{}}', FaultKind.MALFORMED, "names no tensor"),
    "number as file": (b'{"weight_map":{"a":5}}', FaultKind.MALFORMED, "no text"),
    "NaN as file": (b'{"weight_map":{"a":NaN}}', FaultKind.MALFORMED, "no text"),
    "name twice": (b'{"weight_map":{"a":"x","a":"y"}}', FaultKind.MALFORMED, "twice"),
    "map twice": (b'{"weight_map":{"a":"x"},"weight_map":{"b":"y"}}', FaultKind.MALFORMED, "twice"),
    "deep": (b'{"weight_map":' + b"[" * 9999, FaultKind.MALFORMED, "nested"),
    "half a pair": (b'{"weight_map":{"a":"\\ud800"}}', FaultKind.MALFORMED, "surrogate"),
    "not UTF-8": (b'{"weight_map":{"a":"\xff"}}', FaultKind.MALFORMED, "UTF-8"),
    "long number": (
        b'{"weight_map":{"a":"x"},"n":1' + b"0" * 5000 + b"}",
        FaultKind.MALFORMED,
        "4,300 digits",
    ),
    "control character": (b'{"weight_map":{"a":"x\\n"}}', FaultKind.ODD, "control characters"),
    **{
        f"unsafe {name}": (
            json.dumps({"weight_map": {"a": name}}).encode(),
            FaultKind.UNSAFE,
            "was not opened",
        )
        for name in (
            "../x",
            "a/../../x",
            "/etc/hostname",
            "..\\x",
            "C:\\x",
            "c:x",
            "\\\\host\\share\\x",
            "http://127.0.0.1:1/x",
            "x\0",
            "",
        )
    },
}


@pytest.mark.parametrize(("raw", "kind", "words"), BROKEN_MAPS.values(), ids=BROKEN_MAPS)
def test_each_defect_of_an_index_is_one_fault(raw: bytes, kind: FaultKind, words: str) -> None:
    (fault,) = weight_map.read(MemoryBlob(raw), INDEX).faults
    assert fault.kind is kind
    assert words in fault.message


@pytest.mark.parametrize("size", [8, 8.0, -1, "8", None, 10**71, True])
def test_total_size_is_kept_as_found(size: object) -> None:
    found = weight_map.parse(index({"a": "x.safetensors"}, total_size=size), INDEX)
    assert found.map is not None
    assert found.map.total_size == size
    assert type(found.map.total_size) is type(size)
    assert not found.faults


def test_unsafe_names_are_never_opened_and_the_rest_is() -> None:
    opened_paths = []

    class Watching(MemoryStore):
        def open(self, path: str):  # type: ignore[no-untyped-def]  # as in MemoryStore
            opened_paths.append(path)
            return MemoryStore.open(self, path)

    entries = {"a": "1.safetensors", "b": "../2.safetensors", "c": "../2.safetensors"}
    store = Watching(
        {INDEX: index(entries), "1.safetensors": shard("a"), "../2.safetensors": shard("b", "c")}
    )
    checkpoint = open_folder(store, target="ckpt")
    (fault,) = checkpoint.faults
    assert (fault.kind, set(fault.tensors)) == (FaultKind.UNSAFE, {"b", "c"})
    assert opened_paths == [INDEX, "1.safetensors"]


def test_an_index_of_many_tensors_in_many_ways() -> None:
    entries = {f"layers.{n}.a:b": f"model-{n % 7}.safetensors" for n in range(500)}
    found = weight_map.parse(index(entries), INDEX)
    assert found.map is not None
    assert found.map.entries == entries
    assert not found.faults


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files to the disk."""
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def test_a_folder_a_file_and_an_index_are_targets(tmp_path: Path) -> None:
    write(
        tmp_path,
        {INDEX: index({"a": "1.safetensors"}), "1.safetensors": shard("a"), "2.safetensors": shard("b")},
    )
    for target, names in {"": ["a"], "2.safetensors": ["b"], INDEX: ["a"]}.items():
        assert open_target(str(tmp_path / target)).index.names == names


def test_an_index_of_any_name_is_a_target(tmp_path: Path) -> None:
    write(tmp_path, {"names.json": index({"a": "1.safetensors"})})
    assert open_target(str(tmp_path / "names.json")).index.names == ["a"]


@pytest.mark.parametrize(
    ("target", "said"),
    [("modle.safetensors", "nearest: model.safetensors"), ("config.json", "neither"), ("x/y", "no such")],
)
def test_a_wrong_target_is_a_usage_error_that_helps(tmp_path: Path, target: str, said: str) -> None:
    write(tmp_path, {"model.safetensors": shard("a"), "config.json": b'{"model_type":"llama"}'})
    with pytest.raises(UsageError) as error:
        open_target(str(tmp_path / target))
    assert said in str(error.value)


def hub(folder: Path, *revisions: str) -> Path:
    """Write a Hugging Face cache folder with one linked tensor file per revision."""
    repo = folder / "models--org--name"
    for revision in revisions:
        write(repo, {f"blobs/{revision * 64}": shard(revision)})
        snapshot = repo / "snapshots" / revision
        snapshot.mkdir(parents=True)
        (snapshot / "model.safetensors").symlink_to(f"../../blobs/{revision * 64}")
    return repo


def test_a_hub_cache_is_entered(tmp_path: Path) -> None:
    checkpoint = open_target(str(hub(tmp_path, "a")))
    assert checkpoint.index.names == ["a"]
    assert not checkpoint.faults


def test_a_hub_cache_goes_by_main(tmp_path: Path) -> None:
    repo = write(hub(tmp_path, "a", "b"), {"refs/main": b"b"})
    assert open_target(str(repo)).index.names == ["b"]
    assert open_target(str(repo / "snapshots" / "a")).index.names == ["a"]


def test_a_hub_cache_of_several_revisions_asks_which(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="2 revisions"):
        open_target(str(hub(tmp_path, "a", "b")))


def test_a_hub_cache_without_its_blob(tmp_path: Path) -> None:
    repo = hub(tmp_path, "a")
    (repo / "blobs" / ("a" * 64)).unlink()
    (fault,) = open_target(str(repo)).faults
    assert (fault.kind, fault.lost) == (FaultKind.UNREADABLE, True)


def test_a_link_out_of_the_folder_is_told_only_with_a_fault(tmp_path: Path) -> None:
    write(tmp_path, {"good": shard("a"), "bad": b"secret of another file", "ckpt/x": b""})
    (tmp_path / "ckpt" / "a.safetensors").symlink_to("../good")
    assert not open_target(str(tmp_path / "ckpt")).faults
    (tmp_path / "ckpt" / "b.safetensors").symlink_to("../bad")
    (fault,) = open_target(str(tmp_path / "ckpt")).faults
    assert str(tmp_path / "bad") in fault.message
    assert "secret" not in fault.message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_a_fault(tmp_path: Path) -> None:
    write(tmp_path, {"m.safetensors": shard("a")})
    (tmp_path / "m.safetensors").chmod(0)
    (fault,) = open_target(str(tmp_path)).faults
    assert (fault.kind, fault.lost) == (FaultKind.UNREADABLE, True)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real indexes are not here")
@pytest.mark.parametrize(
    "path",
    sorted(SHARED.glob("*/*index*.json")),
    ids=lambda path: path.parent.name,
)
def test_real_indexes_read_as_the_standard_parser_reads_them(path: Path) -> None:
    try:
        entries = json.loads(path.read_bytes())["weight_map"]
    except ValueError:
        entries = {}
    checkpoint = open_target(str(path))
    assert placed(checkpoint) == entries
    assert bool(checkpoint.map) is bool(entries)
    assert bool(checkpoint.faults) is (not entries or path.parent.name == "scicore-omics-mixed")
