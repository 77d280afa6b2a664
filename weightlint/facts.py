"""What a run looked at, summed up for its report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.finding import Facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weightlint.case import Case


def facts_of(cases: Sequence[Case], seconds: float) -> Facts:
    """Sum up what was looked at; of several models the first gives architecture and spelling."""
    first = cases[0]
    cases = [case for case in cases if case.beside is None]
    sizes = [file.size or 0 for case in cases for file in case.index.files]
    return Facts(
        target=first.checkpoint.target,
        arch=first.arch,
        dialect=_dialect(first),
        quant=_quant(first),
        loader=str(first.loader) if first.loader else None,
        plan=first.plan.table() if first.plan else None,
        tensors=sum(len(case.index) for case in cases),
        checked=sum(map(_checked, cases)),
        files=len(sizes),
        bytes=sum(sizes),
        seconds=round(seconds, 3),
    )


def _quant(case: Case) -> str | None:
    """Name the quantisation, that of the tensors where the config says nothing or another one."""
    if case.recognised is not None:
        return f"{case.recognised.quant.name}, {'undeclared' if case.quant is None else 'not as declared'}"
    return case.quant.name if case.quant and not _takes_scales_in(case) else None


def _dialect(case: Case) -> str | None:
    if case.checkpoint.adapter is not None:
        return "peft"
    return None if case.spelling is None else case.spelling.dialect.name


def _takes_scales_in(case: Case) -> bool:
    """Tell whether the files are in a dialect that holds a quantised model as plain weights."""
    dialect = case.spelling.dialect if case.spelling else None
    late = case.spelling.late if case.spelling else None
    return dialect is not None and bool(dialect.lines) and dialect.scale is None and late is None


def _checked(case: Case) -> int:
    """Count the tensors that were compared: with the schema, or, where there is none, by the file rules."""
    if case.spelling is not None or case.checkpoint.adapter is not None:
        return len(case.index)
    return 0 if case.schema is not None or case.checkpoint.names_only else len(case.index)
