"""How huggingface_hub lays out what it has downloaded: a cache of blobs, or notes beside plain files.

Read in its `file_download.py`, `_local_folder.py` and `_tree_cache.py` (2.4).

    models--org--name/                       a cache
        blobs/<etag>                         or a link to blobs/<xx>/<xet hash> at the top of the cache
        refs/main                            the commit of a branch
        snapshots/<commit>/model.safetensors -> ../../blobs/<etag>
        trees/<commit>.json
    folder/.cache/huggingface/               beside files that `--local-dir` asked for
        download/model.safetensors.metadata  commit, etag, seconds since 1970
        trees/<commit>.json
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from weightlint import small_file
from weightlint.digest import GIT_SHA1, SHA256

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.store import Store

NOTES = ".cache/huggingface"
"""The folder of notes beside files that were downloaded into a plain folder."""

MAX_GIT_FILE = 10 << 20
"""Bytes of the largest file that the hub takes without LFS, and so names by its git hash."""

MAX_HOPS = 40
"""Links of links that Linux follows before it calls them a loop."""

_COMMIT = re.compile(r"[0-9a-f]{40}")
_HEX = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class Snapshot(NamedTuple):
    """A folder in a cache: the repository's folder, the commit, and the path below the snapshot, with a slash."""

    storage: Path
    commit: str
    prefix: str


@dataclass(frozen=True, slots=True)
class Note:
    """What is noted of one downloaded file. `etag` is what the server called its content, `written` a time."""

    commit: str
    etag: str
    written: float


def is_commit(text: str) -> bool:
    """Tell whether a text is the name of a commit."""
    return _COMMIT.fullmatch(text) is not None


def hops(path: Path) -> Iterator[Path]:
    """Yield a path and, one after the other, where the links on its way lead, as far as a system follows them."""
    for _ in range(MAX_HOPS):
        try:
            path = Path(os.path.realpath(path.parent)) / path.name
            yield path
            path = path.parent / path.readlink()
        except (OSError, ValueError):
            return


def snapshot_of(folder: Path) -> Snapshot | None:
    """Return where in a cache a folder lies; None outside of one."""
    for each in (folder, *folder.parents):
        if each.parent.name == "snapshots" and is_commit(each.name):
            below = folder.relative_to(each).as_posix()
            return Snapshot(each.parent.parent, each.name, "" if below == "." else f"{below}/")
    return None


def revisions(storage: Path) -> list[Path]:
    """Return the snapshots of a repository in a cache; of several the one that refs/main names if it is there."""
    inside = storage if storage.name == "snapshots" else storage / "snapshots"
    found = sorted(each for each in inside.iterdir() if each.is_dir()) if inside.is_dir() else []
    if not found or not (inside.parent / "blobs").is_dir():
        return []
    main = small_file.read_path(inside.parent / "refs" / "main", limit=100)
    wanted = (main or b"").decode(errors="replace").strip()
    return [each for each in found if each.name == wanted] or found


def read_note(store: Store, path: str) -> Note | None:
    """Read the note on one file, of which `path` is that in the repository; None without a sound one."""
    raw = small_file.read(store, f"{NOTES}/download/{path}.metadata", limit=4096)
    lines = [line.strip() for line in (raw or b"").decode(errors="replace").splitlines()]
    try:
        commit, etag, written = lines[0], lines[1], float(lines[2])
    except (IndexError, ValueError):
        return None
    return Note(commit, etag, written) if is_commit(commit) and isfinite(written) else None


def named_hash(etag: str, size: int) -> tuple[str, str] | None:
    """Return algorithm and hash that a content of `size` bytes is named by.

    The hub names LFS and Xet files by their sha256 and small ones by git's sha1. A large file with a name of 40
    digits was not named by the hub but by a mirror that has other ideas of an etag: it says nothing.
    """
    if not _HEX.fullmatch(etag):
        return None
    if len(etag) == 64:
        return SHA256, etag
    return (GIT_SHA1, etag) if size <= MAX_GIT_FILE else None


def changed_later(store: Store, file: str, written: float) -> str | None:
    """Say that a file was changed after a note on it was written; None if it was not, or nobody knows.

    As huggingface_hub, which ignores the note then: one second is what a file system may round.
    """
    place = store.real(file)
    try:
        changed = place.stat().st_mtime if place else written
    except OSError:
        return None
    if changed - 1 <= written:
        return None
    return f"the file was changed {_span(changed - written)} after its download, or copied without its dates"


def _span(seconds: float) -> str:
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            number = int(seconds // length)
            return f"{number:,} {unit}{'s' if number > 1 else ''}"
    return "a moment"
