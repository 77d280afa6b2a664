"""MTP layers with names of their own (`mtp.*`), which are not numbered on from the decoder's: what is there of them.

A schema counts them with the axis `draft`. A config need not announce them: where neither config nor files speak of them,
nothing is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weightlint import expr
from weightlint.expected import DRAFT
from weightlint.finding import Level, Place, counted
from weightlint.names import fold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case


def remarks(case: Case) -> Iterator[dict[str, Any]]:
    """Yield what is to be said of them, and explain the tensors that it is about."""
    announced = len(case.joined.expected.axes.get("draft", ()))
    if announced and not _is_there(case):
        lost = [slot for slot in case.ledger.missing if slot.is_draft]
        patterns = [pattern for slot in lost for pattern in slot.patterns(case.ledger.missing[slot])]
        count = sum(len(case.ledger.take_missing(slot)) for slot in lost)
        known = any(slot.is_draft for slot in case.joined.expected.slots)
        if (count or not known) and (fields := _fields(case)):
            yield _absent(case, f"{counted(announced, 'MTP layer')} ({', '.join(fields)})", patterns, count)
    elif not announced and (rows := _strays(case)):
        for template, coord in [fold(case.index.names[row]) for row in rows]:
            case.ledger.take_extra(template, [coord])
        yield _unasked(case, rows)


def _is_there(case: Case) -> bool:
    """Tell whether any tensor of such a layer was found, by a known name or not."""
    known = any(slot.is_draft for slot in case.joined.matched)
    return known or any("mtp" in template for template in case.ledger.extra)


def _fields(case: Case) -> list[str]:
    """Return the fields by which the config announces such layers, none where it says nothing."""
    schema, config = case.schema, case.config
    spec = schema.axes.get("draft") if schema is not None else None
    if schema is None or config is None or not isinstance(spec, str):
        return []
    names = sorted(expr.parse(spec.removeprefix("range")).names)
    spellings = [it for name in names for it in (name, *schema.fields[name].aliases)]
    return [name for name in spellings if config.find(name, schema.scope)[0]]


def _strays(case: Case) -> list[int]:
    found = (rows for template, rows in case.ledger.extra.items() if DRAFT.search(template))
    return [row for rows in found for row in rows.values()]


def _absent(case: Case, announced: str, patterns: list[str], count: int) -> dict[str, Any]:
    return {
        "message": f"the config announces {announced}, the checkpoint holds none: generation works, speculative decoding "
        "with it does not",
        "level": Level.INFO,
        "place": Place(tensors=tuple(patterns), files=(case.checkpoint.config_path,)),
        "count": max(count, 1),
        "expected": counted(count, "tensor") if count else announced,
        "found": "none",
        "cure": "nothing, unless speculative decoding is planned: then download the original with its MTP layers",
    }


def _unasked(case: Case, rows: list[int]) -> dict[str, Any]:
    field = next(iter(_fields(case)), "the number of MTP layers")
    return {
        "message": f"{counted(len(rows), 'tensor')} of MTP layers, but the config announces none: they are passed over",
        "level": Level.WARNING,
        "place": case.place(rows),
        "count": len(rows),
        "expected": "no MTP layer",
        "found": case.index.names[min(rows)],
        "cure": f"set {field} in {case.checkpoint.config_path} to the number of MTP layers, or leave them out",
    }
