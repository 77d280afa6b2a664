"""The folders around a checkpoint: what describes its files may lie in one that holds its folder.

A GGUF repository has a folder for each quantisation and one `.cache`, `.git` or `SHA256SUMS` at its top.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightlint import small_file
from weightlint.listing import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.store import Store

UP = 3
"""Folders that are looked into above the checkpoint's own; the deepest seen in a repository is two."""


@dataclass(frozen=True, slots=True)
class Level:
    """A folder and the path of the checkpoint below it: "" or one that ends with a slash."""

    store: Store
    prefix: str = ""

    def own(self, name: str) -> str | None:
        """Return what a name listed in this folder is called in the checkpoint, None if it is not of it."""
        path = clean(name)
        if path is None or not path.startswith(self.prefix):
            return None
        return path.removeprefix(self.prefix) or None


def levels(store: Store) -> Iterator[Level]:
    """Yield the folder of a checkpoint and those that hold it, from the inside out."""
    yield Level(store)
    root = store.real()
    if root is None:
        return
    for above in root.parents[:UP]:
        yield Level(small_file.folder(above), f"{root.relative_to(above).as_posix()}/")
