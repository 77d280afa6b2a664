"""What a quant is: a scheme that a config declares, and its rewrite of the expectation."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weightlint.names import Coord, fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from weightlint.expected import Expected, Slot


def scale_names(weight: str) -> tuple[str, ...]:
    """Return every name that the scale of an FP8 weight may have.

    For blocks; for a whole tensor or its channels; for blocks as DeepSeek's own code spells it
    (inference/convert.py).
    """
    native = (weight.removesuffix("weight") + "scale",) if weight.endswith(".weight") else ()
    return f"{weight}_scale_inv", f"{weight}_scale", *native


def weight_names(scale: str) -> tuple[str, ...]:
    """Return every name that the weight of a scale may have; none if it is no scale's name."""
    plain = tuple(scale.removesuffix(end) for end in ("_scale_inv", "_scale") if scale.endswith(end))
    native = (scale.removesuffix("scale") + "weight",) if scale.endswith(".scale") else ()
    return plain + native


@dataclass(frozen=True, slots=True, kw_only=True)
class Quant:
    """One scheme. `declared` tells whether a quantisation table asks for it.

    `rewrite` gives the expectation under that table and raises `BadFieldError` where the table cannot
    be. `dtypes` are those of its weights.
    """

    name: str
    declared: Callable[[Mapping[str, Any]], bool]
    rewrite: Callable[[Expected, Mapping[str, Any]], Expected]
    dtypes: frozenset[str]


class Plain:
    """The modules that a quantisation table leaves plain (`modules_to_not_convert`).

    An entry names a module, one above it, or the last segments of it, as transformers'
    quantizers/quantizers_utils.py `should_convert_module` reads them.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self.families: dict[tuple[str, ...], set[Coord]] = defaultdict(set)
        for entry in entries:
            template, coord = fold(entry.removesuffix(".weight"))
            self.families[tuple(template.split("."))].add(coord)

    def holds(self, slot: Slot) -> Callable[[Coord], bool]:
        """Return a test for the coordinates of a slot that stay plain."""
        segments = tuple(slot.template.removesuffix(".weight").split("."))
        heads: list[set[Coord]] = []
        for family, coords in self.families.items():
            if segments[: len(family)] == family:
                heads.append(coords)
            elif () in coords and segments[-len(family) :] == family:
                return lambda coord: True  # noqa: ARG005 -- the whole family is plain
        widths = [(coords, len(next(iter(coords)))) for coords in heads]
        return lambda coord: any(coord[:width] in coords for coords, width in widths)
