"""Hashes that huggingface_hub leaves behind, read from caches and folders that its own code has written."""

from __future__ import annotations

import json
import os
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest
from hub_toy import COMMIT, REPO, hub
from sound import blamed, flip, laid, sha256, shards, silent

from weightlint import api
from weightlint.errors import UsageError
from weightlint.finding import Level

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub_toy import Hub

pytest.importorskip("huggingface_hub", "2.0", reason="its code writes the caches that are read")

FIRST, SECOND = sorted(shards(2))
FILES = {**shards(2), "config.json": b'{"architectures": []}\n', "folder/notes.json": b"{}\n"}
LATER = 4e9
"""A time after every file of a test was written, in seconds since 1970."""

CACHE = "blob names of the Hugging Face cache"
NOTES = "the download notes in .cache/huggingface"
TREE = f"the tree listing of commit {COMMIT[:12]}"


@pytest.fixture(scope="module")
def served() -> Iterator[Hub]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        patch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        with hub(FILES) as running:
            yield running


def test_a_cache(served: Hub, tmp_path: Path) -> None:
    snapshot = served.to_cache(tmp_path / "hub")
    assert (snapshot / FIRST).is_symlink()
    notes = silent(snapshot).notes
    assert f"2 of 3 files have a sha256 from {CACHE}" in notes
    assert f"1 of 3 files has a git-sha1 from {CACHE}" in notes
    assert f"2 of 3 files have a sha256 from {TREE}" in notes
    flip(snapshot / SECOND)
    found = blamed(snapshot, SECOND, CACHE)
    assert (found.level, found.expected) == (Level.ERROR, sha256(FILES[SECOND]))
    assert found.found == sha256((snapshot / SECOND).read_bytes())


def test_a_repository_in_a_cache(served: Hub, tmp_path: Path) -> None:
    """The folder of the repository, not of a snapshot, is what --against may be given."""
    snapshot = served.to_cache(tmp_path / "hub")
    copy = laid(tmp_path / "copy", {name: FILES[name] for name in (FIRST, SECOND)})
    repository = snapshot.parents[1]
    assert any(CACHE in note for note in silent(copy, against=[str(repository)]).notes)
    flip(copy / FIRST)
    blamed(copy, FIRST, CACHE, against=[str(repository)])


def test_blobs_that_several_repositories_share(served: Hub, tmp_path: Path) -> None:
    """Since 2.4 the blob of a Xet file may be a link to `<cache>/blobs/<xx>/<xet hash>`, a name of another kind."""
    shared = pytest.importorskip("huggingface_hub.utils._shared_blobs", reason="since huggingface_hub 2.4")
    cache = tmp_path / "hub"
    snapshot = served.to_cache(cache)
    blob = snapshot.parents[1] / "blobs" / sha256(FILES[FIRST])
    assert shared.publish_blob_to_shared_store(
        blob_path=str(blob), xet_hash="ab" * 32, cache_dir=str(cache), expected_size=len(FILES[FIRST])
    )
    assert blob.is_symlink()
    shutil.rmtree(snapshot.parents[1] / "trees")
    assert f"2 of 3 files have a sha256 from {CACHE}" in silent(snapshot).notes
    flip(snapshot / FIRST)
    blamed(snapshot, FIRST, CACHE)


def test_a_cache_without_links(served: Hub, tmp_path: Path) -> None:
    """Where links cannot be made the files are in the snapshot themselves; the tree listing still speaks."""
    snapshot = served.to_cache(tmp_path / "hub")
    for name in (FIRST, SECOND, "config.json"):
        blob = (snapshot / name).resolve()
        (snapshot / name).unlink()
        blob.rename(snapshot / name)
    assert [note for note in silent(snapshot).notes if CACHE in note] == []
    flip(snapshot / FIRST)
    blamed(snapshot, FIRST, TREE)


def test_a_blob_of_the_wrong_name(served: Hub, tmp_path: Path) -> None:
    """One blob in the place of the other: both are sound files, each is not what its name says."""
    snapshot = served.to_cache(tmp_path / "hub")
    one, other = ((snapshot / name).resolve() for name in (FIRST, SECOND))
    one.rename(tmp_path / "spare")
    other.rename(one)
    (tmp_path / "spare").rename(other)
    hurt = [it for it in api.verify(str(snapshot)).findings if it.code == "WL705"]
    assert [it.place.files for it in hurt] == [(FIRST,), (SECOND,)]


def test_a_folder(served: Hub, tmp_path: Path) -> None:
    folder = served.to_folder(tmp_path / "model")
    assert not (folder / FIRST).is_symlink()
    notes = silent(folder).notes
    assert f"2 of 3 files have a sha256 from {NOTES}" in notes
    assert f"2 of 3 files have a sha256 from {TREE}" in notes
    flip(folder / SECOND)
    found = blamed(folder, SECOND, NOTES)
    assert (found.level, found.expected) == (Level.ERROR, sha256(FILES[SECOND]))


def test_a_folder_that_was_edited(served: Hub, tmp_path: Path) -> None:
    """A config may be edited; weights that changed later are doubted and no more than a warning."""
    folder = served.to_folder(tmp_path / "model")
    (folder / "config.json").write_text("{}")
    flip(folder / FIRST)
    later = time.time() + 3 * 86_400
    for name in ("config.json", FIRST):
        os.utime(folder / name, (later, later))
    found = blamed(folder, FIRST, NOTES)
    assert found.level is Level.WARNING
    assert "changed 3 days after its download" in found.message
    (folder / FIRST).write_bytes(FILES[FIRST])
    os.utime(folder / FIRST, (later, later))
    silent(folder)


def test_a_folder_in_a_folder(tmp_path: Path) -> None:
    """A GGUF repository has a folder for each quantisation; the notes lie at its top."""
    with hub({"Q8/model.safetensors": FILES[FIRST], "Q4/model.safetensors": FILES[SECOND]}) as running:
        folder = running.to_folder(tmp_path / "model")
    assert f"1 of 1 file has a sha256 from {NOTES}" in silent(folder / "Q8").notes
    flip(folder / "Q8" / "model.safetensors")
    blamed(folder / "Q8", "model.safetensors", NOTES)
    silent(folder / "Q4")


def test_a_shard_that_is_listed_and_not_there(served: Hub, tmp_path: Path) -> None:
    snapshot = served.to_cache(tmp_path / "hub")
    (snapshot / SECOND).unlink()
    notes = api.verify(str(snapshot)).notes
    assert f"{SECOND} is listed in {TREE} and not there" in notes


def test_files_of_two_revisions(served: Hub, tmp_path: Path) -> None:
    folder = served.to_folder(tmp_path / "model")
    other = "decade00" * 5
    with hub(FILES, commit=other) as running:
        running.to_folder(folder, allow_patterns=[SECOND], force_download=True)
    notes = silent(folder).notes
    assert any("the files are of 2 revisions" in note and other[:12] in note for note in notes)


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n\n\n",
        f"{COMMIT}\n",
        f"{COMMIT}\n{'a' * 64}\nnan\n",
        f"{COMMIT}\n{'a' * 64}\ninf\n",
        f"{COMMIT}\n{'a' * 64}\n-1e999\n",
        f"{COMMIT}\n{'g' * 64}\n1.0\n",
        f"{COMMIT}\n{'a' * 63}\n{LATER}\n",
        f"main\n{'a' * 64}\n{LATER}\n",
        f"{COMMIT}\n../../../etc/passwd\n{LATER}\n",
        "\udcff\x00" * 9,
        "x" * 10_000_000,
    ],
)
def test_notes_that_say_nothing(served: Hub, tmp_path: Path, note: str) -> None:
    folder = served.to_folder(tmp_path / "model")
    path = folder / ".cache" / "huggingface" / "download" / f"{FIRST}.metadata"
    path.write_bytes(note.encode(errors="surrogateescape"))
    assert f"1 of 3 files has a sha256 from {NOTES}" in silent(folder).notes


def entry(**more: Any) -> Any:
    return {"size": 7, "blob_id": "a" * 40, "lfs_sha256": "b" * 64, "lfs_size": 7} | more


def tree(files: Any, version: Any = 1) -> bytes:
    return json.dumps({"format_version": version, "files": files}).encode()


TREES = {
    "nothing": b"",
    "garbage": bytes(range(256)) * 100,
    "a list": b"[]",
    "deep": b'{"files": ' + b"[" * 100_000,
    "another version": tree({FIRST: entry()}, version=2),
    "no version": tree({FIRST: entry()}, version=None),
    "no files": tree(None),
    "a list of files": tree([FIRST]),
    "an entry of text": tree({FIRST: "x"}),
    "a size of text": tree({FIRST: entry(size="7")}),
    "a size below zero": tree({FIRST: entry(size=-7)}),
    "an LFS size below zero": tree({FIRST: entry(lfs_size=-7)}),
    "an LFS size of text": tree({FIRST: entry(lfs_size="7")}),
    "a short hash": tree({FIRST: entry(lfs_sha256="b" * 63)}),
    "an upper case hash": tree({FIRST: entry(lfs_sha256="B" * 64)}),
    "a hash of digits": tree({FIRST: entry(lfs_sha256=10**63)}),
    "out of the folder": tree({f"../{FIRST}": entry(), "/etc/passwd": entry(), "": entry(), "..": entry()}),
    "another file": tree({"other/" + FIRST: entry()}),
    "a file twice": tree({FIRST: entry()}).replace(b'"files": {', b'"files": {"%b": {}, ' % FIRST.encode()),
}


@pytest.mark.parametrize("data", TREES.values(), ids=TREES)
@pytest.mark.parametrize("kind", ["cache", "folder"])
def test_trees_that_say_nothing(served: Hub, tmp_path: Path, kind: str, data: bytes) -> None:
    if kind == "cache":
        place = served.to_cache(tmp_path / "hub")
        (place.parents[1] / "trees" / f"{COMMIT}.json").write_bytes(data)
    else:
        place = served.to_folder(tmp_path / "model")
        (place / ".cache" / "huggingface" / "trees" / f"{COMMIT}.json").write_bytes(data)
    assert [note for note in silent(place).notes if TREE in note] == []


def test_a_tree_that_is_given(served: Hub, tmp_path: Path) -> None:
    snapshot = served.to_cache(tmp_path / "hub")
    listing = snapshot.parents[1] / "trees" / f"{COMMIT}.json"
    here = laid(tmp_path / "here", {name: FILES[name] for name in (FIRST, SECOND)})
    assert f"2 of 2 files have a sha256 from {TREE}" in silent(here, against=[str(listing)]).notes
    flip(here / SECOND)
    blamed(here, SECOND, TREE, against=[str(listing)])
    listing.write_bytes(TREES["another version"])
    with pytest.raises(UsageError, match="no tree listing of version 1"):
        api.verify(str(here), against=[str(listing)])


def test_a_cache_of_several_revisions_is_not_guessed(served: Hub, tmp_path: Path) -> None:
    snapshot = served.to_cache(tmp_path / "hub")
    (snapshot.parent / ("ab" * 20)).mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("gone")
    here = laid(tmp_path / "here", {name: FILES[name] for name in (FIRST, SECOND)})
    with pytest.raises(UsageError, match="2 revisions; name one"):
        api.verify(str(here), against=[str(snapshot.parents[1])])


def test_an_etag_that_is_no_hash(served: Hub, tmp_path: Path) -> None:
    """A mirror may give a large file any etag, one of 40 digits among them (hub_layout.named_hash)."""
    folder = served.to_folder(tmp_path / "model")
    download = folder / ".cache" / "huggingface" / "download"
    shutil.rmtree(download.parent / "trees")
    (download / f"{FIRST}.metadata").write_text(f'{COMMIT}\n"5f3c-1a"\n{time.time()}\n')
    silent(folder)


def test_other_tools_that_have_blobs(tmp_path: Path) -> None:
    """A folder called `blobs` alone makes no cache."""
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / ("a" * 64)).write_bytes(FILES[FIRST])
    model = tmp_path / "model"
    model.mkdir()
    (model / FIRST).symlink_to(tmp_path / "blobs" / ("a" * 64))
    report = api.verify(str(model))
    assert [it.code for it in report.findings if it.code == "WL705"] == []


def test_links_in_a_circle(served: Hub, tmp_path: Path) -> None:
    snapshot = served.to_cache(tmp_path / "hub")
    (snapshot / SECOND).unlink()
    (snapshot / SECOND).symlink_to(snapshot / "loop")
    (snapshot / "loop").symlink_to(snapshot / SECOND)
    report = api.verify(str(snapshot))
    assert report.exit_code() != 0
    assert not [it for it in report.findings if it.code == "WL000"]


def test_the_repository_is_a_hub_s() -> None:
    """The name of the repository is what the cache's folder is made of (`repo_folder_name`)."""
    from huggingface_hub.file_download import repo_folder_name

    assert repo_folder_name(repo_id=REPO, repo_type="model") == "models--someone--model"
