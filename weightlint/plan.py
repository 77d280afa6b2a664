"""How a model is spread over processes: degrees of parallelism, layer ranges, and the ranks that they give.

Knows nothing of tensors or of loaders.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightlint.names import brace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Degrees of tensor, pipeline, expert and data parallelism.

    `ep` is 1 where experts are cut like other matrices. `pp_layers` are the numbers of layers of the pipeline's
    stages, empty where the loader's own split holds. `redundant` is the number of expert copies beyond the
    first, `placement` the way in which experts are dealt to ranks.
    """

    tp: int = 1
    pp: int = 1
    ep: int = 1
    dp: int = 1
    pp_layers: tuple[int, ...] = ()
    redundant: int = 0
    placement: str = "linear"

    @property
    def size(self) -> int:
        """Number of processes."""
        return self.tp * self.pp * self.dp

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
        if self.pp_layers:
            out["pp_layers"] = list(self.pp_layers)
        if self.redundant:
            out["redundant"] = self.redundant
        return out


@dataclass(frozen=True, slots=True, order=True)
class Rank:
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
