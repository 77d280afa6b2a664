"""Numbered files: `model-00003-of-00163.safetensors` and the many other ways to count.

Text only; whether the numbers mean anything is decided where it is known what belongs together.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MAX_FILES = 100_000
"""Files of a series that are believed; the largest seen in the wild has 413."""

_SERIES = re.compile(r"(?P<stem>.*?)(?P<at>[0-9]{1,9})-of-(?P<of>[0-9]{1,9})(?P<end>\D.*|)", re.DOTALL)


def gaps(paths: Iterable[str]) -> list[str]:
    """Return the files that are absent from numbered series, counted from 0 if 0 is there."""
    series: dict[tuple[str, int, str], list[re.Match[str]]] = defaultdict(list)
    for path in paths:
        if match := _SERIES.fullmatch(path):
            series[match["stem"], int(match["of"]), match["end"]].append(match)
    return [gap for (_, of, _), found in series.items() for gap in _absent(found, of)]


def numbered(path: str) -> tuple[int, int] | None:
    """Return the number of a file in its series and how many there are, None where the name has none."""
    match = _SERIES.fullmatch(path)
    return (int(match["at"]), int(match["of"])) if match else None


def alike(path: str) -> tuple[str, int, str] | None:
    """Return what all files of a numbered series share, None for a file that stands alone."""
    match = _SERIES.fullmatch(path)
    return (match["stem"], int(match["of"]), match["end"]) if match else None


def _absent(found: Sequence[re.Match[str]], of: int) -> Iterator[str]:
    numbers = {int(match["at"]) for match in found}
    if len(numbers) >= of or of > MAX_FILES:
        return
    padded = any(match["at"].startswith("0") and match["at"] != "0" for match in found)
    width = min(len(match["at"]) for match in found) if padded else 0
    start, stop = found[0].span("at")
    first = 0 if 0 in numbers else 1
    for number in range(first, first + of):
        if number not in numbers:
            yield f"{found[0].string[:start]}{number:0{width}d}{found[0].string[stop:]}"
