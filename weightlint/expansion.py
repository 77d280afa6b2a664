"""Schema x config -> Expected: every axis, condition and shape worked out, no name built.

A condition is tested once per number of the axes that it mentions, so a block with 256 experts
under a dense layer costs one test. Knows nothing of files.
"""

from __future__ import annotations

import itertools
import re
from contextlib import contextmanager
from math import prod
from typing import TYPE_CHECKING, Any

from weightlint import expr
from weightlint.config import MAX_INT, BadField, FieldError, FieldSpec, MissingField, checked
from weightlint.dtype import FLOATS
from weightlint.errors import SchemaError
from weightlint.expected import Axis, Box, Expected, Ignore, Layout, Presence, Slot, boxed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from weightlint.config import Config
    from weightlint.dtype import Shape
    from weightlint.names import Coord
    from weightlint.schema import Line, Schema

MAX_LAYERS = 10_000
MAX_AXIS = 100_000
MAX_TENSORS = 4_000_000
MAX_TESTS = 500_000
"""Coordinates of one line to test one by one: 20 times the layers x experts of the largest model."""
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_RANGE = re.compile(r"range\((.*)\)", re.DOTALL)
_PLAIN = FieldSpec(type="any", nullable=True)


class Scope:
    """The names that expressions of one schema may read, for one config."""

    def __init__(self, schema: Schema, config: Config) -> None:
        self.schema = schema
        self.config = config
        self.known: dict[str, Any] = {}
        self.axes: dict[str, Axis] = {}
        self.open: set[str] = set()
        self.read: set[str] = set()

    def __call__(self, name: str) -> Any:
        """Return the value of a let or a config field, computed once."""
        if name not in self.known:
            with self._opened(name):
                self.known[name] = self._compute(name)
        return self.known[name]

    @contextmanager
    def _opened(self, name: str) -> Iterator[None]:
        """Refuse a definition that needs itself."""
        if name in self.open:
            message = f"schema {self.schema.name}: {name} is defined by itself"
            raise SchemaError(message)
        self.open.add(name)
        try:
            yield
        finally:
            self.open.discard(name)

    def bound(self, values: Mapping[str, int]) -> expr.Scope:
        """Return the scope with axes bound to numbers."""
        return lambda name: values[name] if name in values else self(name)

    def number(self, text: str | int, values: Mapping[str, int] | None = None) -> Any:
        """Compute an expression, turning a failure into the field that is to blame."""
        if isinstance(text, int):
            return text
        parsed = expr.parse(text)
        try:
            return parsed.value(self.bound(values or {}))
        except expr.EvaluationError as error:
            blamed = sorted(self.fields_of(text)) or [text]
            raise BadField(blamed[0], f"has no usable value: {error}") from error

    def _compute(self, name: str) -> Any:
        if name in self.schema.lets:
            return self.number(self.schema.lets[name])
        spec = self.schema.fields.get(name, _PLAIN)
        self.read.add(name)
        for spelling in (name, *spec.aliases):
            there, value = self.config.find(spelling, self.schema.scope)
            if there and (value is not None or spec.nullable):
                return None if value is None else checked(spec, name, value, self.number)
            if there and spec.default is None and spec.each is None:
                raise BadField(name, "is null")
        return self._default(name, spec)

    def _default(self, name: str, spec: FieldSpec) -> Any:
        if spec.each is not None:
            return [self.number(spec.each, {spec.over: at}) for at in self.axis(spec.over)]
        if spec.default is not None:
            return self.number(spec.default)
        if name in self.schema.axes:
            message = f"schema {self.schema.name}: axis {name} has no value where it is used"
            raise SchemaError(message)
        raise MissingField(name)

    def fields_of(self, text: str | int) -> set[str]:
        """Return the config fields that an expression comes down to, through lets."""
        out: set[str] = set()
        for name in expr.parse(str(text)).names:
            if name in self.schema.lets:
                out |= self.fields_of(self.schema.lets[name])
            elif name not in self.schema.axes:
                out.add(name)
        return out

    def axis(self, name: str) -> Axis:
        """Return the numbers of an axis of the schema, computed once."""
        if name not in self.axes:
            if name not in self.schema.axes:
                message = f"schema {self.schema.name}: no axis named {name!r}"
                raise SchemaError(message)
            with self._opened(f"axis {name}"):
                self.axes[name] = self._axis(name, self.schema.axes[name])
        return self.axes[name]

    def _axis(self, name: str, spec: str | Mapping[str, str]) -> Axis:
        if isinstance(spec, str):
            return self._range(name, spec)
        of, where = spec["of"], spec.get("where", "True")
        bound = self._lineage(of)
        kept = tuple(at for at in self.axis(of) if self.number(where, dict.fromkeys(bound, at)))
        more = self.axis(spec["add"]) if "add" in spec else ()
        return tuple(sorted({*kept, *more}))

    def _lineage(self, name: str) -> list[str]:
        """Return an axis and those that it is a subset of; a condition may use any of the names."""
        out = [name]
        while isinstance(spec := self.schema.axes[out[-1]], dict):
            out.append(spec["of"])
        return out

    def _range(self, name: str, spec: str) -> Axis:
        matched = _RANGE.fullmatch(spec)
        if matched is None:
            return self._listed(spec)
        ends = [self._whole(spec, value) for value in self._ends(matched[1])]
        first, last = ends if len(ends) == 2 else (0, *ends)
        limit = MAX_LAYERS if name == "layer" else MAX_AXIS
        if last - first > limit or last > MAX_INT or first < 0:
            blamed = sorted(self.fields_of(f"[{matched[1]}]"))[-1:] or [spec]
            raise BadField(blamed[0], f"gives {last - first:,} of {name}, the limit is {limit:,}")
        return tuple(range(first, last))

    def _ends(self, text: str) -> list[Any]:
        ends = list(self.number(f"[{text}]"))
        if len(ends) in {1, 2}:
            return ends
        message = f"schema {self.schema.name}: a range has one end or two: range({text})"
        raise SchemaError(message)

    def _whole(self, spec: str, value: object) -> int:
        if isinstance(value, int):
            return value
        raise BadField(", ".join(sorted(self.fields_of(f"[{spec[6:-1]}]"))), f"gives no whole number: {value!r}")

    def _listed(self, spec: str) -> Axis:
        values = self.number(spec)
        if not isinstance(values, list) or not all(type(value) is int and 0 <= value < MAX_AXIS for value in values):
            raise BadField(spec, "is not a list of whole numbers")
        return tuple(sorted(set(values)))


def expand(schema: Schema, config: Config) -> Expected:
    """Work out what the architecture needs for this config.

    Raises:
        MissingField: the config lacks a field that the schema reads.
        BadField: a field has a value that no model can have.
        SchemaError: the schema gives one name two shapes, or is not well formed.
    """
    scope = Scope(schema, config)
    slots = tuple(slot for line in schema.lines for slot in _slots(scope, line))
    _check_total(schema, slots)
    layouts = tuple(
        Layout(layout.name, frozenset(layout.drop), tuple(s for line in layout.lines for s in _slots(scope, line)))
        for layout in schema.layouts
    )
    ignores = tuple(
        Ignore(pattern, why, {axis: frozenset(scope.axis(axis)) for axis in _PLACEHOLDER.findall(pattern)})
        for pattern, why in schema.ignores
    )
    for name in schema.axes:
        scope.axis(name)
    expected = Expected(slots, ignores, layouts, dict(scope.axes))
    _check_unique(schema, expected)
    return expected


def fields_read(schema: Schema, config: Config) -> frozenset[str]:
    """Return the config fields that the expansion reads, up to the first that is wrong."""
    scope = Scope(schema, config)
    try:
        for line in schema.lines:
            for _ in _slots(scope, line):
                pass
    except (FieldError, SchemaError):
        pass
    return frozenset(scope.read)


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
            formula=tuple(map(str, line.shape)),
            dtypes=_dtypes(scope.schema, line),
            kind=line.kind,
            need=need,
            why=line.why,
            tie=line.tie,
            cut=line.tp,
            stage=line.pp,
            quant=line.quant,
            origin=f"{scope.schema.name}.toml#{line.pattern}",
        )


def _numbers(scope: Scope, name: str, over: tuple[str, ...]) -> Axis:
    """Return what may fill a placeholder: the axis of its name, or those that `over` lists."""
    return tuple(sorted({number for axis in over or (name,) for number in scope.axis(axis)}))


def _dtypes(schema: Schema, line: Line) -> frozenset[str]:
    if line.dtypes:
        return frozenset(line.dtypes)
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
        raise BadField("the config", f"asks for too many of {line.pattern} to test {', '.join(ragged)}")
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
            blamed = ", ".join(sorted(scope.fields_of(text))) or str(text)
            shown = "null" if size is None else size
            raise BadField(blamed, f"makes {line.pattern} {text} = {shown} wide")
        shape.append(size)
    return tuple(shape)


def _check_total(schema: Schema, slots: tuple[Slot, ...]) -> None:
    total = sum(slot.count for slot in slots)
    if total > MAX_TENSORS:
        widest = max(slots, key=lambda slot: slot.count)
        raise BadField("the config", f"asks for {total:,} tensors of {schema.name} ({widest.pattern}), the limit is {MAX_TENSORS:,}")


def _check_unique(schema: Schema, expected: Expected) -> None:
    """Refuse two slots for one name; only slots with one folded name can collide."""
    for slots in expected.by_template.values():
        if len(slots) == 1:
            continue
        names = [name for slot in slots for name in slot.names()]
        if len(set(names)) != len(names):
            message = f"schema {schema.name}: {slots[0].pattern} is given twice for one tensor"
            raise SchemaError(message)
