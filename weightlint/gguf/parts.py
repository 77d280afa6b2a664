"""Names of GGUF files: which of them are parts of one split model.

llama.cpp names a part `<base>-%05d-of-%05d.gguf`, counted from 1 (llama_split_path in src/llama.cpp), and
finds the others by that name alone.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from weightlint.names import natural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PART = re.compile(r"(?P<base>.*)-(?P<at>[0-9]{1,9})-of-(?P<of>[0-9]{1,9})\.gguf", re.DOTALL)
_COMPANION = re.compile(r"mmproj|imatrix|lora|adapter", re.IGNORECASE)


class Part(NamedTuple):
    """What the name of a part says; `at` counts from 1. `exact` tells that llama.cpp would find it."""

    base: str
    at: int
    of: int
    exact: bool


def part(path: str) -> Part | None:
    """Read the name of a part, or None if it is none."""
    match = _PART.fullmatch(path)
    if match is None:
        return None
    exact = len(match["at"]) == len(match["of"]) == 5
    return Part(match["base"], int(match["at"]), int(match["of"]), exact)


def part_name(base: str, at: int, of: int) -> str:
    """Return the name that llama.cpp looks for; `at` counts from 1."""
    return f"{base}-{at:05d}-of-{of:05d}.gguf"


def models(names: Sequence[str]) -> list[list[str]]:
    """Tell the files of a folder apart into models, in natural order.

    Those that by name are adapters, projectors or importance matrices come last. Parts beyond the
    number that their own name gives belong to no model.
    """
    series: dict[object, list[str]] = defaultdict(list)
    for name in sorted(names, key=lambda name: (bool(_COMPANION.search(name)), natural(name))):
        it = part(name)
        if it is None or it.at <= it.of:
            series[name if it is None else (it.base, it.of)].append(name)
    return _rejoined(list(series.values())) or [list(names)]


def _rejoined(groups: list[list[str]]) -> list[list[str]]:
    """Put parts together that only together are a whole series: some of them were renamed."""
    counts: dict[int, list[list[str]]] = defaultdict(list)
    for group in groups:
        it = part(group[0])
        if it is not None:
            counts[it.of].append(group)
    for of, halves in counts.items():
        numbers = sorted(number for half in halves for number in _numbers(half))
        if len(halves) > 1 and numbers == list(range(1, of + 1)):
            whole = sorted((name for half in halves for name in half), key=_number)
            groups = [group for group in groups if group not in halves] + [whole]
    return groups


def _numbers(names: Sequence[str]) -> Iterator[int]:
    return map(_number, names)


def _number(name: str) -> int:
    it = part(name)
    return it.at if it else 0


def companions(name: str, names: Sequence[str]) -> list[str]:
    """Return all parts of the split that one file belongs to, else the file alone."""
    if part(name) is None:
        return [name]
    return next((model for model in models(names) if name in model), [name])
