"""`weightlint inspect`: what the files hold, one line per family."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.api import Inspection

COLUMNS = ("tensors", "dtype", "shape", "bytes", "family")


@click.command("inspect", short_help="List tensor families with counts, dtypes, bytes.")
@click.argument("target", metavar="PATH")
@click.option("--config", metavar="FILE", help="The model's config.json, if not beside the files.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def inspect(target: str, *, config: str | None, as_json: bool) -> int:
    """List the tensor families of a checkpoint: counts, dtypes, shapes, bytes.

    PATH is a folder, a tensor file, an index file or a snapshot. Nothing is judged.
    """
    from weightlint import api

    inspection = api.inspect(target, config=config)
    for line in [_json(inspection)] if as_json else _table(inspection):
        click.echo(line)
    return 0 if inspection.families else 3


def _json(inspection: Inspection) -> str:
    import json

    facts = inspection.facts
    document = {
        **{key: getattr(facts, key) for key in ("target", "arch", "tensors", "files", "bytes")},
        "families": [
            {key: getattr(family, key) for key in ("pattern", "count", "dtype", "shape", "bytes")}
            for family in inspection.families
        ],
    }
    return json.dumps(document, indent=2).replace("\x7f", "\\u007f")


def _table(inspection: Inspection) -> Iterator[str]:
    """Yield a line per family, numbers to the right, and a line of totals."""
    from weightlint.finding import printable

    rows = [COLUMNS]
    rows += [
        (f"{row.count:,}", row.dtype, row.shape, f"{row.bytes:,}", row.pattern) for row in inspection.families
    ]
    shown = [[printable(cell) for cell in row] for row in rows]
    wide = [max(len(row[at]) for row in shown) for at in range(len(COLUMNS))]
    for count, dtype, shape, size, family in shown:
        left = f"{count:>{wide[0]}}  {dtype:<{wide[1]}}  {shape:<{wide[2]}}"
        yield f"{left}  {size:>{wide[3]}}  {family}"
    facts = inspection.facts
    arch = printable(facts.arch) if facts.arch else "unknown architecture"
    yield f"{facts.tensors:,} tensors in {facts.files:,} files, {facts.bytes:,} bytes; {arch}"


COMMAND = inspect
