"""Schema x config -> Expected: every axis, condition and shape worked out, no name built.

A condition is tested once per number of the axes that it mentions, so a block with 256 experts
under a dense layer costs one test. Knows nothing of files.
"""

from __future__ import annotations

import itertools
import re
from math import prod
from typing import TYPE_CHECKING

from weightlint import expr
from weightlint.config import BadFieldError, FieldError, MissingFieldError
from weightlint.dtype import FLOATS
from weightlint.errors import SchemaError
from weightlint.expected import Axis, Box, Expected, Ignore, Layout, Presence, Slot, boxed
from weightlint.keys import Keys
from weightlint.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from weightlint.config import Config
    from weightlint.dtype import Shape
    from weightlint.names import Coord
    from weightlint.schema import Line, Schema

MAX_TENSORS = 4_000_000
MAX_TESTS = 500_000
"""Coordinates of one line to test one by one: 20 times the layers x experts of the largest model."""
THE_CONFIG = "the config"
"""Stands for a field where several together are to blame."""
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_COUNTED = re.compile(r"range\(([^,]*)\)")


def expand(schema: Schema, config: Config) -> Expected:
    """Work out what the architecture needs for this config.

    Raises:
        MissingFieldError: the config lacks a field that the schema reads.
        BadFieldError: a field has a value that no model can have.
        SchemaError: the schema gives one name two shapes, or is not well formed.
    """
    scope = Scope(schema, config)
    slots = tuple(slot for line in schema.lines for slot in _slots(scope, line))
    _check_total(schema, slots)
    layouts = tuple(
        Layout(
            layout.name,
            frozenset(layout.drop),
            tuple(s for line in layout.lines for s in _slots(scope, line)),
            layout.refused,
        )
        for layout in schema.layouts
    )
    ignores = tuple(
        Ignore(pattern, why, {axis: frozenset(scope.axis(axis)) for axis in _PLACEHOLDER.findall(pattern)})
        for pattern, why in schema.ignores
    )
    for name in schema.axes:
        scope.axis(name)
    expected = Expected(
        slots,
        ignores,
        layouts,
        dict(scope.axes),
        schema=schema.name,
        extents=_extents(schema),
        sizes=scope.sizes(),
    )
    _check_unique(schema, expected)
    return expected


def _extents(schema: Schema) -> dict[str, str]:
    """Return what each axis that counts from 0 ends at, as the schema writes it."""
    ranges = ((name, _COUNTED.fullmatch(spec)) for name, spec in schema.axes.items() if isinstance(spec, str))
    return {name: found[1] for name, found in ranges if found}


def bad_fields(schema: Schema, config: Config) -> Iterator[BadFieldError]:
    """Yield the fields that are there with a value that no model can have, missing ones aside."""
    scope = Scope(schema, config)
    for name in (*schema.fields, *schema.axes):
        try:
            if name in schema.axes:
                scope.axis(name)
            else:
                scope(name)
        except BadFieldError as error:
            yield error
        except MissingFieldError:
            continue


def _slots(scope: Scope, line: Line) -> Iterator[Slot]:
    names = _PLACEHOLDER.findall(line.pattern)
    if len({*names}) < len(names):
        message = f"schema {scope.schema.name}: one axis stands twice in {line.pattern}"
        raise SchemaError(message)
    whole = [text for text in line.conditions if not expr.parse(text).names & {*names}]
    need = Presence(line.need)
    if not all(scope.number(text) for text in whole):
        if line.tie is None:
            return
        need = Presence.TIED
    axes = [_numbers(scope, name, line.over if at == 0 else ()) for at, name in enumerate(names)]
    ragged = [text for text in line.conditions if text not in whole]
    for shape, boxes in _shapes(scope, line, names, axes, ragged):
        yield Slot(
            pattern=line.pattern,
            boxes=boxes,
            shape=shape,
            formula=tuple(map(scope.formula if isinstance(scope.config, Keys) else str, line.shape)),
            dtypes=_dtypes(scope.schema, line),
            kind=line.kind,
            need=need,
            why=line.why,
            absent=line.absent,
            outer_ones=scope.schema.outer_ones,
            tie=line.tie,
            cut=line.tp,
            stage=line.pp,
            quant=line.quant,
            transposed=line.transposed,
            origin=f"{scope.schema.name}.toml#{line.pattern}",
        )


def _numbers(scope: Scope, name: str, over: tuple[str, ...]) -> Axis:
    """Return what may fill a placeholder: the axis of its name, or those that `over` lists."""
    return tuple(sorted({number for axis in over or (name,) for number in scope.axis(axis)}))


def _dtypes(schema: Schema, line: Line) -> frozenset[str]:
    named = line.dtypes or schema.dtypes.get(line.kind)
    if named:
        return frozenset(named)
    pinned = any(re.fullmatch(re.escape(name).replace(r"\*", ".*"), line.pattern) for name in schema.fp32)
    return frozenset({"F32"}) if pinned else FLOATS


def _shapes(
    scope: Scope, line: Line, names: list[str], axes: list[Axis], ragged: list[str]
) -> Iterator[tuple[Shape, tuple[Box, ...]]]:
    """Group the domain by shape, enumerating only the axes that a condition or shape mentions."""
    mentioned: set[str] = set()
    for text in (*ragged, *map(str, line.shape)):
        mentioned |= expr.parse(text).names & {*names}
    varying = [at for at, name in enumerate(names) if name in mentioned]
    if prod(len(axes[at]) for at in varying) > MAX_TESTS:
        why = f"asks for too many of {line.pattern} to test {', '.join(ragged)}"
        raise BadFieldError(THE_CONFIG, why)
    groups: dict[Shape, list[Coord]] = {}
    for coord in itertools.product(*(axes[at] for at in varying)):
        bound = {names[at]: number for at, number in zip(varying, coord, strict=True)}
        if all(scope.number(text, bound) for text in ragged):
            groups.setdefault(_shape(scope, line, bound), []).append(coord)
    for shape, coords in groups.items():
        boxes = tuple(_widened(box, varying, axes) for box in boxed(coords))
        boxes = tuple(box for box in boxes if all(box))
        if boxes:
            yield shape, boxes


def _widened(box: Box, varying: list[int], axes: list[Axis]) -> Box:
    out = list(axes)
    for at, axis in zip(varying, box, strict=True):
        out[at] = axis
    return tuple(out)


def _shape(scope: Scope, line: Line, bound: Mapping[str, int]) -> Shape:
    shape = []
    for text in line.shape:
        size = scope.number(text, bound)
        if not isinstance(size, int) or isinstance(size, bool) or size <= 0:
            blamed = ", ".join(_zeros(scope, text) or sorted(scope.fields_of(text))) or str(text)
            shown = "null" if size is None else size
            raise BadFieldError(blamed, f"makes {line.pattern} {text} = {shown} wide")
        shape.append(size)
    return tuple(shape)


def _zeros(scope: Scope, text: str | int) -> list[str]:
    """Return the fields of an expression that are 0 or null: those make its value so."""
    out: set[str] = set()
    for name in scope.fields_of(text):
        try:
            if not scope(name):
                out |= scope.sources(name)
        except FieldError:
            continue
    return sorted(name for name in out if scope.config.find(name, scope.schema.scope)[0]) or sorted(out)


def _check_total(schema: Schema, slots: tuple[Slot, ...]) -> None:
    total = sum(slot.count for slot in slots)
    if total > MAX_TENSORS:
        widest = max(slots, key=lambda slot: slot.count)
        why = f"asks for {total:,} tensors of {schema.name} ({widest.pattern}), the limit is {MAX_TENSORS:,}"
        raise BadFieldError(THE_CONFIG, why)


def _check_unique(schema: Schema, expected: Expected) -> None:
    """Refuse two slots for one name; only slots with one folded name can collide."""
    for slots in expected.by_template.values():
        if len(slots) == 1:
            continue
        names = [name for slot in slots for name in slot.names()]
        if len(set(names)) != len(names):
            message = f"schema {schema.name}: {slots[0].pattern} is given twice for one tensor"
            raise SchemaError(message)
