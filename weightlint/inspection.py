"""What the files say and hold: the keys and the table of families that `weightlint inspect` shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

from weightlint.dtype import FLOATS
from weightlint.names import brace, pieces

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from weightlint.dtype import Shape
    from weightlint.expected import Expected
    from weightlint.finding import Facts
    from weightlint.index import Index
    from weightlint.metadata import Value


PLAIN = FLOATS | {"F64"}


@dataclass(frozen=True, slots=True)
class Family:
    """All tensors of one folded name, dtype and shape.

    The shape is `[out, in]`, in GGUF `{in, out}` as ggml writes it. `bits` are those that one element of the
    weight takes, with its scales.
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


@dataclass(frozen=True, slots=True)
class Widths:
    """What quantised weights take: by the row of the numbers the bytes of all parts and the elements of the weight.

    `beside` are the rows of the other parts.
    """

    weights: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    beside: AbstractSet[int] = frozenset()


def widths(index: Index, expected: Expected) -> Widths:
    """Add up the parts of each quantised weight of an expectation that fits the names."""
    weights: dict[int, tuple[int, int]] = {}
    beside: set[int] = set()
    mains = {
        slot.pattern: slot for slot in expected.slots if slot.form is not None and slot.plain is not None
    }
    sums: dict[str, int] = {}
    for slot in expected.slots:
        if slot.of in mains:
            for coord, name in zip(slot.coords(), slot.names(), strict=True):
                row, main = index.rows.get(name), mains[slot.of].name(coord)
                if row is not None:
                    beside.add(row)
                    sums[main] = sums.get(main, 0) + index.nbytes(row)
    for slot in mains.values():
        elements = prod(slot.plain.shape) if slot.plain is not None else 0
        for name in slot.names():
            row = index.rows.get(name)
            if row is not None:
                weights[row] = (index.nbytes(row) + sums.get(name, 0), elements)
    return Widths(weights, beside)


def families(index: Index, *, ggml: bool = False, known: Widths | None = None) -> Iterator[Family]:
    """Yield the families of an index, one for each dtype and shape; with `ggml` written as ggml does."""
    known = known or Widths()
    for template, rows in index.families.items():
        by_kind: dict[int, list[tuple[int, ...]]] = {}
        for coord, row in rows.items():
            by_kind.setdefault(index.kind_ids[row], []).append(coord)
        for kind_id, coords in by_kind.items():
            kind = index.kinds[kind_id]
            own = [rows[coord] for coord in coords]
            patterns = brace(pieces(template), coords)
            shown = patterns[0] if len(patterns) == 1 else f"{patterns[0]} and {len(patterns) - 1} more"
            shape = "?" if kind.shape is None else _written(kind.shape, ggml=ggml)
            size = sum(map(index.nbytes, own))
            yield Family(shown, len(own), kind.dtype or "?", shape, size, _bits(index, own, known, ggml=ggml))


def _bits(index: Index, rows: Sequence[int], known: Widths, *, ggml: bool) -> float | None:
    """Return the bits that one element takes, None of what is no weight or of which nobody knows how it is packed."""
    if rows[0] in known.beside:
        return None
    pairs = [known.weights[row] for row in rows if row in known.weights]
    if not pairs:
        kind = index.kind(rows[0])
        if not (ggml or kind.dtype in PLAIN) or not kind.shape:
            return None
        pairs = [(sum(map(index.nbytes, rows)), len(rows) * prod(kind.shape))]
    size, elements = (sum(column) for column in zip(*pairs, strict=True))
    return round(8 * size / elements, 3) if size and elements else None


def _written(shape: Shape, *, ggml: bool) -> str:
    return f"{{{', '.join(map(str, shape[::-1]))}}}" if ggml else str(list(shape))
