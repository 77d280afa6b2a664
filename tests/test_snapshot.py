"""Snapshots: the same names, kinds and files after the round trip, and no trust in the file."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weightlint.checkpoint import Checkpoint
from weightlint.errors import UsageError
from weightlint.formats import snapshot
from weightlint.index import UNKNOWN, Fault, FaultKind, Header, Index, Kind
from weightlint.target import open_target
from weightlint.weight_map import WeightMap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SCHEMA = json.loads((Path(__file__).parents[1] / "schemas" / "_meta" / "snapshot.schema.json").read_text())
SIZES = {"F32": 4, "BF16": 2, "F8_E4M3": 1}

segments = st.one_of(
    st.sampled_from(["layers", "experts", "w", "*", "{", "\\", "007", "1..2", "é", ""]),
    st.integers(0, 12).map(str),
)
names = st.lists(segments, min_size=1, max_size=4).map(".".join)
kinds = st.one_of(
    st.just(UNKNOWN),
    st.builds(Kind, st.sampled_from([*SIZES, "F7"]), st.lists(st.integers(0, 9), max_size=3).map(tuple)),
)
tables = st.dictionaries(
    st.sampled_from(["1.safetensors", "2.safetensors", "sub/3.safetensors"]),
    st.lists(st.tuples(names, kinds), max_size=12, unique_by=lambda row: row[0]),
    max_size=3,
)


def index_of(files: Mapping[str, Sequence[tuple[str, Kind]]]) -> Index:
    """Return an index with these rows; names may stand in several files."""
    index = Index()
    for path, rows in files.items():
        zeros = [0] * len(rows)
        header = Header([name for name, _ in rows], [kind for _, kind in rows], zeros, zeros, size=len(rows))
        index.add(path, header)
    return index


def rows_of(index: Index) -> list[tuple[str, Kind, str]]:
    """Return what a snapshot keeps of every row, sorted."""
    rows = range(len(index))
    return sorted(((index.names[row], index.kind(row), index.file(row)) for row in rows), key=repr)


def passed_through(checkpoint: Checkpoint, folder: Path, name: str = "x.json.gz") -> Checkpoint:
    """Write and read a snapshot."""
    snapshot.write(checkpoint, folder / name)
    return open_target(str(folder / name))


@settings(deadline=None)
@given(
    tables,
    tables,
    st.dictionaries(names, st.sampled_from(["1.safetensors", "absent.safetensors"]), max_size=5),
)
def test_the_round_trip_keeps_every_row(
    tmp_path_factory: pytest.TempPathFactory,
    members: dict[str, list[tuple[str, Kind]]],
    strays: dict[str, list[tuple[str, Kind]]],
    claims: dict[str, str],
) -> None:
    index = index_of(members)
    claimed = {name: index.file(row) for name, row in index.rows.items()} | claims
    before = Checkpoint(
        target="x", index=index, strays=index_of(strays), map=WeightMap("i.index.json", claimed, 7.0)
    )
    jsonschema.validate(json.loads(json.dumps(snapshot.describe(before))), SCHEMA)
    after = passed_through(before, tmp_path_factory.mktemp("snapshot"))
    assert rows_of(after.index) == rows_of(before.index)
    assert rows_of(after.strays) == rows_of(before.strays)
    assert after.index.files == before.index.files
    assert after.map == before.map


def test_the_rest_is_kept_as_well(tmp_path: Path) -> None:
    fault = Fault(kind=FaultKind.TORN, file="a", message="m", tensors=("a.{0..2}",), cure="c", lost=True)
    before = Checkpoint(
        target=str(tmp_path / "x.json"),
        absent=("b",),
        unfinished=("b.incomplete",),
        faults=(fault,),
        config=b'{"a": 1}',
        names_only=True,
    )
    assert passed_through(before, tmp_path, "x.json") == before


def test_sizes_follow_from_the_kinds(tmp_path: Path) -> None:
    before = Checkpoint(target="x", index=index_of({"1": [("a", Kind("BF16", (3, 5)))]}))
    assert passed_through(before, tmp_path).index.nbytes(0) == 30


def test_a_note_may_stand_before_the_version(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"origin": "where it is from"} | snapshot.describe(Checkpoint(target="x"))))
    assert open_target(str(path)).target == str(path)


def test_equal_checkpoints_give_equal_bytes(tmp_path: Path) -> None:
    before = Checkpoint(target="x", index=index_of({"1": [("a", UNKNOWN)]}))
    for name in ("a.json.gz", "b.json.gz"):
        snapshot.write(before, tmp_path / name)
    assert (tmp_path / "a.json.gz").read_bytes() == (tmp_path / "b.json.gz").read_bytes()


def table(**more: Any) -> dict[str, Any]:
    """Return a snapshot of nothing."""
    return {"weightlint_snapshot": 1, "files": [], **more}


def family(*tensors: object, shape: object = (2,)) -> dict[str, Any]:
    """Return a file entry with one family."""
    return {"path": "a", "size": 1, "families": [{"dtype": "F32", "shape": shape, "tensors": tensors}]}


HOSTILE: dict[str, dict[str, Any]] = {
    "another version": {"weightlint_snapshot": 2, "files": []},
    "no files": {"weightlint_snapshot": 1},
    "files of another type": table(files=5),
    "a billion names": table(files=[family("x.{0..999999999}")]),
    "a billion by product": table(files=[family("{0..99999}.{0..99999}")]),
    "a billion in all": table(files=[family(*["{0..9999999}"] * 100)]),
    "a billion claims": table(
        index={"path": "i", "total_size": 0, "differs": {"claims": {"f": ["{0..999999999}"]}, "unlisted": []}}
    ),
    "a billion unlisted": table(
        index={"path": "i", "total_size": 0, "differs": {"claims": {}, "unlisted": ["{0..999999999}"]}}
    ),
    "no pattern": table(files=[family("x{")]),
    "a number as pattern": table(files=[family(7)]),
    "a text as shape": table(files=[family("x", shape="ab")]),
    "a fault of no kind": table(faults=[{"kind": "x", "tensors": []}]),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_snapshot_is_refused(tmp_path: Path, content: dict[str, Any]) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError):
        open_target(str(path))


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "MAX_TEXT", 1000)
    path = tmp_path / "x.json.gz"
    path.write_bytes(gzip.compress(b'{"weightlint_snapshot":1,"x":"' + b" " * 5000 + b'"}'))
    with pytest.raises(UsageError, match="1,000 bytes"):
        open_target(str(path))


def test_a_cut_snapshot_is_refused(tmp_path: Path) -> None:
    snapshot.write(Checkpoint(target="x"), tmp_path / "x.json.gz")
    whole = (tmp_path / "x.json.gz").read_bytes()
    (tmp_path / "x.json.gz").write_bytes(whole[:-12])
    with pytest.raises(UsageError):
        open_target(str(tmp_path / "x.json.gz"))
