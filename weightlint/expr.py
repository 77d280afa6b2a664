"""The expression language of schemas: arithmetic and conditions over config fields and axes.

A whitelist of Python's own syntax, walked by hand; nothing is ever passed to `eval`.

    condition   and or not, == != < <= > >=, in, not in
    arithmetic  + - * // % with whole numbers, float factors only inside `int(...)`
    values      field, field.sub, list[i], list[axis], numbers, 'text', True False None
    choice      a or b (the first that is present and not 0), a if c else b
    functions   min max int len count ceil_div round_up isqrt index_of values
"""

from __future__ import annotations

import ast
import math
import operator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from weightlint.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Scope = Callable[[str], Any]

MAX_LENGTH = 1000
"""Characters of one expression."""
MAX_DEPTH = 50
"""Nested operations of one expression; keeps every walk over it shallow."""


class EvaluationError(Exception):
    """An expression has no value for this config; the text says why."""


def written(value: object) -> str:
    """Write a value as the language does: `2.5`, `'yarn'`, `None`; a long list by its length."""
    if isinstance(value, list):
        return f"a list of {len(value):,}"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def ceil_div(value: int, step: int) -> int:
    """Divide and round up."""
    return -(-value // step)


def round_up(value: int, step: int) -> int:
    """Return the least multiple of `step` that is not below `value`."""
    return ceil_div(value, step) * step


def index_of(items: list[Any], kind: object, axis: int) -> int:
    """Return how many entries equal to `kind` stand before position `axis`."""
    return sum(item == kind for item in items[:axis])


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "int": int,
    "len": len,
    "count": lambda items, kind: list(items).count(kind),
    "ceil_div": ceil_div,
    "round_up": round_up,
    "isqrt": math.isqrt,
    "index_of": index_of,
    "values": lambda table: list(table.values()),
}
BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Div: operator.truediv,
}
COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, items: item in items,
    ast.NotIn: lambda item, items: item not in items,
}


@dataclass(frozen=True, slots=True)
class Expr:
    """A parsed expression; `names` are the fields, lets and axes that it reads."""

    text: str
    node: ast.expr
    names: frozenset[str]

    def value(self, scope: Scope) -> Any:
        """Compute the expression.

        Raises:
            EvaluationError: a value is null, of the wrong type, zero as a divisor, out of range.
        """
        try:
            return _value(self.node, scope)
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            message = f"{self.text}: {error}"
            raise EvaluationError(message) from error


@cache
def parse(text: str) -> Expr:
    """Parse one expression.

    Raises:
        SchemaError: not in the language.
    """
    if len(text) > MAX_LENGTH:
        message = f"expression of {len(text)} characters, the limit is {MAX_LENGTH}"
        raise SchemaError(message)
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        message = f"not an expression: {text!r}"
        raise SchemaError(message) from error
    if _depth(node) > MAX_DEPTH:
        message = f"expression nested deeper than {MAX_DEPTH}: {text[:60]!r}"
        raise SchemaError(message)
    return Expr(text, node, frozenset(_names(node, text)))


def _depth(node: ast.AST) -> int:
    """Count the levels, level by level: recursion is what this guards against."""
    level, depth = [node], 0
    while level and depth <= MAX_DEPTH:
        level = [child for parent in level for child in ast.iter_child_nodes(parent)]
        depth += 1
    return depth


def _names(node: ast.expr, text: str) -> Iterator[str]:
    if isinstance(node, (ast.Name, ast.Attribute)):
        yield _dotted(node, text)
        return
    for part in _parts(node, text):
        yield from _names(part, text)


def _parts(node: ast.expr, text: str) -> list[ast.expr]:
    """Return the operands of a node, if the language has it."""
    match node:
        case ast.Constant(value=int() | float() | str() | None):
            return []
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            return args
        case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
            return [left, right]
        case ast.BoolOp(values=parts) | ast.List(elts=parts) | ast.Tuple(elts=parts):
            return parts
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            return [operand]
        case ast.Compare(left=left, ops=ops, comparators=rest) if {*map(type, ops)} <= {*COMPARE}:
            return [left, *rest]
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return [test, body, orelse]
        case ast.Subscript(value=value, slice=index):
            return [value, index]
    message = f"{type(node).__name__} is not in the schema language: {text!r}"
    raise SchemaError(message)


def _dotted(node: ast.expr, text: str) -> str:
    match node:
        case ast.Name(id=name) if not name.startswith("_"):
            return name
        case ast.Attribute(value=value, attr=attr) if not attr.startswith("_"):
            return f"{_dotted(value, text)}.{attr}"
    message = f"neither a field, a let nor an axis: {text!r}"
    raise SchemaError(message)


def _value(node: ast.expr, scope: Scope) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name() | ast.Attribute():
            return scope(_dotted(node, ""))
        case ast.BinOp(left=left, op=op, right=right):
            return BINARY[type(op)](_number(left, scope), _number(right, scope))
        case ast.BoolOp(op=op, values=parts):
            return _logic(parts, scope, wanted=isinstance(op, ast.Or))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _value(operand, scope)
        case ast.UnaryOp(operand=operand):
            return -_number(operand, scope)
        case ast.Compare(left=left, ops=ops, comparators=rest):
            return _compare([left, *rest], ops, scope)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return _value(body if _value(test, scope) else orelse, scope)
        case ast.Subscript(value=value, slice=index):
            return _value(value, scope)[_value(index, scope)]
        case ast.Call(func=ast.Name(id=name), args=args):
            return FUNCTIONS[name](*(_value(arg, scope) for arg in args))
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return [_value(part, scope) for part in parts]
    raise AssertionError(ast.dump(node))


def _number(node: ast.expr, scope: Scope) -> int | float:
    value = _value(node, scope)
    if isinstance(value, (int, float)):
        return value
    message = f"{ast.unparse(node)} is {'null' if value is None else repr(value)}, not a number"
    raise TypeError(message)


def _logic(parts: list[ast.expr], scope: Scope, *, wanted: bool) -> Any:
    value: Any = None
    for part in parts:
        value = _value(part, scope)
        if bool(value) is wanted:
            return value
    return value


def _compare(parts: list[ast.expr], ops: list[ast.cmpop], scope: Scope) -> bool:
    left = _value(parts[0], scope)
    for op, part in zip(ops, parts[1:], strict=True):
        right = _value(part, scope)
        if not COMPARE[type(op)](left, right):
            return False
        left = right
    return True
