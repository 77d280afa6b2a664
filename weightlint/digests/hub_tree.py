"""Listing of a whole repository at one commit, which huggingface_hub keeps of each download.

`trees/<commit>.json` has size, git hash and, of LFS files, sha256 of every file, also of those that were not
downloaded (`_tree_cache.py` in huggingface/huggingface_hub, since 2.0). In a cache the snapshot's own commit counts,
beside plain files the commit of each file's download note.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from weightlint import small_file
from weightlint.digest import GIT_SHA1, SHA256, Digest
from weightlint.errors import UsageError
from weightlint.format import format_of
from weightlint.hub_layout import NOTES, Note, Snapshot, changed_later, is_commit, read_note, snapshot_of
from weightlint.listing import meant
from weightlint.surroundings import Level, levels

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from weightlint.store import Store

VERSION = 1
_HASHES = {SHA256: re.compile(r"[0-9a-f]{64}"), GIT_SHA1: re.compile(r"[0-9a-f]{40}")}


class HubTree:
    """Tree listings."""

    name = "hub_tree"
    says = "a tree listing of huggingface_hub (trees/<commit>.json)"

    def find(self, store: Store, files: Sequence[str]) -> Iterator[Digest]:
        """Yield what the listing of the right commit says of these files and of other tensor files."""
        root = store.real()
        snapshot = snapshot_of(root) if root else None
        if snapshot is not None:
            yield from _in_cache(snapshot)
        for level in levels(store):
            yield from _beside(store, level, files)

    def claims(self, path: Path, head: bytes) -> bool:
        """Claim a JSON object named by a commit."""
        return path.suffix == ".json" and is_commit(path.stem) and head.lstrip().startswith(b"{")

    def read(self, path: Path, files: Sequence[str]) -> Iterator[Digest]:
        """Yield what a listing says of these files."""
        listed = _listed(small_file.read_path(path), path.stem)
        if listed is None:
            message = f"{path} is no tree listing of version {VERSION}"
            raise UsageError(message)
        fits = meant(listed, files)
        yield from (_digest(fits[name], entry, path.stem) for name, entry in listed.items() if name in fits)


def _in_cache(snapshot: Snapshot) -> Iterator[Digest]:
    raw = small_file.read_path(snapshot.storage / "trees" / f"{snapshot.commit}.json")
    level = Level(small_file.folder(snapshot.storage), snapshot.prefix)
    for name, entry in (_listed(raw, snapshot.commit) or {}).items():
        own = level.own(name)
        if own is not None and format_of(own):
            yield _digest(own, entry, snapshot.commit)


def _beside(store: Store, level: Level, files: Sequence[str]) -> Iterator[Digest]:
    trees = {name[:-5] for name in level.store.names(f"{NOTES}/trees") if name.endswith(".json")}
    commits = list(filter(is_commit, trees))
    if not commits:
        return
    notes = {file: read_note(level.store, level.prefix + file) for file in files}
    noted = {note.commit for note in notes.values() if note}
    for commit in sorted(noted.intersection(commits) or (commits if len(commits) == 1 and not noted else ())):
        listed = _listed(small_file.read(level.store, f"{NOTES}/trees/{commit}.json"), commit)
        for name, entry in (listed or {}).items():
            own = level.own(name)
            if own is not None and _is_of(notes.get(own), commit, alone=len(noted) <= 1):
                yield from _current(store, _digest(own, entry, commit), notes.get(own))


def _is_of(note: Note | None, commit: str, *, alone: bool) -> bool:
    return note.commit == commit if note else alone


def _current(store: Store, digest: Digest, note: Note | None) -> Iterator[Digest]:
    """Yield a digest with the doubt that a later change of its file gives; of other files than weights nothing."""
    if format_of(digest.file) is None:
        return
    doubt = changed_later(store, digest.file, note.written) if note else None
    yield replace(digest, doubt=doubt)


def _listed(raw: bytes | None, commit: str) -> Mapping[str, Mapping[str, Any]] | None:
    """Return the sound entries of a listing, None if it is none of the version that is known."""
    tree = small_file.table(raw)
    files = small_file.plain(tree.get("files")) if tree and tree.get("format_version") == VERSION else None
    if files is None or not is_commit(commit):
        return None
    return {name: entry for name, entry in files.items() if _is_sound(entry)}


def _is_sound(entry: object) -> bool:
    found = small_file.plain(entry)
    sizes = [found.get("size"), found.get("lfs_size")] if found else [None]
    if (
        found is None
        or sizes[0] is None
        or any(type(it) is not int or it < 0 for it in sizes if it is not None)
    ):
        return False
    algorithm, key = _kind(found)
    value = small_file.text(found.get(key))
    return value is not None and _HASHES[algorithm].fullmatch(value) is not None


def _kind(entry: Mapping[str, Any]) -> tuple[str, str]:
    return (SHA256, "lfs_sha256") if entry.get("lfs_sha256") is not None else (GIT_SHA1, "blob_id")


def _digest(file: str, entry: Mapping[str, Any], commit: str) -> Digest:
    algorithm, key = _kind(entry)
    origin = f"the tree listing of commit {commit[:12]}"
    size = entry["size"] if entry.get("lfs_size") is None else entry["lfs_size"]
    return Digest(file=file, algorithm=algorithm, value=entry[key], size=size, origin=origin, commit=commit)


SOURCE = HubTree()
