"""What the files say and hold: the keys and the table of families that `weightlint inspect` shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

from weightlint.names import brace, pieces

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from weightlint.dtype import Shape
    from weightlint.finding import Facts
    from weightlint.index import Index
    from weightlint.metadata import Value


@dataclass(frozen=True, slots=True)
class Family:
    """All tensors of one folded name, dtype and shape.

    The shape is `[out, in]`, in GGUF `{in, out}` as ggml writes it. `bits` are those of
    one element, for GGUF, whose types differ most in them.
    """

    pattern: str
    count: int
    dtype: str
    shape: str
    bytes: int
    bits: float | None = None


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the files hold, by family; `keys` is what a GGUF model says of itself.

    `others` names the first file of each further model in the folder.
    """

    facts: Facts
    families: tuple[Family, ...]
    keys: Mapping[str, Value] = field(default_factory=dict)
    others: tuple[str, ...] = ()


def families(index: Index, *, ggml: bool = False) -> Iterator[Family]:
    """Yield the families of an index, one for each dtype and shape; with `ggml` written as ggml does."""
    for template, rows in index.families.items():
        by_kind: dict[int, list[tuple[int, ...]]] = {}
        for coord, row in rows.items():
            by_kind.setdefault(index.kind_ids[row], []).append(coord)
        for kind_id, coords in by_kind.items():
            kind = index.kinds[kind_id]
            size = sum(index.nbytes(rows[coord]) for coord in coords)
            patterns = brace(pieces(template), coords)
            shown = patterns[0] if len(patterns) == 1 else f"{patterns[0]} and {len(patterns) - 1} more"
            shape = "?" if kind.shape is None else _written(kind.shape, ggml=ggml)
            elements = len(coords) * prod(kind.shape or ()) if ggml and kind.shape else 0
            bits = round(8 * size / elements, 3) if elements else None
            yield Family(shown, len(coords), kind.dtype or "?", shape, size, bits)


def _written(shape: Shape, *, ggml: bool) -> str:
    return f"{{{', '.join(map(str, shape[::-1]))}}}" if ggml else str(list(shape))
