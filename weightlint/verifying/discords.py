"""Where the copies of machines disagree, put together by who disagrees with whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from weightlint.verifying.nodes import difference, splits

if TYPE_CHECKING:
    from weightlint.verifying.tally import Tally


@dataclass(slots=True)
class Discord:
    """Machines whose equal copies are others than those of `others`, and how each file differs.

    `sure` tells that the others are right, by number or, if `vouched`, because somebody vouches for their copies. `names` are
    the tensors that differ.
    """

    nodes: tuple[str, ...]
    others: tuple[str, ...]
    sure: bool
    vouched: bool
    files: dict[str, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)


def discords(tally: Tally) -> list[Discord]:
    """Return the disagreements of machines, each of the same machines once."""
    found: dict[tuple[object, ...], Discord] = {}
    for split in splits(tally) if tally.by_node else ():
        others = split.groups[0]
        for nodes in split.groups[1:]:
            how, hurt = difference(tally, split, nodes[0])
            new = Discord(nodes, others, split.sure, split.vouched)
            discord = found.setdefault((nodes, others, split.sure, split.vouched), new)
            discord.files[split.file] = how
            discord.names += dict.fromkeys(span.name for span, _ in hurt.pieces if span.name)
    return [*found.values()]
