"""The parts of a split GGUF model: what their names say and what their keys say of each other.

llama.cpp (src/llama-model-loader.cpp) reads `split.count` and `split.tensors.count` of the first part
only, and of the others `split.no`, which must be the part's place, counted from 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightlint.gguf.parts import Part, part
from weightlint.metadata import Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from weightlint.case import Case

SAME_ANYWHERE = ("split.", "general.alignment")
"""Beginnings of keys that may differ from part to part."""

MIN_FAMILIES = 3
"""Families that must show it before a part is taken for one of another quantisation."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One file of a split set; `tensors` counts them, `lost` tells that they could not be listed."""

    path: str
    part: Part | None
    values: Mapping[str, Value]
    tensors: int
    lost: bool

    def number(self, key: str) -> int | None:
        """Return a whole number that the file gives, of whatever type."""
        value = self.values.get(key)
        return value.value if value is not None and type(value.value) is int else None

    def __str__(self) -> str:
        return self.path


def pieces(case: Case) -> list[Piece]:
    """Return the files of a split model in the order of their names, [] where the model is not split."""
    index = case.index
    if case.checkpoint.format != "gguf":
        return []
    counts = [0] * len(index.files)
    for file_id in index.file_ids:
        counts[file_id] += 1
    lost = case.checkpoint.lost_files
    found = [
        Piece(file.path, part(file.path), dict(_typed(file.metadata)), count, file.path in lost)
        for file, count in zip(index.files, counts, strict=True)
    ]
    named = any(piece.part and piece.part.of > 1 for piece in found)
    said = any((piece.number("split.count") or 0) > 1 for piece in found)
    return sorted(found, key=_place) if named or said else []


def _typed(metadata: Mapping[str, object]) -> Iterator[tuple[str, Value]]:
    return ((key, value) for key, value in metadata.items() if isinstance(value, Value))


def _place(piece: Piece) -> int:
    return piece.part.at if piece.part else 0


def disagreements(first: Piece, other: Piece) -> list[str]:
    """Return the keys of which two parts give different values: they come from two models."""
    both = (key for key in other.values if key in first.values and not key.startswith(SAME_ANYWHERE))
    return [key for key in both if other.values[key] != first.values[key]]


def foreign_types(case: Case, found: Sequence[Piece]) -> Iterator[tuple[Piece, set[str], set[str]]]:
    """Yield later parts of which no family has a type that it has in the other parts.

    With the part come its own types and those of the others. Mixtures within one quantisation change
    the type of some families from layer to layer; that all change at the bounds of one file is no
    mixture.
    """
    types = _types(case)
    for piece in found[1:]:
        mine = {template: kinds[piece.path] for template, kinds in types.items() if piece.path in kinds}
        if len(mine) < MIN_FAMILIES:
            continue
        rest = {t: set[str]().union(*(s for p, s in types[t].items() if p != piece.path)) for t in mine}
        shared = [template for template in mine if rest[template]]
        if len(shared) >= MIN_FAMILIES and all(
            mine[template].isdisjoint(rest[template]) for template in shared
        ):
            own, others = (set[str]().union(*(it[t] for t in shared)) for it in (mine, rest))
            yield piece, own, others


def _types(case: Case) -> dict[str, dict[str, set[str]]]:
    """Return the types of matrices by family and file."""
    index = case.index
    types: dict[str, dict[str, set[str]]] = {}
    for template, rows in index.families.items():
        for row in rows.values():
            kind = index.kind(row)
            if kind.dtype and kind.shape and len(kind.shape) > 1:
                types.setdefault(template, {}).setdefault(index.file(row), set()).add(kind.dtype)
    return types
