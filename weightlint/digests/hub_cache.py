"""Hugging Face cache: the file that a snapshot's link leads to is named by the hash of its content.

The name is the etag of the download: sha256 of an LFS or Xet file, git's sha1 of a small one (`file_download.py`
in huggingface/huggingface_hub). The downloader itself compares sizes only (huggingface_hub #3643). A blob may be a link
itself, to a store that all repositories of the cache share (`_shared_blobs.py`, since 2.4); names there are no hashes of
files, so what counts is the link on the way that lies in the repository.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.digest import Digest
from weightlint.hub_layout import hops, named_hash, snapshot_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from weightlint.store import Store

ORIGIN = "blob names of the Hugging Face cache"


class HubCache:
    """Names of blobs."""

    name = "hub_cache"
    says = "the names of the blobs of a Hugging Face cache"

    def find(self, store: Store, files: Sequence[str]) -> Iterator[Digest]:
        """Yield the hash that names each file, where its link leads into a cache."""
        root = store.real()
        if root is None:
            return
        snapshot = snapshot_of(root)
        commit = snapshot.commit if snapshot else None
        for file in files:
            told = next(filter(None, map(_named, hops(root / file))), None)
            if told is not None:
                algorithm, value = told
                yield Digest(file=file, algorithm=algorithm, value=value, origin=ORIGIN, commit=commit)


def _named(place: Path) -> tuple[str, str] | None:
    """Return the hash that names a blob; None for what only looks like one."""
    if place.parent.name != "blobs":
        return None
    try:
        size = place.stat().st_size
        in_cache = (place.parent.parent / "snapshots").is_dir()
    except (OSError, ValueError):
        return None
    return named_hash(place.name, size) if in_cache else None


SOURCE = HubCache()
