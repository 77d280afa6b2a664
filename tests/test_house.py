"""The house inspects itself: imports, rule pages, sizes, drawers."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

import weightlint
from weightlint import schema
from weightlint.api import DIALECTS, QUANTS, RULES
from weightlint.drawer import Drawer
from weightlint.kind import KINDS
from weightlint.loader import LOADERS
from weightlint.rule import HEADINGS

ROOT = Path(weightlint.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
DRAWERS = (
    "configs",
    "formats",
    "quants",
    "dialects",
    "shardings",
    "plans",
    "loaders",
    "rules",
    "outputs",
    "stores",
    "runners",
    "digests",
)
HEAVY = {
    "torch",
    "numpy",
    "gguf",
    "safetensors",
    "jsonschema",
    "rich",
    "fsspec",
    "ray",
    "transformers",
    "matplotlib",
}
LONG = {
    "expected.py": "slots, layouts and what all rewrites share",
    "header_faults.py": "one cause of a broken table after the other",
    "stale_index.py": "every way in which an index and headers can disagree, told apart in one place",
}


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]


def imports(path: Path, *, top_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    nodes: list[ast.AST] = [*tree.body] if top_only else [*ast.walk(tree)]
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_packages_are_imported_where_they_are_used(path: Path) -> None:
    heavy = {name.partition(".")[0] for name in imports(path, top_only=True)} & HEAVY
    # the room of numbers is made of numpy and is imported as a whole where bytes are read
    assert heavy <= ({"numpy"} if room(path) == "scanning" else set())


@pytest.mark.parametrize(
    "path", [path for path in FILES if room(path) in DRAWERS], ids=lambda path: str(path.relative_to(ROOT))
)
def test_a_drawer_imports_core_rooms_only(path: Path) -> None:
    mine = {name for name in imports(path) if name.startswith("weightlint.")}
    rooms = {name.split(".")[1] for name in mine}
    assert rooms & {"api", "cli"} == set()
    assert rooms & ({*DRAWERS} - {room(path)}) == set()
    if room(path) == "outputs":
        # what they write of a report, and the numbers of its heat map, which a picture has in common with a page
        assert rooms <= {"finding", "profile", "deviation", "heat", "outputs"}


def test_core_rooms_do_not_know_the_command_line() -> None:
    for path in FILES:
        if room(path) not in {"cli", "__main__.py"}:
            assert not any(name.startswith("weightlint.cli") for name in imports(path)), path


@pytest.mark.parametrize("name", [*RULES])
def test_a_rule_is_its_own_page(name: str) -> None:
    rule = RULES[name]
    body = rule.page.strip().splitlines()
    assert rule.title.endswith(".")
    headings = [line.partition(":")[0] for line in body if re.match(r"[A-Z][a-z]+: ", line)]
    assert tuple(headings) == HEADINGS
    assert name.replace("_", "-") == rule.name or rule.code == "WL000"


def test_codes_are_unique() -> None:
    codes = [rule.code for rule in RULES.values()]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"WL\d{3}", code) for code in codes)


def test_every_drawer_item_loads() -> None:
    outputs: Drawer[Any] = Drawer("outputs", "OUTPUT")
    formats: Drawer[Any] = Drawer("formats", "FORMAT")
    assert all(callable(output) for output in outputs.values())
    assert all(
        name == item.name
        for drawer in (QUANTS, DIALECTS, LOADERS, KINDS, formats)
        for name, item in drawer.items()
    )
    assert all(schema.load(name).name == name for name in schema.names())


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_rooms_are_small(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= (310 if path.name in LONG else 250), lines


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_functions_are_short(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno is not None
            body = node.end_lineno - node.body[0].lineno
            assert body <= 45, f"{node.name}: {body} lines"


@pytest.mark.parametrize("name", schema.names())
def test_no_schema_knows_the_depth_of_a_published_model(name: str) -> None:
    text = re.sub(r"#.*", "", schema.path(name).read_text())
    assert not re.search(r"\b(27|28|32|48|56|60|61|80|94)\b", text)


@pytest.mark.parametrize("name", schema.names())
def test_schemas_are_valid(name: str) -> None:
    assert schema.validate(schema.path(name)) == []
