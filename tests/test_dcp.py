"""Folders of torch.distributed.checkpoint: what their table says, and what is wrong with it."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest
from dcp_toy import Chunk, Folder
from torch_toy import OTHER_GLOBAL, text

from weightlint.folder import open_folder
from weightlint.index import FaultKind, Kind
from weightlint.store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weightlint.checkpoint import Checkpoint

ODD, TORN, UNSAFE = FaultKind.ODD, FaultKind.TORN, FaultKind.UNSAFE
FOREIGN, MALFORMED, UNTRUSTED = FaultKind.FOREIGN, FaultKind.MALFORMED, FaultKind.UNTRUSTED
FILE = "__0_0.distcp"


def opened(files: Mapping[str, bytes]) -> Checkpoint:
    return open_folder(MemoryStore(files), target="ckpt")


def rows(checkpoint: Checkpoint) -> dict[str, tuple[Kind, str]]:
    index = checkpoint.index
    return {name: (index.kind(row), index.file(row)) for row, name in enumerate(index.names)}


def halves(**changes: Any) -> Sequence[Chunk]:
    """Return the two halves of a [4, 2], each in a file of its own."""
    second = {"offsets": (2, 0), "sizes": (2, 2), "file": "__1_0.distcp", **changes}
    return [Chunk((0, 0), (2, 2), FILE), Chunk(**second)]


def one(name: str = "w", **changes: Any) -> Folder:
    return Folder({name: ("F32", (4, 2), halves(**changes))})


def test_tensors_are_listed_as_a_whole() -> None:
    folder = Folder(
        {
            "model.w": ("F32", (4, 2), halves()),
            "model.b": ("BF16", (3,), [Chunk((0,), (3,), FILE, offset=16, length=500)]),
            "scalar": ("I64", (), [Chunk((), (), FILE, offset=600)]),
            "optimizer.state.w.exp_avg": ("F32", (4, 2), halves()),
        },
        {"train_state": Chunk((), (), FILE, offset=700, length=9)},
    )
    checkpoint = opened(folder.files())
    assert not checkpoint.faults
    assert checkpoint.format == "dcp"
    assert rows(checkpoint) == {
        "model.w": (Kind("F32", (4, 2)), FILE),
        "model.b": (Kind("BF16", (3,)), FILE),
        "scalar": (Kind("I64", ()), FILE),
    }
    row = checkpoint.index.rows["model.b"]
    assert (checkpoint.index.starts[row], checkpoint.index.stops[row]) == (16, 516)
    assert [file.path for file in checkpoint.index.files] == [FILE, "__1_0.distcp"]


def test_a_file_that_is_absent_takes_its_tensors_along() -> None:
    files = Folder({"w": ("F32", (4, 2), halves()), "b": ("F32", (1,), [Chunk((0,), (1,), FILE)])}).files()
    del files["__1_0.distcp"]
    checkpoint = opened(files)
    assert checkpoint.absent == ("__1_0.distcp",)
    assert list(rows(checkpoint)) == ["b"]
    assert checkpoint.lost == {"__1_0.distcp": ["w"]}


def test_a_file_cut_short_is_told_with_its_tensors() -> None:
    files = one().files()
    files["__1_0.distcp"] = files["__1_0.distcp"][:-3]
    (fault,) = opened(files).faults
    assert (fault.kind, fault.file, fault.tensors) == (TORN, "__1_0.distcp", ("w",))
    assert "3 bytes" in fault.message


BROKEN: dict[str, tuple[Mapping[str, bytes], FaultKind, str]] = {
    "hole": (one(offsets=(3, 0), sizes=(1, 2)).files(), MALFORMED, "6 elements of the 8"),
    "overlap": (one(offsets=(1, 0), sizes=(2, 2)).files(), MALFORMED, "share elements"),
    "outside": (one(offsets=(3, 0)).files(), MALFORMED, "leaves the shape"),
    "rank": (one(offsets=(2,), sizes=(2,)).files(), MALFORMED, "1 dimensions"),
    "no place": (one(file="").files(), MALFORMED, "in no file"),
    "too few bytes": (one(length=15).files(), MALFORMED, "15 bytes for F32 [2, 2], which takes 16"),
    "leads out": (one(file="../x.distcp").files(), UNSAFE, "leads out of the folder"),
    "a global": (Folder(one().tensors, extra={"extra": OTHER_GLOBAL}).files(), UNTRUSTED, "os.getpid"),
    "only a global": ({".metadata": b"\x80\x02" + OTHER_GLOBAL + b"."}, UNTRUSTED, "os.getpid"),
    "another pickle": ({".metadata": pickle.dumps({"a": 1})}, MALFORMED, "no Metadata"),
    "cut off": ({".metadata": one().table()[:-1]}, MALFORMED, "STOP"),
    "pointer": ({".metadata": b"version https://git-lfs.github.com/spec/v1\n"}, FOREIGN, "LFS"),
    "text": ({".metadata": b"Eclipse"}, FOREIGN, "no pickle"),
    "left over": ({**one().files(), "__2_0.distcp": b""}, ODD, "__2_0.distcp"),
    "no table": ({FILE: b"x"}, FaultKind.UNREADABLE, "1 .distcp file"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_damage_is_one_fault(name: str) -> None:
    files, kind, words = BROKEN[name]
    (fault,) = opened(files).faults
    assert fault.kind is kind
    assert words in fault.message


def test_a_global_beside_the_table_leaves_the_table_readable() -> None:
    assert list(rows(opened(BROKEN["a global"][0]))) == ["w"]


def test_the_tables_of_ranks_are_put_together() -> None:
    first, second = halves()
    files = {
        "__0.metadata": Folder({"w": ("F32", (4, 2), [first])}).table(),
        "__1.metadata": Folder(
            {"w": ("F32", (4, 2), [second]), "b": ("F32", (1,), [Chunk((0,), (1,), FILE)])}
        ).table(),
        **{name: data for name, data in one().files().items() if name != ".metadata"},
    }
    checkpoint = opened(files)
    assert not checkpoint.faults
    assert rows(checkpoint)["w"] == (Kind("F32", (4, 2)), FILE)
    assert "b" in rows(checkpoint)


def test_ranks_that_disagree_are_told() -> None:
    files = {
        "__0.metadata": Folder({"w": ("F32", (2,), [Chunk((0,), (2,), FILE)])}).table(),
        "__1.metadata": Folder({"w": ("F32", (3,), [Chunk((0,), (3,), FILE)])}).table(),
        FILE: bytes(12),
    }
    (fault,) = opened(files).faults
    assert (fault.kind, fault.tensors) == (MALFORMED, ("w",))
    assert "another rank" in fault.message


def test_safetensors_beside_a_table_go_first() -> None:
    empty = (2).to_bytes(8, "little") + b"{}"
    assert opened({**one().files(), "model.safetensors": empty}).format == "safetensors"
    assert opened({**one().files(), "common.pt": text("x")}).format == "dcp"
