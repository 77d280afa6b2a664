"""Faults and limits of a release that follow from checkpoint, config and plan alone, without a prediction."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from weightlint import expr
from weightlint.loading.aftermath import is_moot
from weightlint.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.loading.fault import Fault


def known(case: Case) -> Iterator[Fault]:
    """Yield the faults that are met; one of bringing files in other names into the loader's own even where those are told.

    Other findings about files, plan or the whole checkpoint leave the question open.
    """
    spelling, release = case.spelling, case.loader
    foreign = spelling is not None and release is not None and not release.reads(spelling.dialect.name)
    if case.contract is None or is_moot([it for it in case.told if not (foreign and it.code == "WL203")]):
        return
    for fault in case.contract.faults:
        if fault.certain and holds(fault, case) and (fault.dialects or not foreign):
            yield fault


def holds(fault: Fault, case: Case) -> bool:
    """Tell whether a fault is one of this release, checkpoint, config and plan."""
    plan, release = case.plan or Plan(), case.loader
    spelling = case.spelling
    return (
        release is not None
        and release.within(fault.versions)
        and (not fault.archs or (case.arch or "") in fault.archs)
        and (not fault.dialects or (spelling is not None and spelling.dialect.name in fault.dialects))
        and (not fault.formats or case.checkpoint.format in fault.formats)
        and (not fault.quantised or case.quant is not None)
        and plan.pp >= fault.pp
        and plan.tp >= fault.tp
        and plan.ep >= fault.ep
        and all(rows_of(case, (pattern,)) for pattern in fault.has)
        and not rows_of(case, fault.lacks)
        and (not fault.when or _is_so(case, fault.when))
    )


def rows_of(case: Case, patterns: tuple[str, ...]) -> list[int]:
    """Return the rows of the families whose folded names have one of these patterns."""
    families = case.index.families if patterns else {}
    return [
        row
        for template, rows in families.items()
        if any(fnmatchcase(template, pattern) for pattern in patterns)
        for row in rows.values()
    ]


def _is_so(case: Case, text: str) -> bool:
    """Compute an expression over the fields of the config; where one is not there it does not hold."""
    parsed = expr.parse(text)
    scope = {name: _field(case, name) for name in parsed.names}
    return None not in scope.values() and bool(parsed.value(scope.__getitem__))


def _field(case: Case, name: str) -> Any:
    if case.plain is not None and name in case.plain.sizes:
        return case.plain.sizes[name]
    return case.config.find(name, None)[1] if case.config is not None else None
