"""Pointers of Git LFS: in clones that git and git-lfs have made, in folders, alone, and broken ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from sound import blamed, flip, laid, sha256, shards, silent, weights

from weightlint import api, lfs_pointer
from weightlint.errors import UsageError
from weightlint.finding import Level

if TYPE_CHECKING:
    from pathlib import Path

FILES = shards(2)
FIRST, SECOND = FILES
CLONE = "the Git LFS pointers of the clone"


def pointer(data: bytes) -> bytes:
    """Write a pointer as docs/spec.md in git-lfs/git-lfs gives it."""
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256(data)}\nsize {len(data)}\n"
    return text.encode()


def git(folder: Path, *words: str) -> None:
    """Run git apart from the settings of this machine."""
    apart = {
        "GIT_CONFIG_NOSYSTEM": "1",
        "HOME": str(folder),
        "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
        "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
    }
    named = ["-c", "user.name=x", "-c", "user.email=x@x", "-c", "protocol.file.allow=always"]
    subprocess.run(
        [str(shutil.which("git")), *named, *words],
        cwd=folder,
        check=True,
        capture_output=True,
        env=os.environ | apart,
    )


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a clone with its files checked out by git-lfs itself."""
    if not shutil.which("git-lfs"):
        pytest.skip("git-lfs writes the clone that is read")
    folder = laid(tmp_path / "clone", {**FILES, "config.json": b"{}\n"})
    git(folder, "init", "-q")
    git(folder, "lfs", "install", "--local")
    git(folder, "lfs", "track", "*.safetensors")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "all")
    return folder


def test_a_clone_of_git_lfs(clone: Path) -> None:
    assert f"2 of 3 files have a sha256 from {CLONE}" in silent(clone).notes
    flip(clone / SECOND)
    found = blamed(clone, SECOND, CLONE)
    assert (found.level, found.expected) == (Level.ERROR, sha256(FILES[SECOND]))


def test_a_clone_whose_objects_are_packed(clone: Path) -> None:
    git(clone, "gc", "-q", "--aggressive", "--prune=now")
    assert not [*(clone / ".git" / "objects").glob("??/*")]
    assert f"2 of 3 files have a sha256 from {CLONE}" in silent(clone).notes
    flip(clone / FIRST)
    blamed(clone, FIRST, CLONE)


@pytest.mark.parametrize("version", ["2", "3", "4"])
def test_versions_of_the_index(clone: Path, version: str) -> None:
    git(clone, "update-index", "--index-version", version)
    if version == "3":
        git(clone, "update-index", "--skip-worktree", "config.json")
    assert f"2 of 3 files have a sha256 from {CLONE}" in silent(clone).notes


def test_a_file_that_was_edited_in_a_clone(clone: Path) -> None:
    flip(clone / FIRST)
    later = time.time() + 86_400
    os.utime(clone / FIRST, (later, later))
    found = blamed(clone, FIRST, CLONE)
    assert found.level is Level.WARNING
    assert "changed after git last saw it" in found.message


def without_large_files(clone: Path, folder: Path) -> Path:
    """Clone a clone as GIT_LFS_SKIP_SMUDGE=1 does, with pointers in the place of large files."""
    pointers = folder / "pointers"
    plain = ("-c", "filter.lfs.smudge=", "-c", "filter.lfs.required=false")
    git(folder, *plain, "clone", "-q", str(clone), str(pointers))
    return pointers


def test_a_clone_without_its_large_files(clone: Path, tmp_path: Path) -> None:
    """GIT_LFS_SKIP_SMUDGE=1 leaves a folder of pointers, to hold a download against."""
    pointers = without_large_files(clone, tmp_path)
    assert lfs_pointer.parse((pointers / FIRST).read_bytes()) is not None
    here = laid(tmp_path / "here", FILES)
    assert any(
        "a sha256 from" in note and "2 of 2 files" in note
        for note in silent(here, against=[str(pointers)]).notes
    )
    flip(here / FIRST)
    blamed(here, FIRST, "the Git LFS pointer", against=[str(pointers)])


def test_downloads_in_the_place_of_pointers(clone: Path, tmp_path: Path) -> None:
    """`git lfs pull` by other means: git's index still has the size of the pointer, so nobody edited the file."""
    pointers = without_large_files(clone, tmp_path)
    laid(pointers, FILES)
    assert f"2 of 3 files have a sha256 from {CLONE}" in silent(pointers).notes
    flip(pointers / FIRST)
    assert blamed(pointers, FIRST, CLONE).level is Level.ERROR


def test_a_file_that_is_an_object(clone: Path) -> None:
    """Where the working file is a hard link to the object (`git lfs dedup` and others) its name is the hash."""
    name = sha256(FILES[FIRST])
    (clone / FIRST).unlink()
    os.link(clone / ".git" / "lfs" / "objects" / name[:2] / name[2:4] / name, clone / FIRST)
    assert "1 of 3 files has a sha256 from names of objects in .git/lfs" in silent(clone).notes


def test_small_weights_in_git_itself(tmp_path: Path) -> None:
    if not shutil.which("git"):
        pytest.skip("git writes the clone that is read")
    folder = laid(tmp_path / "clone", FILES)
    git(folder, "init", "-q")
    git(folder, "add", ".")
    assert "2 of 2 files have a git-sha1 from the index of git" in silent(folder).notes
    flip(folder / SECOND)
    blamed(folder, SECOND, "the index of git")


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "huge", "objects"])
def test_a_damaged_clone_says_less(clone: Path, damage: str) -> None:
    index = clone / ".git" / "index"
    raw = index.read_bytes()
    match damage:
        case "cut":
            index.write_bytes(raw[: len(raw) // 2])
        case "flipped":
            index.write_bytes(raw[:12] + bytes(byte ^ 0xFF for byte in raw[12:]))
        case "empty":
            index.write_bytes(b"")
        case "huge":
            index.write_bytes(raw[:8] + b"\xff\xff\xff\xff" + raw[12:])
        case "objects":
            for path in (clone / ".git" / "objects").glob("??/*"):
                path.chmod(0o644)
                path.write_bytes(os.urandom(1000))
    silent(clone)


def test_a_git_folder_of_circles(tmp_path: Path) -> None:
    laid(tmp_path, FILES)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "index").symlink_to(tmp_path / ".git" / "index")
    (tmp_path / ".git" / "lfs").symlink_to(tmp_path)
    silent(tmp_path)


def test_a_pointer_that_is_given(tmp_path: Path) -> None:
    """One pointer alone, of another name, is of the only file there is."""
    path = tmp_path / "pointer.txt"
    path.write_bytes(pointer(FILES[FIRST]))
    here = laid(tmp_path / "here", {"model.safetensors": FILES[FIRST]})
    assert (
        "1 of 1 file has a sha256 from the Git LFS pointer given" in silent(here, against=[str(path)]).notes
    )
    flip(here / "model.safetensors")
    blamed(here, "model.safetensors", "the Git LFS pointer given", against=[str(path)])


def test_a_size_that_is_another(tmp_path: Path) -> None:
    path = tmp_path / "pointer.txt"
    path.write_bytes(pointer(weights(0, rows=65)))
    here = laid(tmp_path / "here", {"model.safetensors": FILES[FIRST]})
    found = blamed(here, "model.safetensors", "does not have the size", against=[str(path)])
    assert found.found == f"{len(FILES[FIRST]):,} bytes"


SOUND = [
    pointer(FILES[FIRST]),
    pointer(FILES[FIRST]).replace(b"git-lfs.github", b"hawser.github"),
    pointer(FILES[FIRST]).replace(b"oid", b"ext-0-foo sha256:%b\next-1-bar sha256:%b\noid" % (b"1" * 64, b"2" * 64)),
    pointer(FILES[FIRST]).replace(b"\n", b"\r\n"),
]  # fmt: skip


@pytest.mark.parametrize("text", SOUND)
def test_spellings_of_pointers(text: bytes) -> None:
    found = lfs_pointer.parse(text)
    assert found == lfs_pointer.Pointer(sha256(FILES[FIRST]), len(FILES[FIRST]))


BROKEN = [
    pointer(FILES[FIRST]).replace(b"spec/v1", b"spec/v2"),
    pointer(FILES[FIRST]).replace(b"sha256", b"sha512"),
    pointer(FILES[FIRST]).replace(b"oid sha256:", b"oid sha256:zz"),
    pointer(FILES[FIRST])[:90],
    pointer(FILES[FIRST]).replace(b"\nsize", b" size"),
    b"version https://git-lfs.github.com/spec/v1\n" * 1000,
    b"version https://git-lfs.github.com/spec/v1\n" + b"\0" * 500,
]


@pytest.mark.parametrize("text", BROKEN)
def test_broken_pointers_that_are_given(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "pointer.txt"
    path.write_bytes(text)
    here = laid(tmp_path / "here", {"model.safetensors": FILES[FIRST]})
    with pytest.raises(UsageError, match=r"no sound Git LFS pointer|holds no hashes"):
        api.verify(str(here), against=[str(path)])


def test_a_pointer_that_claims_too_much(tmp_path: Path) -> None:
    path = tmp_path / "pointer.txt"
    path.write_bytes(pointer(FILES[FIRST]).replace(b"size ", b"size 999999999999999"))
    here = laid(tmp_path / "here", {"model.safetensors": FILES[FIRST]})
    blamed(here, "model.safetensors", "the size", against=[str(path)])
