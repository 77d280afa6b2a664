"""`weightlint inspect`: what the files say of themselves and hold, one line per key and family."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.api import Inspection

COLUMNS = ("tensors", "dtype", "shape", "bytes", "bits", "family")
MAX_VALUE = 100
"""Characters of a value that are shown."""


@click.command("inspect", short_help="List tensor families with counts, dtypes, bytes.")
@click.argument("target", metavar="PATH")
@click.option("--config", metavar="FILE", help="The model's config.json, if not beside the files.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def inspect(target: str, *, config: str | None, as_json: bool) -> int:
    """List the tensor families of a checkpoint: counts, dtypes, shapes, bytes.

    PATH is a folder, a tensor file, an index file or a snapshot. Of a GGUF file the key-values are
    listed too, and shapes are ggml's, innermost first. Bits are those that one element of a weight
    takes, with its scales. Nothing is judged.
    """
    from weightlint import api

    inspection = api.inspect(target, config=config)
    for line in [_json(inspection)] if as_json else (*_keys(inspection), *_table(inspection)):
        click.echo(line)
    return 0 if inspection.families else 3


def _json(inspection: Inspection) -> str:
    import json

    facts = inspection.facts
    document = {
        **{key: getattr(facts, key) for key in ("target", "arch", "tensors", "files", "bytes")},
        "others": list(inspection.others),
        "keys": {key: value.described() for key, value in inspection.keys.items()},
        "families": [
            {key: getattr(family, key) for key in ("pattern", "count", "dtype", "shape", "bytes", "bits")}
            for family in inspection.families
        ],
    }
    return json.dumps(document, indent=2).replace("\x7f", "\\u007f")


def _keys(inspection: Inspection) -> Iterator[str]:
    """Yield a line per key-value with its type, then a blank one."""
    from weightlint.finding import printable

    shown = [(printable(key, limit=MAX_VALUE), value) for key, value in inspection.keys.items()]
    types = [value.spelling for _, value in shown]
    wide = max((len(key) for key, _ in shown), default=0), max(map(len, types), default=0)
    for (key, value), type_ in zip(shown, types, strict=True):
        text = printable(value.shown, limit=MAX_VALUE)
        yield f"{key:<{wide[0]}}  {type_:<{wide[1]}}  {text}".rstrip()
    if shown:
        yield ""


def _table(inspection: Inspection) -> Iterator[str]:
    """Yield a line per family, numbers to the right, and a line of totals."""
    from weightlint.finding import printable

    rows = [COLUMNS]
    rows += [
        (f"{row.count:,}", row.dtype, row.shape, f"{row.bytes:,}", _bits(row.bits), row.pattern)
        for row in inspection.families
    ]
    shown = [[printable(cell) for cell in row] for row in rows]
    wide = [max(len(row[at]) for row in shown) for at in range(len(COLUMNS))]
    with_bits = any(row.bits is not None for row in inspection.families)
    for count, dtype, shape, size, bits, family in shown:
        left = f"{count:>{wide[0]}}  {dtype:<{wide[1]}}  {shape:<{wide[2]}}  {size:>{wide[3]}}"
        yield f"{left}  {f'{bits:>{wide[4]}}  ' if with_bits else ''}{family}"
    facts = inspection.facts
    named = inspection.keys.get("general.architecture")
    arch = printable(facts.arch or str(named.value if named else "unknown architecture"))
    yield f"{facts.tensors:,} tensors in {facts.files:,} files, {facts.bytes:,} bytes; {arch}"
    if inspection.others:
        yield f"{len(inspection.others):,} more models lie beside it: {', '.join(map(printable, inspection.others[:5]))}"


def _bits(bits: float | None) -> str:
    return "" if bits is None else f"{bits:g}"


COMMAND = inspect
