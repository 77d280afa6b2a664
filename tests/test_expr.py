"""The expression language: what it computes, what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from weightlint.errors import SchemaError
from weightlint.expr import EvaluationError, parse

VALUES: dict[str, Any] = {
    "width": 10,
    "heads": 3,
    "none": None,
    "zero": 0,
    "ratio": 1.3,
    "kinds": ["full", "linear", "full", "linear"],
    "letters": "M-M*",
    "table": {"a": 3, "b": 7},
    "layer": 2,
    "vision.depth": 5,
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("width + 2 * heads", 16),
        ("width // heads", 3),
        ("-width % 4", 2),
        ("ceil_div(width, heads)", 4),
        ("round_up(int(width * ratio), 8)", 16),
        ("isqrt(width)", 3),
        ("none or heads", 3),
        ("zero or none", None),
        ("not none and heads", 3),
        ("kinds[layer] == 'full'", True),
        ("kinds[(layer + 3) % len(kinds)]", "linear"),
        ("letters[layer] == 'M'", True),
        ("count(letters, 'M')", 2),
        ("count(kinds, 'linear')", 2),
        ("index_of(kinds, 'full', layer)", 1),
        ("max(values(table))", 7),
        ("min(width, heads, 5)", 3),
        ("layer in [1, 2] and layer not in (3, 4)", True),
        ("1 <= layer < heads", True),
        ("'a' if layer > 1 else 'b'", "a"),
        ("vision.depth + 1", 6),
    ],
)
def test_value(text: str, value: object) -> None:
    assert parse(text).value(VALUES.__getitem__) == value


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "width.__class__",
        "__class__",
        "(1).real",
        "kinds[0].upper",
        "open('x')",
        "max(values=1)",
        "max(*kinds)",
        "lambda: 1",
        "[x for x in kinds]",
        "10 ** 9",
        "1 << 99",
        "width := 3",
        "f'{width}'",
        "kinds[1:]",
        "{1: 2}",
        "b'x'",
        "...",
        "a; b",
        "",
        "await x",
        "(" * 150 + "1" + ")" * 150 + "+",
        "-" * 900 + "1",
        "not " * 240 + "1",
        "a" + ".a" * 400,
        "1+" * 499 + "1" + " " * 100,
        "x" * 1001,
    ],
)
def test_outside_the_language(text: str) -> None:
    with pytest.raises(SchemaError):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "none + 1",
        "width // zero",
        "kinds[9]",
        "letters * 1000000000",
        "[0] * 1000000000",
        "kinds + kinds",
        "width < none",
        "layer in heads",
        "len(width)",
        "int(1e999)",
        "isqrt(-1)",
        "values(kinds)",
    ],
)
def test_no_value(text: str) -> None:
    with pytest.raises(EvaluationError, match=r".+: .+"):
        parse(text).value(VALUES.__getitem__)


def test_names_are_the_fields_read() -> None:
    assert parse("a.b + c[layer] * max(d, 2)").names == {"a.b", "c", "layer", "d"}
