"""A loader's contract: what can be said as data about how a framework reads a family of models.

A contract file is TOML or JSON (`schemas/_meta/contract.schema.json`); the built-in ones lie in
`schemas/contracts/`, and one that was recorded may stand in for them. Knows nothing of checkpoints.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from weightlint.errors import SchemaError
from weightlint.loading.family import (
    Assertion,
    Completeness,
    Draft,
    Experts,
    Family,
    Fuse,
    Omit,
    Own,
    Quantised,
    Retype,
    Scope,
    Stages,
    Texts,
)
from weightlint.loading.fault import Fault
from weightlint.loading.manner import Manner
from weightlint.loading.ways import Raises, Shared, Way
from weightlint.version import within

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One framework's families and known faults; `recorded` are the releases that they were held against.

    `unknown` gives for a schema the releases that do not know its architecture, `strictness` what releases do with
    each kind of defect.
    """

    loader: str
    says: str
    recorded: tuple[str, ...]
    families: tuple[Family, ...]
    faults: tuple[Fault, ...] = ()
    unknown: Mapping[str, str] | None = None
    strictness: tuple[Manner, ...] = ()

    def unknown_in(self, arch: str, version: str, *, shelf: str = "") -> str | None:
        """Return the range of releases that do not know a schema, None where this one does; `shelf` is `gguf` for such files."""
        span = (self.unknown or {}).get(f"{shelf}/{arch}" if shelf else arch)
        return span if span is not None and within(version, span) else None

    def family(
        self, arch: str, version: str, architecture: str = "", *, expert_parallel: bool = False
    ) -> Family | None:
        """Return the family of a schema in a release, None where the contract knows nothing of it.

        `architecture` is the class that the config names. Of several families the last one holds, so that a file may
        first say what is usual and then what is not.
        """
        fitting = (
            it
            for it in reversed(self.families)
            if arch in it.archs
            and within(version, it.versions)
            and (not it.architectures or architecture in it.architectures)
            and (expert_parallel or not it.expert_parallel)
        )
        return next(fitting, None)


_NESTED: dict[str, type[Any]] = {
    "fuse": Fuse,
    "experts": Experts,
    "omit": Omit,
    "quantised": Quantised,
    "own": Own,
    "dtypes": Retype,
    "asserts": Assertion,
    "texts": Texts,
    "completeness": Completeness,
    "draft": Draft,
    "scopes": Scope,
    "stages": Stages,
    "ways": Way,
    "refuses": Raises,
    "after": Raises,
    "shared": Shared,
}


def _made(cls: type[T], table: Mapping[str, Any], where: str) -> T:
    """Build a record from a table, nested ones as well; lists become tuples.

    Raises:
        SchemaError: a key that the record does not have.
    """
    known = {*cls._fields}  # type: ignore[attr-defined] # all are named tuples
    if unknown := sorted(table.keys() - known):
        message = f"{where}: unknown key {unknown[0]}"
        raise SchemaError(message)
    values = {key: _value(key, value, where) for key, value in table.items()}
    if cls is Family:
        values |= {key: dict(table.get(key, {})) for key in ("defaults", "pretends", "classes", "modules")}
        values["traits"] = frozenset(table.get("traits", ()))
    return cls(**values)


def _value(key: str, value: Any, where: str) -> Any:
    kind = _NESTED.get(key)
    if kind is not None and not isinstance(value, bool):
        if isinstance(value, dict):
            return _made(kind, value, f"{where}.{key}")
        return tuple(_made(kind, row, f"{where}.{key}") for row in value)
    return tuple(value) if isinstance(value, list) else value


def parse(table: Mapping[str, Any], source: str) -> Contract:
    """Build a contract from its table.

    A family may say `like = "NAME"`: it is then that family with what it says itself in place of the other's. `@NAME` in
    a list stands for the list of that name in the table `lists`.

    Raises:
        SchemaError: a key is missing or unknown.
    """
    made: dict[str, Mapping[str, Any]] = {}
    families = []
    for row in _spelled_out(table.get("family", ()), table.get("lists", {})):
        base = made.get(row.get("like", ""), {})
        whole = {**base, **{key: value for key, value in row.items() if key != "like"}}
        made[whole["name"]] = whole
        families.append(_made(Family, whole, f"{source}: {whole['name']}"))
    return Contract(
        loader=table["loader"],
        says=table["says"],
        recorded=tuple(table.get("recorded", ())),
        families=tuple(families),
        faults=tuple(_made(Fault, row, f"{source}: {row.get('name')}") for row in table.get("fault", ())),
        unknown=dict(table.get("unknown", {})),
        strictness=tuple(_made(Manner, row, f"{source}: strictness") for row in table.get("strictness", ())),
    )


def _spelled_out(value: Any, lists: Mapping[str, list[str]]) -> Any:
    """Put the lists in the place of their names."""
    if isinstance(value, dict):
        return {key: _spelled_out(item, lists) for key, item in value.items()}
    if not isinstance(value, (list, tuple)):
        return value
    out: list[Any] = []
    for item in value:
        named = isinstance(item, str) and item.startswith("@")
        out += lists[item[1:]] if named else [_spelled_out(item, lists)]
    return out


def read_table(path: Path) -> dict[str, Any]:
    """Read a contract file, TOML or JSON, as a table.

    Raises:
        SchemaError: it cannot be read.
    """
    try:
        text = path.read_bytes().decode()
        return dict(json.loads(text) if path.suffix == ".json" else tomllib.loads(text))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        message = f"{path} is no contract: {error}"
        raise SchemaError(message) from error


def load(path: Path) -> Contract:
    """Read a contract file, TOML or JSON.

    Raises:
        SchemaError: it cannot be read or is none.
    """
    try:
        return parse(read_table(path), str(path))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{path} is no contract: {error}"
        raise SchemaError(message) from error
