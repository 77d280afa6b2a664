"""A known fault of a framework's release: a sound checkpoint that it does not load, or loads wrongly."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault. `versions` is the range of releases, `archs` the schemas concerned.

    `says` is what happens, in a sentence without the framework's name; `cure` the way out; `url` the issue. `quantised` and
    `tied` restrict it to such models, `pp`, `tp` and `ep` to plans with at least so many ranks of a kind.
    """

    name: str
    versions: str
    archs: tuple[str, ...]
    says: str
    cure: str
    url: str = ""
    quantised: bool = False
    tied: bool = False
    pp: int = 1
    tp: int = 1
    ep: int = 1
