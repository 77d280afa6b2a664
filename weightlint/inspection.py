"""What the files hold, by family: the table that `weightlint inspect` shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightlint.names import brace, pieces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.finding import Facts
    from weightlint.index import Index


@dataclass(frozen=True, slots=True)
class Family:
    """All tensors of one folded name, dtype and shape."""

    pattern: str
    count: int
    dtype: str
    shape: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the files hold, by family."""

    facts: Facts
    families: tuple[Family, ...]


def families(index: Index) -> Iterator[Family]:
    """Yield the families of an index, one for each dtype and shape."""
    for template, rows in index.families.items():
        by_kind: dict[int, list[tuple[int, ...]]] = {}
        for coord, row in rows.items():
            by_kind.setdefault(index.kind_ids[row], []).append(coord)
        for kind_id, coords in by_kind.items():
            kind = index.kinds[kind_id]
            size = sum(index.nbytes(rows[coord]) for coord in coords)
            patterns = brace(pieces(template), coords)
            shown = patterns[0] if len(patterns) == 1 else f"{patterns[0]} and {len(patterns) - 1} more"
            shape = "?" if kind.shape is None else str(list(kind.shape))
            yield Family(shown, len(coords), kind.dtype or "?", shape, size)
