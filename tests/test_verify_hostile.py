"""What `weightlint verify` is given may be damaged or made to hurt: it ends in a report or in one line, never in a traceback."""

from __future__ import annotations

import copy
import errno
import gzip
import json
import os
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save, save_file
from sound import flip, laid, shards, silent, weights

from weightlint import api
from weightlint.cli import app
from weightlint.errors import UsageError
from weightlint.stores.local import LocalBlob
from weightlint.verifying import manifest as manifests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from weightlint.finding import Report

FILES = shards(2)
FIRST, SECOND = FILES


UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)
"""A run of verify takes too long to be made smaller a thousand times; the edits drawn are few anyway."""


def run(*words: str) -> tuple[int, str]:
    """Run a command line; return its exit code and all that it has written."""
    result = CliRunner().invoke(app, [*words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def reported(done: Callable[[], Report]) -> Report | None:
    """Return a report in which no rule crashed, None where the input was refused."""
    try:
        report = done()
    except UsageError as error:
        assert str(error)  # noqa: PT017 -- both ends are right
        return None
    assert [it.message for it in report.findings if it.code == "WL000"] == []
    return report


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkpoint of two shards, one of them with stacked experts."""
    stack = np.random.default_rng(8).standard_normal((4, 32, 64)).astype(np.float32)
    experts = save({"model.layers.0.mlp.experts.down_proj": stack, "model.layers.0.norm.weight": np.ones(64)})
    return laid(tmp_path_factory.mktemp("model"), {FIRST: FILES[FIRST], SECOND: experts})


@pytest.fixture(scope="module")
def listed(model: Path) -> Any:
    return json.loads(api.manifest(str(model)))


@pytest.fixture(scope="module")
def tallied(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("tally") / "state.json"
    (model / "SHA256SUMS").write_text(f"{'0' * 64}  {FIRST}\n")
    api.verify(str(model), resume=str(path))
    (model / "SHA256SUMS").unlink()
    return json.loads(path.read_text())


ODD: list[Any] = [
    None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, -(2**63), 10**30, 0.5, 1e308, float("nan"), float("inf"), "", "x",
    "../../etc/passwd", "/etc/passwd", "\x1b[31mred", "\u202egnorw", "\x00", "\ud800", "9" * 5000, "F32", "weight", [], {},
    [[]], [None], {"": None}, [0, 1, 2, 3, 4, 5], "0" * 32, "0" * 64,
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value within a JSON value."""
    yield path
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from places(inner, (*path, key))


def damaged(value: Any, draw: st.DataObject) -> Any:
    """Return a copy with up to three values replaced, dropped, doubled or renamed at random."""
    whole = {"": copy.deepcopy(value)}
    for _ in range(draw.draw(st.integers(1, 3))):
        *way, last = draw.draw(st.sampled_from([*places(whole[""], ("",))]))
        parent: Any = whole
        for key in way:
            parent = parent[key]
        match draw.draw(st.sampled_from(["replace", "replace", "drop", "double", "rename", "move"])):
            case "drop" if last != "":
                del parent[last]
            case "double" if isinstance(parent, list):
                parent.insert(last, parent[last])
            case "rename" if isinstance(parent, dict) and last != "":
                parent[draw.draw(st.sampled_from([it for it in ODD if isinstance(it, str)]))] = parent.pop(
                    last
                )
            case "move" if type(parent[last]) is int:
                parent[last] += draw.draw(st.sampled_from([-1, 1, 7, 4096, -4096, 2**40]))
            case _:
                parent[last] = copy.deepcopy(draw.draw(st.sampled_from(ODD)))
    return whole[""]


@given(st.data())
@settings(max_examples=300, phases=UNSHRUNK)
def test_manifests_that_are_damaged_at_random(
    model: Path, listed: Any, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "listed.json"
    path.write_bytes(json.dumps(damaged(listed, data)).encode())
    reported(lambda: api.verify(str(model), manifest=str(path)))


@given(st.data())
@settings(max_examples=300, phases=UNSHRUNK)
def test_parts_that_are_damaged_at_random(
    tallied: Any, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "part.json"
    path.write_bytes(json.dumps(damaged(tallied, data)).encode())
    code, text = run("merge", str(path))
    assert code in {0, 1, 2, 3}
    assert "WL000" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text


@given(st.data())
@settings(max_examples=150, phases=UNSHRUNK)
def test_states_that_are_damaged_at_random(
    model: Path, tallied: Any, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """What is not as it was is refused or read again: the files are sound, and so is the report."""
    path = tmp_path_factory.getbasetemp() / "state.json"
    path.write_bytes(json.dumps(damaged(tallied, data)).encode())
    report = reported(lambda: api.verify(str(model), resume=str(path)))
    assert report is None or report.facts.complete


@given(raw=st.binary(max_size=200), at=st.integers(0, 10**6), cut=st.integers(0, 10**6))
@settings(max_examples=200, phases=UNSHRUNK)
def test_bytes_at_random_places(
    model: Path,
    listed: Any,
    tallied: Any,
    tmp_path_factory: pytest.TempPathFactory,
    raw: bytes,
    at: int,
    cut: int,
) -> None:
    base = tmp_path_factory.getbasetemp()
    for whole in (listed, tallied):
        text = json.dumps(whole).encode()
        at, cut = at % len(text), cut % 50
        for data in (text[:at] + raw + text[at + cut :], gzip.compress(text)[:at] + raw):
            (base / "odd").write_bytes(data)
            reported(lambda: api.verify(str(model), manifest=str(base / "odd")))
            reported(lambda: api.merge([str(base / "odd")]))


def pieces(count: int, size: int) -> list[list[Any]]:
    """Return so many pieces of equal length."""
    step = size // count
    ends = [*range(0, step * count, step), size]
    return [
        [f"x.{at}", "U8", [stop - start], start, stop, ["0" * 32]]
        for at, (start, stop) in enumerate(pairwise(ends))
    ]


SIZE = len(FILES[FIRST])
ENTRY = {"size": SIZE, "sha256": "0" * 64, "pieces": pieces(3, SIZE)}
MANIFEST = {"weightlint_manifest": 1, "weightlint": "0", "files": {FIRST: ENTRY}}


def edited(**more: Any) -> bytes:
    return json.dumps(MANIFEST | {"files": {FIRST: ENTRY | more}}).encode()


REFUSED = {
    "nothing": b"",
    "a number": b"7",
    "another version": json.dumps(MANIFEST | {"weightlint_manifest": 2}).encode(),
    "deep": b"[" * 200_000,
    "a number of 5,000 digits": b'{"weightlint_manifest": ' + b"9" * 5000 + b"}",
    "NaN": edited(size=float("nan")),
    "below zero": edited(size=-1, pieces=[]),
    "a hole": edited(pieces=[*pieces(3, SIZE)[:1], *pieces(3, SIZE)[2:]]),
    "an overlap": edited(pieces=[*pieces(3, SIZE), *pieces(3, SIZE)]),
    "backwards": edited(pieces=[*reversed(pieces(3, SIZE))]),
    "beyond the end": edited(pieces=pieces(3, SIZE + 1)),
    "too short": edited(pieces=pieces(3, SIZE - 1)),
    "no hashes": edited(pieces=[[*it[:5], []] for it in pieces(3, SIZE)]),
    "too many hashes": edited(pieces=[[*it[:5], ["0" * 32] * 2] for it in pieces(3, SIZE)]),
    "a hash that is none": edited(sha256="z" * 64),
    "out of the folder": json.dumps(MANIFEST | {"files": {f"../{FIRST}": ENTRY}}).encode(),
    "an absolute path": json.dumps(MANIFEST | {"files": {"/etc/passwd": ENTRY}}).encode(),
    "a file twice": json.dumps(MANIFEST).encode().replace(b'"files": {', b'"files": {"%b": {}, ' % FIRST.encode()),
    "half a gzip": gzip.compress(json.dumps(MANIFEST).encode())[:60],
    "a broken gzip": gzip.compress(bytes(range(256)) * 4)[:-200] + b"\xff" * 200,
    "two gzips": gzip.compress(json.dumps(MANIFEST).encode()) * 2,
}  # fmt: skip


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_manifests_that_are_refused(tmp_path: Path, data: bytes) -> None:
    laid(tmp_path, {FIRST: FILES[FIRST]})
    path = tmp_path / "listed.json"
    path.write_bytes(data)
    code, text = run("verify", str(tmp_path / FIRST), "--manifest", str(path))
    assert code == 2
    assert "listed.json" in text


def test_a_gzip_that_unpacks_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "MAX_SIZE", 1 << 20)
    laid(tmp_path, {FIRST: FILES[FIRST]})
    path = tmp_path / "listed.gz"
    path.write_bytes(gzip.compress(bytes(1 << 24)))
    with pytest.raises(UsageError, match="more than 1,048,576 bytes"):
        api.verify(str(tmp_path / FIRST), manifest=str(path))


def test_thousands_of_pieces(tmp_path: Path) -> None:
    laid(tmp_path, {FIRST: FILES[FIRST]})
    path = tmp_path / "listed.json"
    path.write_bytes(edited(pieces=pieces(20_000, SIZE)))
    (found,) = api.verify(str(tmp_path / FIRST), manifest=str(path), select=["WL705"]).findings
    assert found.count == 20_000


def test_a_manifest_whose_pieces_are_right_and_its_sha256_is_not(
    model: Path, listed: Any, tmp_path: Path
) -> None:
    """xxh3 is quick to forge: the sha256 counts as well."""
    wrong = copy.deepcopy(listed)
    wrong["files"][FIRST]["sha256"] = "0" * 64
    path = tmp_path / "listed.json"
    path.write_text(json.dumps(wrong))
    (found,) = api.verify(str(model), manifest=str(path)).findings
    assert (found.code, found.place.files, found.expected) == ("WL705", (FIRST,), "0" * 64)


def test_a_file_that_only_the_manifest_has(model: Path, listed: Any, tmp_path: Path) -> None:
    more = copy.deepcopy(listed)
    more["files"]["tokenizer.json"] = {"size": 0, "sha256": "0" * 64, "pieces": []}
    path = tmp_path / "listed.json"
    path.write_text(json.dumps(more))
    assert "tokenizer.json is listed in the manifest and not there" in silent(model, manifest=str(path)).notes


def test_rows_of_jobs_that_do_not_exist(tallied: Any, tmp_path: Path) -> None:
    more = copy.deepcopy(tallied)
    more["rows"] = [[f"no such job {at}", *row[1:]] for at, row in enumerate(tallied["rows"])]
    path = tmp_path / "part.json"
    path.write_text(json.dumps(more))
    with pytest.raises(UsageError, match="is not of its job"):
        api.merge([str(path)])


def test_parts_of_other_runs(model: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        api.verify_part(str(model), number, 2, str(tmp_path / f"{number}.json"), values=number == 1)
    with pytest.raises(UsageError, match="jobs are not in both"):
        api.merge([str(tmp_path / "1.json"), str(tmp_path / "2.json")])


def test_a_part_that_is_missing_is_exit_code_3(model: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        api.verify_part(str(model), number, 2, str(tmp_path / f"{number}.json"))
    assert run("merge", str(tmp_path / "1.json"))[0] == 3
    assert run("merge", str(tmp_path / "1.json"), str(tmp_path / "2.json"))[0] == 0


NAMES = ["\x1b[2Jx", "a\nb", "\u202ex", "x" * 2000]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_would_forge_output(tmp_path: Path, name: str) -> None:
    tensors = {f"layers.{at}.{name}.weight": np.full((64, 64), np.nan, np.float32) for at in range(2)}
    save_file(tensors, str(tmp_path / "model.safetensors"))
    code, text = run("verify", str(tmp_path))
    assert code == 1
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "a\nb" not in text
    assert "x" * 1000 not in text


def test_a_pipe_a_folder_and_a_device(tmp_path: Path) -> None:
    """None of them may be waited for or read to the end."""
    (tmp_path / "folder.safetensors").mkdir()
    os.mkfifo(tmp_path / "pipe.safetensors")
    (tmp_path / "zero.safetensors").symlink_to("/dev/zero")
    laid(tmp_path, {"model.safetensors": FILES[FIRST]})
    code, text = run("verify", str(tmp_path))
    assert code == 1
    assert "is a named pipe, not a file" in text
    assert "is a device, not a file" in text
    for name in ("pipe.safetensors", "zero.safetensors"):
        given_as = {
            option: run("verify", str(tmp_path / "model.safetensors"), option, str(tmp_path / name))
            for option in ("--manifest", "--against", "--resume")
        }
        assert {code for code, _ in given_as.values()} == {2}, given_as
        assert run("merge", str(tmp_path / name))[0] == 2


def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").symlink_to("b.safetensors")
    (tmp_path / "b.safetensors").symlink_to("a.safetensors")
    assert run("verify", str(tmp_path))[0] == 1
    laid(tmp_path, {"model.safetensors": FILES[FIRST]})
    for option in ("--manifest", "--against"):
        code, text = run(
            "verify", str(tmp_path / "model.safetensors"), option, str(tmp_path / "a.safetensors")
        )
        assert (code, "a.safetensors" in text) == (2, True)


@pytest.mark.parametrize(
    "data", [b"", b"\0", FILES[FIRST][:4], FILES[FIRST][:50], FILES[FIRST][:5000], b"\xff" * 100]
)
def test_files_that_are_cut(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    code, text = run("verify", str(path))
    assert code == 1
    assert "model.safetensors" in text


def test_nothing_to_read_is_exit_code_3(tmp_path: Path) -> None:
    save_file({"none": np.zeros((0, 4), np.float32)}, str(tmp_path / "model.safetensors"))
    code, text = run("verify", str(tmp_path))
    assert code == 3
    assert "nothing was checked" in text


def test_an_empty_folder(tmp_path: Path) -> None:
    code, text = run("verify", str(tmp_path))
    assert code in {2, 3}
    assert "no findings" not in text


def changing(monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> None:
    """Change something when the first bytes of weights are read."""
    read_into, todo = LocalBlob.read_into, [change]

    def changed(self: LocalBlob, buffer: memoryview, start: int) -> int:
        got = read_into(self, buffer, start)
        while todo:
            todo.pop()()
        return got

    monkeypatch.setattr(LocalBlob, "read_into", changed)


def large(path: Path) -> Path:
    path.write_bytes(weights(0, rows=4096))
    return path


@pytest.mark.parametrize("what", ["shrink", "grow", "overwrite"])
def test_files_that_change_while_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    path = large(tmp_path / "model.safetensors")
    size = path.stat().st_size

    def change() -> None:
        match what:
            case "shrink":
                os.truncate(path, size // 2)
            case "grow":
                os.truncate(path, size + 4096)
            case "overwrite":
                flip(path)
                os.utime(path, (1, 1))

    changing(monkeypatch, change)
    state = tmp_path / "state.json"
    report = api.verify(str(path), resume=str(state))
    (found,) = report.findings
    assert found.place.files == ("model.safetensors",)
    assert report.exit_code() == 1
    assert (
        "ends" in found.message if what == "shrink" else "was written to while it was read" in found.message
    )
    monkeypatch.undo()
    if what != "shrink":
        assert api.verify(str(path), resume=str(state)).facts.complete


def test_a_file_that_is_replaced_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The open file stays what it was, and is not taken for the new one by the next run."""
    path = large(tmp_path / "model.safetensors")
    other = tmp_path / "new"
    other.write_bytes(weights(0, rows=4096))
    changing(monkeypatch, lambda: other.replace(path))
    state = tmp_path / "state.json"
    assert api.verify(str(path), resume=str(state)).findings == ()
    monkeypatch.undo()
    flip(path)
    before = json.loads(state.read_text())["rows"][0][1]
    api.verify(str(path), resume=str(state))
    assert json.loads(state.read_text())["rows"][0][1] != before


def test_a_manifest_is_not_made_of_what_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = large(tmp_path / "model.safetensors")
    changing(monkeypatch, lambda: os.truncate(path, path.stat().st_size + 1))
    with pytest.raises(UsageError, match="was written to while it was read"):
        api.manifest(str(path))


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.EACCES])
@pytest.mark.parametrize("where", [0, 300_000, 4_000_000])
def test_bytes_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, where: int
) -> None:
    path = large(tmp_path / "model.safetensors")
    preadv = os.preadv

    def failing(descriptor: int, buffers: list[memoryview], start: int) -> int:
        if start <= where < start + sum(map(len, buffers)):
            raise OSError(code, os.strerror(code))
        return preadv(descriptor, buffers, start)

    monkeypatch.setattr(os, "preadv", failing)
    report = api.verify(str(path))
    (found,) = report.findings
    assert os.strerror(code) in found.message
    assert report.exit_code() == 1
    with pytest.raises(UsageError, match="a manifest needs all bytes"):
        api.manifest(str(path))


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laid(tmp_path, FILES)
    opened = os.open

    def refusing(path: Any, *words: Any, **more: Any) -> int:
        if str(path).endswith(SECOND):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return opened(path, *words, **more)

    monkeypatch.setattr(os, "open", refusing)
    report = api.verify(str(tmp_path))
    assert [it.place.files for it in report.findings] == [(SECOND,)]
    assert "Permission denied" in report.findings[0].message


@pytest.mark.parametrize("place", ["no/such/folder/state.json", "file/state.json"])
def test_where_nothing_can_be_kept(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """It is told before the bytes are read, not after."""
    (tmp_path / "file").touch()
    monkeypatch.setattr(LocalBlob, "read_into", None)
    code, text = run("verify", str(model), "--resume", str(tmp_path / place))
    assert code == 2
    assert "cannot keep results" in text


def test_a_cache_that_cannot_be(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    code, text = run("verify", str(model), "--cache")
    assert code == 2
    assert "--resume" in text


def test_a_cache(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert run("verify", str(model), "--cache")[0] == 0
    monkeypatch.setattr(LocalBlob, "read_into", None)
    assert run("verify", str(model), "--cache")[0] == 0
