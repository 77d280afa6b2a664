"""Layers or experts with equal bytes.

Checks: that no two weights of one family have equal bytes; norms, biases and tensors that are one number throughout do not count.
Matters: a converter that writes one layer twice, or a shard in the place of another, gives a model that loads and is wrong; models
that were merged or grown on purpose repeat layers as well, so this is a warning and, of many layers, no more than a remark.
Example: `layer 9 has the bytes of layer 8 in all 7 of its weights`.
Cure: convert or download the layer again, unless the model was made by repeating layers or experts.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from weightlint.finding import Level, Place, counted
from weightlint.names import brace, patterns, pieces
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from weightlint.case import Case
    from weightlint.finding import Finding
    from weightlint.names import Coord
    from weightlint.verifying.copies import Copies, Part

MANY = 4
"""Pairs from which on copies look like a way of making a model."""

Pairs = dict[tuple["Coord", "Coord"], list[tuple["Part", "Part"]]]


def check(case: Case) -> Iterator[Finding]:
    """Tell of all copies in one finding."""
    from weightlint.verifying.copies import copies

    found = copies(case.seen)
    if not found:
        return
    pairs = _pairs(found)
    first, *_ = pairs
    parts = [part for it in found for part in it.parts]
    many = len(pairs) >= MANY
    more = f"; {counted(len(pairs) - 1, 'more pair')} like it" if len(pairs) > 1 else ""
    yield RULE.finding(
        f"{_says(pairs[first])}{more}",
        level=Level.INFO if many else Level.WARNING,
        place=Place(
            tensors=tuple(patterns(dict.fromkeys(part.name for part in parts))),
            files=tuple(dict.fromkeys(part.file for part in parts)),
        ),
        count=len({part.name for part in parts}),
        cure="convert or download one of the two again, unless the model was made by repeating layers or experts",
    )


def _pairs(found: Sequence[Copies]) -> Pairs:
    """Return the parts with equal bytes by the pair of their numbers, each later one with the first."""
    out: Pairs = defaultdict(list)
    for it in found:
        first, *later = sorted(it.parts, key=lambda part: part.coord)
        for part in later:
            out[first.coord, part.coord].append((first, part))
    return dict(sorted(out.items()))


def _says(pairs: Sequence[tuple[Part, Part]]) -> str:
    named: Mapping[str, None] = dict.fromkeys(_written(one) for pair in pairs for one in pair)
    one, other, *rest = named
    if rest:
        first, second = pairs[0]
        return (
            f"{_written(second)} has the bytes of {_written(first)}, and so have {counted(len(pairs) - 1, 'other weight')} "
            "with the same numbers"
        )
    return f"{other} has the bytes of {one}"


def _written(part: Part) -> str:
    """Write the name of a part; of experts that are stacked with the number of the expert."""
    literals = pieces(part.template)
    if len(part.coord) >= len(literals):
        return f"expert {part.coord[-1]:,} of {part.name}"
    return brace(literals, [part.coord])[0]


RULE = Rule(
    code="WL706",
    name="copied-layer",
    level=Level.WARNING,
    page=__doc__,
    check=check,
    needs=frozenset({Need.BYTES}),
)
