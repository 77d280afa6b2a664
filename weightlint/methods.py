"""Which quantisations a release of a loader has, from which GPU on, and which settings of them it refuses.

Facts of one loader stand in its file; here is what they are and which of them holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from weightlint.quant import Table
    from weightlint.running import Running

Capability = int
"""Compute capability as loaders count it: 75 for 7.5, 0 for any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Settings of a quantisation that a loader refuses, `says` its words."""

    quant: str
    holds: Callable[[Table], bool]
    why: str
    cure: str
    says: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Methods:
    """The quantisations that a range of releases has, each with the least capability of a GPU.

    `unknown` and `below` are the loader's words for one that it has not, and for too old a GPU; they name `{method}`, `{least}`
    and `{now}`.
    """

    span: str
    least: Mapping[str, Capability]
    unknown: str = ""
    below: str = ""
    refused: tuple[Refused, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """Why a loader does not take a quantisation: the reason, its words, and what to do."""

    why: str
    says: str
    cure: str


def objection(methods: Methods, quant: str, table: Table, running: Running) -> Objection | None:
    """Return what speaks against a declared quantisation, None if nothing does."""
    method = table.get("quant_method")
    if quant not in methods.least:
        return Objection(
            why="it knows no such quantisation",
            says=methods.unknown.format(method=method) if isinstance(method, str) else "",
            cure="take a loader that reads it, or the model in another quantisation",
        )
    refused = next((it for it in methods.refused if it.quant == quant and it.holds(table)), None)
    if refused is not None:
        return Objection(why=refused.why, says=refused.says, cure=refused.cure)
    least = methods.least[quant]
    capability = running.gpu.capability if running.gpu is not None else None
    now = 10 * capability[0] + capability[1] if capability is not None else None
    if running.gpu is None or now is None or now >= least:
        return None
    return Objection(
        why=f"on {running.gpu.name} (sm{now}): it begins with sm{least}",
        says=methods.below.format(method=method, least=least, now=now),
        cure=f"take a GPU from sm{least} on, or the model in another quantisation",
    )
