"""Names in somebody's list of files, and which files of a checkpoint they mean.

A name is only ever compared, never opened; one that leads out of its folder means nothing.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def clean(name: str) -> str | None:
    """Return a listed path without `./` and doubled slashes, None if it leads out of its folder.

    A backslash is a letter of a name as any other, since nothing is opened.
    """
    parts = name.split("/")
    if "\0" in name or name.startswith("/") or ".." in parts:
        return None
    return "/".join(part for part in parts if part not in {"", "."}) or None


def common_folder(names: Iterable[str]) -> str:
    """Return the folder, with a slash at its end, that all absolute names of a list share; "" without any."""
    folders = [name.split("/")[:-1] for name in names if name.startswith("/")]
    if not folders:
        return ""
    shared = min(folders, key=len)
    while any(folder[: len(shared)] != shared for folder in folders):
        shared = shared[:-1]
    return "/".join(shared) + "/"


def meant(names: Iterable[str], files: Sequence[str]) -> dict[str, str]:
    """Tell which file each name of a list from elsewhere means: that whose path has the longest equal end.

    The last part must be the same. Where two files, or two names, fit as well as each other, nothing is told.
    """
    by_last: dict[str, list[str]] = defaultdict(list)
    for file in files:
        by_last[file.rpartition("/")[2]].append(file)
    best: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for name in dict.fromkeys(names):
        tail = name.replace("\\", "/").split("/")
        fits = sorted((_same_end(tail, file.split("/")), file) for file in by_last.get(tail[-1], ()))
        if fits and (len(fits) == 1 or fits[-1][0] > fits[-2][0]):
            best[fits[-1][1]].append((fits[-1][0], name))
    return {_only(fits): file for file, fits in best.items() if _only(fits)}


def _only(fits: list[tuple[int, str]]) -> str:
    most = max(same for same, _ in fits)
    names = [name for same, name in fits if same == most]
    return names[0] if len(names) == 1 else ""


def _same_end(one: Sequence[str], other: Sequence[str]) -> int:
    same = 0
    for left, right in zip(reversed(one), reversed(other), strict=False):
        if left != right:
            break
        same += 1
    return same
