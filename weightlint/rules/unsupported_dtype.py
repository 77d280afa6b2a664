"""A loader, its release or the GPU cannot read or compute with the types of some tensors.

Checks: quantisation and types of tensors against what --loader reads and what --gpu or --device computes with.
Matters: the error comes from a kernel, minutes after the start, and names neither tensor nor checkpoint.
Example: DeepSeek-R1 in FP8 on A800: type fp8e4nv not supported in this architecture (vLLM #15336).
Cure: take a copy of the model in another type, another GPU, or a release that reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.dtype_limits import limits_of
from weightlint.finding import Level, printable
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.dtype_limits import Limit
    from weightlint.finding import Finding


def check(case: Case) -> Iterator[Finding]:
    """Report a quantisation that the loader does not take, then each limit of types with the tensors that it stops."""
    yield from _method(case)
    for limit in limits_of(case.loader):
        if case.checkpoint.format not in limit.formats or not limit.holds(case.running, case.loader):
            continue
        instead = limit.falls_to if case.running.dtype is None or not limit.computed else None
        rows = _rows(case, limit)
        if rows and instead != "F16":  # what float16 may do is said by WL404
            yield _finding(case, limit, rows, instead)


def _method(case: Case) -> Iterator[Finding]:
    """Report a declared quantisation that the release has not, refuses in this setting, or cannot run on the GPU."""
    from weightlint.methods import objection

    methods = case.loader.methods if case.loader is not None else None
    table = case.config.quantization if case.config is not None else None
    if methods is None or case.loader is None or case.quant is None or table is None or case.spelling is None:
        return
    against = objection(methods, case.quant.name, table, case.running)
    if against is None:
        return
    matched = case.joined.matched
    rows = [row for slot, found in matched.items() if slot.form is not None for row in found]
    says = f': "{printable(against.says)}"' if against.says else ""
    yield RULE.finding(
        f"{len(rows):,} weights are {case.quant.title}, and {case.loader.says} cannot use them: {against.why}{says}",
        place=case.place(rows),
        count=len(rows),
        found=case.scheme.default.says if case.scheme and case.scheme.default else case.quant.title,
        cure=against.cure,
    )


def _rows(case: Case, limit: Limit) -> list[int]:
    """Return the rows of these types; of a type to compute with only where it is that of most."""
    index = case.index
    kinds = {at for at, kind in enumerate(index.kinds) if kind.dtype in limit.dtypes}
    rows = [row for row in range(len(index)) if index.kind_ids[row] in kinds] if kinds else []
    if limit.experts is not None:
        rows = [row for row in rows if _is_expert(index.names[row]) is limit.experts]
    return rows if not limit.computed or 2 * len(rows) > len(index) else []


def _is_expert(name: str) -> bool:
    return ".experts." in name or "_exps." in name


def _finding(case: Case, limit: Limit, rows: list[int], instead: str | None) -> Finding:
    dtypes = "/".join(sorted({case.index.kind(row).dtype or "" for row in rows}))
    says = f': "{limit.says}"' if limit.says else ""
    subject = f"{case.index.names[rows[0]]} is" if len(rows) == 1 else f"{len(rows):,} tensors are"
    return RULE.finding(
        f"{subject} {dtypes}, and {_who(case, limit)}: {limit.why}{says}",
        level=Level.WARNING if instead else None,
        place=case.place(rows),
        count=len(rows),
        found=dtypes,
        cure=limit.cure,
    )


def _who(case: Case, limit: Limit) -> str:
    """Name what cannot use the types: loader, GPU or device."""
    gpu = case.running.gpu
    on = ""
    if limit.below is not None and gpu is not None and gpu.capability is not None:
        on = f"{gpu.name} (sm{gpu.capability[0]}{gpu.capability[1]})"
    elif limit.devices:
        on = case.running.device or ""
    loader = case.loader.says if case.loader is not None else ""
    return " on ".join(part for part in (loader, on) if part) + " cannot use them"


RULE = Rule(
    code="WL403",
    name="unsupported-dtype",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    needs=frozenset({Need.TABLE, Need.HEADERS}),
)
