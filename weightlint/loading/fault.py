"""A known fault of a framework's release: a sound checkpoint that it does not load, or loads wrongly."""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """One fault. `versions` is the range of releases, `archs` the schemas concerned.

    `says` is what happens, in a sentence without the framework's name; `cure` the way out; `url` the issue. `quantised` and
    `tied` restrict it to such models, `pp`, `tp` and `ep` to plans with at least so many ranks of a kind, `dialects` and `formats` to
    such files, `has` and `lacks` to files with and without names of these patterns, `when` to configs for which this
    expression over their fields holds. A fault is told where the prediction shows trouble; with `certain`, wherever all this is so.
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
    dialects: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    when: str = ""
    certain: bool = False
