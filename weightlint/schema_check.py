"""What is wrong with a schema file: its shape (JSON Schema), then its sense (names that lead nowhere).

Reads no config: what a field's value makes of a schema is for `weightlint.expansion`.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from weightlint import expr
from weightlint.errors import SchemaError
from weightlint.schema import folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from weightlint.schema import Line, Schema

_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_RANGE = re.compile(r"range\((.*)\)", re.DOTALL)


def shape(table: Mapping[str, Any]) -> list[str]:
    """Return what the JSON Schema of schemas says against a table."""
    import jsonschema

    text = (folder() / "_meta" / "schema.schema.json").read_text(encoding="utf-8")
    validator = jsonschema.Draft202012Validator(json.loads(text))
    return sorted(f"{error.json_path}: {error.message}" for error in validator.iter_errors(table))


def sense(schema: Schema, editions: Iterable[Schema] = ()) -> list[str]:
    """Return expressions outside the language and names that nothing defines.

    A layout may drop what only another of the schema's `editions` has.
    """
    out: list[str] = []
    for place, text, bound in _expressions(schema):
        try:
            read = expr.parse(str(text)).names
        except SchemaError as error:
            out.append(f"{place}: {error}")
        else:
            unknown = sorted(name for name in read if not _known(schema, name) and name not in bound)
            out += [f"{place}: {name} is in none of [config], [let] and the axes in use" for name in unknown]
    patterns = {line.pattern for each in (schema, *editions) for line in each.lines}
    return [*out, *_loose_ends(schema, patterns)]


def _known(schema: Schema, name: str) -> bool:
    first = name.partition(".")[0]
    return name in schema.lets or bool({name, first} & {*schema.fields})


def _expressions(schema: Schema) -> Iterator[tuple[str, str | int, set[str]]]:
    """Yield place, text and the axes bound there of every expression."""
    for name, field in schema.fields.items():
        for text in filter(None, (field.default, field.min, field.max, field.items)):
            yield f"[config] {name}", text, set()
        if field.each:
            yield f"[config] {name}", field.each, {field.over}
    for name, text in schema.lets.items():
        yield f"[let] {name}", text, set()
    for check in schema.checks:
        for text in (check.when, check.holds, check.key):
            yield f"[[check]] {check.name}", text, set()
    for name, spec in schema.axes.items():
        if isinstance(spec, str):
            found = _RANGE.fullmatch(spec)
            yield f"[axes] {name}", f"[{found[1]}]" if found else spec, set()
        else:
            yield f"[axes] {name}", spec.get("where", "True"), _lineage(schema, spec["of"])
    for line in _lines(schema):
        for each in (*line.conditions, *line.shape):
            yield line.pattern, each, {*_PLACEHOLDER.findall(line.pattern)}


def _lineage(schema: Schema, name: str) -> set[str]:
    out: set[str] = set()
    while name not in out:
        out.add(name)
        spec = schema.axes.get(name)
        name = name if spec is None or isinstance(spec, str) else spec["of"]
    return out


def _lines(schema: Schema) -> Iterator[Line]:
    yield from schema.lines
    for layout in schema.layouts:
        yield from layout.lines


def _loose_ends(schema: Schema, patterns: set[str]) -> Iterator[str]:
    axes = {*schema.axes}
    for line in _lines(schema):
        first, *rest = [*_PLACEHOLDER.findall(line.pattern), None]
        needed = {*(line.over or (first,)), *rest} - {None}
        yield from (f"{line.pattern}: no axis named {name!r}" for name in sorted(needed - axes))
    for pattern, _ in schema.ignores:
        lost = sorted({*_PLACEHOLDER.findall(pattern)} - axes)
        yield from (f"[[ignore]] {pattern}: no axis named {name!r}" for name in lost)
    for check in schema.checks:
        named = {*_PLACEHOLDER.findall(" ".join((*check.has, *check.lacks, *check.explains)))}
        yield from (f"[[check]] {check.name}: no axis named {name!r}" for name in sorted(named - axes))
    for layout in schema.layouts:
        lost = sorted({*layout.drop} - patterns)
        yield from (f"[[layout]] {layout.name}: drops {name}, which no line gives" for name in lost)
