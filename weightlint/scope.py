"""The names that the expressions of one schema may read, for one config: fields, lets and axes.

Says which field is to blame where a value cannot be used. Knows nothing of tensor lines.
"""

from __future__ import annotations

import ast
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from weightlint import expr
from weightlint.config import MAX_INT, BadFieldError, FieldError, FieldSpec, MissingFieldError, checked
from weightlint.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from weightlint.config import Config
    from weightlint.expected import Axis
    from weightlint.schema import Schema

MAX_LAYERS = 10_000
MAX_AXIS = 100_000
_RANGE = re.compile(r"range\((.*)\)", re.DOTALL)
_PLAIN = FieldSpec(type="any", nullable=True)


class _Definitions(ast.NodeTransformer):
    """Puts the definitions of lets in their place, but for choices: those are longer than their names."""

    def __init__(self, lets: Mapping[str, str]) -> None:
        self.lets = lets

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in self.lets:
            return node
        inner = ast.parse(self.lets[node.id], mode="eval").body
        plain = not any(isinstance(each, (ast.IfExp, ast.BoolOp, ast.Compare)) for each in ast.walk(inner))
        return self.visit(inner) if plain else node


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
            raise BadFieldError(blamed[0], f"has no usable value: {error}") from error

    def _compute(self, name: str) -> Any:
        if name in self.schema.lets:
            return self.number(self.schema.lets[name])
        spec = self.schema.fields.get(name, _PLAIN)
        self.read.add(name)
        for spelling in (name, *spec.aliases):
            there, value = self.config.find(spelling, self.schema.scope)
            if there and (value is not None or spec.nullable):
                return (
                    None if value is None else checked(spec, name, self._one(spec, name, value), self.number)
                )
            if there and spec.default is None and spec.each is None:
                raise BadFieldError(name, "is null")
        return self._default(name, spec)

    def _one(self, spec: FieldSpec, name: str, value: object) -> object:
        """Return what counts where a field may be one value or an array of them."""
        if spec.items is None:
            return value
        if not isinstance(value, (list, range)) and spec.type != "list":
            return value
        wanted = self._whole(spec.items, self.number(spec.items))
        if wanted > MAX_LAYERS:
            raise BadFieldError(spec.items, f"is {wanted:,}, the limit is {MAX_LAYERS:,}")
        if not isinstance(value, (list, range)):
            return [value] * wanted
        if len(value) != wanted or not value:
            raise BadFieldError(name, f"has {len(value):,} items, not {wanted:,} = {spec.items}")
        return value if spec.type == "list" else value[0]

    def _default(self, name: str, spec: FieldSpec) -> Any:
        if spec.each is not None:
            return [self.number(spec.each, {spec.over: at}) for at in self.axis(spec.over)]
        if spec.default is not None:
            return self.number(spec.default)
        if name in self.schema.axes:
            message = f"schema {self.schema.name}: axis {name} has no value where it is used"
            raise SchemaError(message)
        raise MissingFieldError(name)

    def sizes(self) -> dict[str, int]:
        """Return every field and let that is a whole number in this config, the others left away."""
        out: dict[str, int] = {}
        for name in (*self.schema.fields, *self.schema.lets):
            try:
                value = self(name)
            except FieldError:
                continue
            if type(value) is int:
                out[name] = value
        return out

    def fields_of(self, text: str | int) -> set[str]:
        """Return the config fields that an expression comes down to, through lets."""
        out: set[str] = set()
        for name in expr.parse(str(text)).names:
            if name in self.schema.lets:
                out |= self.fields_of(self.schema.lets[name])
            elif name not in self.schema.axes:
                out.add(name)
        return out

    def sources(self, text: str | int) -> set[str]:
        """Return the fields that an expression comes down to, and those of defaults that stand in for one."""
        out = self.fields_of(text)
        for name in sorted(out):
            spec = self.schema.fields.get(name, _PLAIN)
            if spec.default is not None and not self.config.find(name, self.schema.scope)[0]:
                out |= self.fields_of(spec.default)
        return out

    def formula(self, text: str | int) -> str:
        """Write an expression in fields: lets that are sums and products of them are put in."""
        tree = ast.parse(str(text), mode="eval")
        return ast.unparse(_Definitions(self.schema.lets).visit(tree))

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
        while isinstance(spec := self.schema.axes.get(out[-1]), dict) and spec["of"] not in out:
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
            fields = sorted(self.fields_of(f"[{matched[1]}]"))
            raise BadFieldError(
                max(fields, key=self, default=spec),
                f"gives {last - first:,} of {name}, the limit is {limit:,}",
            )
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
        raise BadFieldError(
            ", ".join(sorted(self.fields_of(f"[{spec[6:-1]}]"))), f"gives no whole number: {value!r}"
        )

    def _listed(self, spec: str) -> Axis:
        values = self.number(spec)
        if not isinstance(values, list) or not all(
            type(value) is int and 0 <= value < MAX_AXIS for value in values
        ):
            raise BadFieldError(spec, "is not a list of whole numbers")
        return tuple(sorted(set(values)))
