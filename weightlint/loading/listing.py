"""A prediction for people: per class of equal ranks one line for each family, then what goes wrong."""

from __future__ import annotations

from collections import defaultdict
from math import prod
from typing import TYPE_CHECKING, Any

from weightlint.dtype import SAFETENSORS
from weightlint.finding import counted, printable
from weightlint.loading.model import TORCH
from weightlint.names import fold, patterns
from weightlint.plan import Rank, rank_patterns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SHOWN = 12
"""Lines of one kind of trouble that are shown."""


def lines(table: Mapping[str, Any], says: str) -> Iterator[str]:
    """Write a table of `table.table` as text."""
    for row in table["ranks"]:
        yield from _rank(row, says)


def _rank(row: Mapping[str, Any], says: str) -> Iterator[str]:
    names = [row["rank"], *row["same_as"]]
    who = ", ".join(rank_patterns(map(_read, names)))
    if "build_error" in row:
        kind, text = row["build_error"]
        yield f"{who}: {says} cannot build the model: {kind}{': ' + text if text else ''}"
        yield ""
        return
    size = sum(prod(shape) * _bytes(dtype) for shape, dtype in row["params"].values())
    yield f"{who}: {counted(len(row['params']), 'parameter')}, {size / 1e9:.2f} GB a rank"
    yield from _filled(row)
    yield from _skipped(row)
    yield from _trouble(row, says)
    yield ""


def _read(name: str) -> Rank:
    numbers = {part[:2]: int(part[2:]) for part in name.split(".")}
    return Rank(numbers["tp"], numbers["pp"], numbers.get("dp"))


def _bytes(dtype: str) -> int:
    """Return the bytes of one element, by torch's name of the dtype."""
    stored = next((name for name, torch in TORCH.items() if torch == dtype), "F32")
    return SAFETENSORS[stored].size


def _filled(row: Mapping[str, Any]) -> Iterator[str]:
    """Write one line for each family of parameters: what it is and what fills it."""
    sources: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for tensor, fill in row["fill"].items():
        if "param" in fill:
            sources[fold(fill["param"])[0]][fold(tensor)[0]].append(tensor)
    families: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, (shape, dtype) in row["params"].items():
        families[fold(name)[0], f"{dtype} {shape}"].append(name)
    for (template, kind), names in families.items():
        yield f"  {'  '.join(patterns(names))}  {kind}"
        for family, tensors in sources.get(template, {}).items():
            first = row["fill"][tensors[0]]
            whole = first["shape"] == row["params"][first["param"]][0]
            part = "" if whole else f"  fills {first['shape']} from {first['start']}"
            yield f"    {family}  x{len(tensors):,}{part}"


def _skipped(row: Mapping[str, Any]) -> Iterator[str]:
    skipped: dict[str, int] = defaultdict(int)
    for fill in row["fill"].values():
        if "skip" in fill:
            skipped[fill["skip"]] += 1
    for why, count in sorted(skipped.items()):
        yield f"  skipped by rule {why}: {counted(count, 'tensor')}"


def _trouble(row: Mapping[str, Any], says: str) -> Iterator[str]:
    errors = list(row["errors"].items())
    if errors:
        kind, text = row["errors"][row["first_error"]]
        yield f"  {says} stops at {printable(row['first_error'])}: {kind}{': ' + text if text else ''}"
    for name, (kind, text) in errors[1:SHOWN]:
        yield f"    then {printable(name)}: {kind}{': ' + text if text else ''}"
    if len(errors) > SHOWN:
        yield f"    and {counted(len(errors) - SHOWN, 'error')} more"
    lacking = [*row["never_written"]]
    if lacking:
        yield f"  never written: {'  '.join(patterns(lacking)[:SHOWN])}"
    for name, (got, total) in list(row["partly_written"].items())[:SHOWN]:
        yield f"  partly written: {name}: {got:,} of {total:,} elements"
    if (lacking or row["partly_written"]) and not errors:
        yield f"  {says} {'stops after loading' if row['noticed'] else 'will not notice'}"
