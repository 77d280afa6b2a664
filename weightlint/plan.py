"""How a model is spread over processes: degrees of parallelism, layer ranges, and the ranks that they give.

Knows nothing of tensors or of loaders.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from weightlint.names import brace, span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_RANKS = 1_000_000
"""Processes of one plan: twenty times the largest training run that was ever published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What one pipeline rank holds: decoder layers, and whether embedding, head and MTP layers."""

    layers: tuple[int, ...] = ()
    embedding: bool = False
    head: bool = False
    mtp: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """A cut that a plan gives for some tensors by name; in `pattern`, `*` stands for any number.

    `dim` counts from the front, or with a minus from the back; None leaves the tensors whole. `parts` are
    cut each for itself. `spans` are the elements of each rank, first included and last excluded; without
    them the ranks get equal shares. `word` is what the plan calls it. `experts` tells that the first
    dimension counts experts, `whole` that the pattern is a full name.
    """

    pattern: str
    word: str
    dim: int | None = None
    parts: int = 1
    spans: tuple[tuple[int, int], ...] = ()
    experts: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Degrees of tensor, pipeline, expert and data parallelism.

    `ep` is 1 where experts are cut like other matrices. `pp_layers` are the numbers of layers of the
    pipeline's stages, `stages` what each of them holds in full; where both are empty the loader's own
    split holds. `redundant` is the number of expert copies beyond the first, `placement` the way in which
    experts are dealt to ranks, `experts` the experts of each rank where the plan lists them. `assigned`
    are cuts of tensors that the plan names.
    """

    tp: int = 1
    pp: int = 1
    ep: int = 1
    dp: int = 1
    pp_layers: tuple[int, ...] = ()
    stages: tuple[Stage, ...] = ()
    redundant: int = 0
    placement: str = "linear"
    experts: tuple[tuple[int, ...], ...] = ()
    assigned: tuple[Assigned, ...] = ()

    @property
    def size(self) -> int:
        """Number of processes."""
        return self.tp * self.pp * self.dp

    @property
    def is_complete(self) -> bool:
        """Tell whether the plan names all tensors that are cut, as plans of transformers do."""
        return any(it.whole and not it.experts for it in self.assigned)

    def ranks(self) -> Iterator[Rank]:
        """Yield every rank, tensor parallelism innermost."""
        for dp in range(self.dp):
            for pp in range(self.pp):
                yield from (Rank(tp, pp, dp if self.dp > 1 else None) for tp in range(self.tp))

    def table(self) -> dict[str, object]:
        """Return the plan as JSON values; what is at its default is left out, but for the degrees."""
        out: dict[str, object] = {"tp": self.tp, "pp": self.pp, "ep": self.ep}
        if self.dp > 1:
            out["dp"] = self.dp
        if layers := self.pp_layers or tuple(len(stage.layers) for stage in self.stages):
            out["pp_layers"] = list(layers)
        if self.redundant:
            out["redundant"] = self.redundant
        return out

    def patterns(self, *, stages: Iterable[int] | None = None) -> tuple[str, ...]:
        """Write all ranks, or all of some stages, as exact patterns, at a cost that no degree raises."""
        wanted = range(self.pp) if stages is None else sorted(set(stages))
        if not wanted:
            return ()
        tail = f".dp{span(range(self.dp))}" if self.dp > 1 else ""
        return (f"tp{span(range(self.tp))}.pp{span(wanted)}{tail}",)


class Rank(NamedTuple):
    """One process; `dp` is None where there is no data parallelism."""

    tp: int = 0
    pp: int = 0
    dp: int | None = None

    def __str__(self) -> str:
        tail = "" if self.dp is None else f".dp{self.dp}"
        return f"tp{self.tp}.pp{self.pp}{tail}"


def rank_patterns(ranks: Iterable[Rank]) -> tuple[str, ...]:
    """Write a set of ranks as exact brace patterns."""
    plain: set[tuple[int, ...]] = set()
    spread: set[tuple[int, ...]] = set()
    for rank in ranks:
        if rank.dp is None:
            plain.add((rank.tp, rank.pp))
        else:
            spread.add((rank.tp, rank.pp, rank.dp))
    out = brace(("tp", ".pp", ""), plain) if plain else []
    return (*out, *(brace(("tp", ".pp", ".dp", ""), spread) if spread else ()))
