"""Git LFS: the pointers that a repository has in place of large files, each with sha256 and size.

In a clone the pointer is the blob that the index names, in a pack or loose, for a file that is checked out; of a
file that is in git itself the blob's name is its hash. A clone made with GIT_LFS_SKIP_SMUDGE=1 is a folder of
pointers, to compare a download with. `.git/lfs/objects/aa/bb/<sha256>` may be the very file, as a hard link.
Formats: docs/spec.md in git-lfs/git-lfs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from weightlint import lfs_pointer, small_file
from weightlint.digest import GIT_SHA1, Digest
from weightlint.errors import UsageError
from weightlint.format import format_of
from weightlint.git import blobs, index
from weightlint.listing import meant
from weightlint.surroundings import Level, levels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from weightlint.git.index import Entry
    from weightlint.store import Store

GIT = ".git"
POINTER = "the Git LFS pointer"
_OBJECT = re.compile(r"/lfs/objects/([0-9a-f]{2})/([0-9a-f]{2})/(\1\2[0-9a-f]{60})")
_CHANGED = "the file was changed after git last saw it, or copied without its dates"


class LFS:
    """Pointers and objects of Git LFS."""

    name = "lfs"
    says = "a Git LFS pointer, or a folder of them (a clone made with GIT_LFS_SKIP_SMUDGE=1)"

    def find(self, store: Store, files: Sequence[str]) -> Iterator[Digest]:
        """Yield what the clone that these files lie in says of them and of other tensor files."""
        for level in levels(store):
            if GIT in level.store.folders():
                yield from _in_clone(store, level)
                yield from _linked(store, level, files)
                return

    def claims(self, path: Path, head: bytes) -> bool:
        """Claim a pointer, and a folder that has one for a tensor file."""
        if head:
            return lfs_pointer.parse(head) is not None
        store = small_file.folder(path)
        return any(format_of(name) and _pointer(store, name) for name in store.names())

    def read(self, path: Path, files: Sequence[str]) -> Iterator[Digest]:
        """Yield what pointers say; one alone, of another name than any file, says it of the only file."""
        if path.is_dir():
            yield from _in_folder(small_file.folder(path), files)
            return
        pointer = _pointer(small_file.folder(path.parent), path.name)
        if pointer is None:
            message = f"{path} is no sound Git LFS pointer"
            raise UsageError(message)
        named = list(meant([path.name], files).values())
        for file in named or (files if len(files) == 1 else ()):
            yield Digest(file=file, value=pointer.oid, size=pointer.size, origin=f"{POINTER} given")


def _in_folder(store: Store, files: Sequence[str]) -> Iterator[Digest]:
    for file in files:
        pointer = _pointer(store, file)
        if pointer is not None:
            yield Digest(file=file, value=pointer.oid, size=pointer.size, origin=f"{POINTER}s given")


def _pointer(store: Store, path: str) -> lfs_pointer.Pointer | None:
    found = lfs_pointer.parse(small_file.read(store, path, limit=lfs_pointer.MAX_BYTES) or b"")
    return found if found and found.oid else None


def _in_clone(store: Store, level: Level) -> Iterator[Digest]:
    raw = small_file.read(level.store, f"{GIT}/index") or b""
    for entry in index.entries(raw):
        own = level.own(entry.path)
        if own is not None and format_of(own):
            yield from _checked_out(store, level.store, own, entry)


def _checked_out(store: Store, top: Store, file: str, entry: Entry) -> Iterator[Digest]:
    blob = blobs.read(top, f"{GIT}/objects", entry.blob)
    if blob is None:
        return
    pointer = lfs_pointer.parse(blob.data) if blob.data is not None else None
    if pointer is None:
        size = None if blob.data is None else len(blob.data)
        value, doubt = entry.blob.hex(), _doubt(store, file, entry)
        yield Digest(
            file=file, algorithm=GIT_SHA1, value=value, size=size, origin="the index of git", doubt=doubt
        )
    elif pointer.oid:
        # git saw the pointer itself where a download has taken its place since: nobody edited that
        was_real = pointer.size is not None and entry.size == pointer.size % (1 << 32)
        doubt = _doubt(store, file, entry) if was_real else None
        origin = f"{POINTER}s of the clone"
        yield Digest(file=file, value=pointer.oid, size=pointer.size, origin=origin, doubt=doubt)


def _doubt(store: Store, file: str, entry: Entry) -> str | None:
    place = store.real(file)
    try:
        changed = place.stat().st_mtime if place else entry.changed
    except OSError:
        return None
    return _CHANGED if int(changed) % (1 << 32) != entry.changed else None


def _linked(store: Store, level: Level, files: Sequence[str]) -> Iterator[Digest]:
    """Yield the name of the LFS object that a file is, where both are one on the disk."""
    objects: dict[tuple[int, int], str] | None = None
    for file in files:
        place = store.real(file)
        match = _OBJECT.search(place.as_posix()) if place else None
        if match is None and place is not None and _links(place) > 1:
            objects = _inodes(level) if objects is None else objects
            state = place.stat()
            match = _OBJECT.search(objects.get((state.st_dev, state.st_ino), ""))
        if match is not None:
            yield Digest(file=file, value=match[3], origin="names of objects in .git/lfs")


def _links(place: Path) -> int:
    try:
        return place.stat().st_nlink
    except OSError:
        return 0


def _inodes(level: Level) -> dict[tuple[int, int], str]:
    """Return the objects of a clone by device and inode."""
    root = level.store.real(f"{GIT}/lfs/objects")
    found: dict[tuple[int, int], str] = {}
    for path in root.glob("??/??/*") if root else ():
        try:
            state = path.lstat()
        except OSError:
            continue
        found[state.st_dev, state.st_ino] = path.as_posix()
    return found


SOURCE = LFS()
