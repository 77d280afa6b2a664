"""Architecture schemas: where they are, how a file is read, which one a config asks for.

A schema is data; `weightlint.expansion` turns it and a config into what is expected.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightlint.config import FieldSpec
from weightlint.errors import SchemaError, UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from weightlint.config import Config

_PACKAGE = Path(__file__).parent
MAX_DEPTH = 8
"""Schemas that one schema may extend in a chain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One tensor line: a name with placeholders below its block's prefix."""

    name: str
    prefix: str
    kind: str
    shape: tuple[str | int, ...]
    conditions: tuple[str, ...] = ()
    over: tuple[str, ...] = ()
    need: str = "required"
    why: str | None = None
    dtypes: tuple[str, ...] = ()
    tie: str | None = None
    tp: str | None = None
    pp: str | None = None
    quant: bool = True
    drop: bool = False

    @property
    def pattern(self) -> str:
        """Full name with placeholders."""
        return self.prefix + self.name


@dataclass(frozen=True, slots=True)
class LayoutSpec:
    """An equal alternative: lines in place of the lines with the patterns `drop`."""

    name: str
    drop: tuple[str, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """One architecture, as its file says it."""

    name: str
    architectures: tuple[str, ...] = ()
    model_types: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()
    scope: str | None = None
    fields: Mapping[str, FieldSpec] = field(default_factory=dict)
    lets: Mapping[str, str] = field(default_factory=dict)
    axes: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[Line, ...] = ()
    layouts: tuple[LayoutSpec, ...] = ()
    ignores: tuple[tuple[str, str], ...] = ()
    fp32: tuple[str, ...] = ()
    fp16_hazard: str | None = None


def folder() -> Path:
    """Return the folder of the bundled schemas: inside the wheel, else beside the package."""
    inside = _PACKAGE / "schemas"
    return inside if inside.is_dir() else _PACKAGE.parent / "schemas"


def names() -> tuple[str, ...]:
    """Return the names of the bundled schemas."""
    return tuple(sorted(path.stem for path in folder().glob("*.toml")))


def path(name: str) -> Path:
    """Return the file of a bundled schema.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in names():
        message = f"no schema named {name!r}{nearest(name, names())}; `weightlint schema list` has all"
        raise UsageError(message)
    return folder() / f"{name}.toml"


def load(name: str) -> Schema:
    """Read a bundled schema."""
    return read(path(name))


def read(file: Path) -> Schema:
    """Read a schema file, TOML or JSON, and what it extends.

    Raises:
        SchemaError: not readable, or not a schema; the text says where.
    """
    try:
        return parse(_merged(table(file), 0), str(file.name))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        message = f"schema {file.name}: {type(error).__name__} {error}; `weightlint schema check` says more"
        raise SchemaError(message) from error


def validate(file: Path) -> list[str]:
    """Return what is wrong with a schema file: against its JSON Schema, then by reading it."""
    from weightlint import schema_check

    try:
        return schema_check.shape(table(file)) or schema_check.sense(read(file))
    except SchemaError as error:
        return [str(error)]


def detect(config: Config) -> str | None:
    """Return the name of the bundled schema that a config asks for, if there is one.

    The class decides; the model type only where no class is given, since a classifier or a reward
    model has the model type of its base and other tensors.
    """
    heads = {name: _head(folder() / f"{name}.toml") for name in names()}
    if config.architectures:
        asked = set(config.architectures)
        return next(
            (name for name, head in heads.items() if asked & set(head.get("architectures", ()))), None
        )
    return next(
        (name for name, head in heads.items() if config.model_type in head.get("model_types", ())), None
    )


def recognise(templates: Iterable[str]) -> list[str]:
    """Return the schemas all of whose fingerprints end some of these folded names, those with `!` none."""
    known = list(templates)

    def ends(mark: str) -> bool:
        return any(template.endswith(mark.lstrip("!*")) for template in known)

    out = []
    for name in names():
        marks = _head(folder() / f"{name}.toml").get("fingerprints", ())
        if marks and all(ends(mark) is not mark.startswith("!") for mark in marks):
            out.append(name)
    return out


def _head(file: Path) -> dict[str, Any]:
    """Read the keys before the first table: all that detection needs, at a tenth of the cost."""
    return tomllib.loads(file.read_text(encoding="utf-8").partition("\n[")[0])


def table(file: Path) -> dict[str, Any]:
    """Read a TOML or JSON file.

    Raises:
        SchemaError: not readable.
    """
    try:
        text = file.read_text(encoding="utf-8")
        return dict(json.loads(text) if file.suffix == ".json" else tomllib.loads(text))
    except OSError as error:
        message = f"schema {file}: {error.strerror}"
        raise SchemaError(message) from error
    except (ValueError, TypeError, RecursionError) as error:
        message = f"schema {file}: {error}"
        raise SchemaError(message) from error


def _merged(mine: dict[str, Any], depth: int) -> dict[str, Any]:
    """Lay a table over the one that it extends: tables by key, tensors by full name."""
    base_name = mine.get("extends")
    if base_name is None:
        return mine
    if depth == MAX_DEPTH or base_name not in names():
        message = f"schema {mine.get('name')!r} extends {base_name!r}, which is not to be had"
        raise SchemaError(message)
    base = _merged(table(folder() / f"{base_name}.toml"), depth + 1)
    given = {block["prefix"] + line["name"] for block in mine.get("block", ()) for line in block["tensors"]}
    kept = [
        {**block, "tensors": [t for t in block["tensors"] if block["prefix"] + t["name"] not in given]}
        for block in base.get("block", ())
    ]
    out = {**base, "fingerprints": [], **mine, "block": kept + list(mine.get("block", ()))}
    for key in ("config", "let", "axes"):
        out[key] = {**base.get(key, {}), **mine.get(key, {})}
    out["ignore"] = [*base.get("ignore", ()), *mine.get("ignore", ())]
    own = {layout["name"] for layout in mine.get("layout", ())}
    out["layout"] = [it for it in base.get("layout", ()) if it["name"] not in own] + list(
        mine.get("layout", ())
    )
    out["fp32"] = {"names": [*base.get("fp32", {}).get("names", ()), *mine.get("fp32", {}).get("names", ())]}
    return out


def parse(table: Mapping[str, Any], source: str) -> Schema:
    """Build the record of a schema from its table.

    Raises:
        SchemaError: a key is missing or of the wrong type.
    """
    try:
        return Schema(
            name=table["name"],
            architectures=tuple(table.get("architectures", ())),
            model_types=tuple(table.get("model_types", ())),
            fingerprints=tuple(table.get("fingerprints", ())),
            scope=table.get("scope"),
            fields={name: _field(spec) for name, spec in table.get("config", {}).items()},
            lets=dict(table.get("let", {})),
            axes=dict(table.get("axes", {})),
            lines=tuple(line for block in table["block"] for line in _lines(block)),
            layouts=tuple(_layout(layout) for layout in table.get("layout", ())),
            ignores=tuple((it["pattern"], it["why"]) for it in table.get("ignore", ())),
            fp32=tuple(table.get("fp32", {}).get("names", ())),
            fp16_hazard=table.get("fp16_hazard"),
        )
    except (KeyError, TypeError, AttributeError) as error:
        message = f"schema {source}: {type(error).__name__} {error}; `weightlint schema check` says more"
        raise SchemaError(message) from error


def _field(spec: Mapping[str, Any]) -> FieldSpec:
    return FieldSpec(**{**spec, "aliases": tuple(spec.get("aliases", ()))})


def _lines(block: Mapping[str, Any]) -> list[Line]:
    shared = [block[key] for key in ("when", "where") if key in block]
    over = tuple(block.get("over", ()))
    return [
        _line(entry, block["prefix"], shared, over) for entry in block["tensors"] if not entry.get("drop")
    ]


def _line(entry: Mapping[str, Any], prefix: str, shared: list[str], over: tuple[str, ...]) -> Line:
    own = [entry[key] for key in ("when", "where") if key in entry]
    plain = {
        key: value
        for key, value in entry.items()
        if key not in {"when", "where", "shape", "dtypes", "origin"}
    }
    return Line(
        prefix=prefix,
        shape=tuple(entry["shape"]),
        conditions=(*shared, *own),
        over=over,
        dtypes=tuple(entry.get("dtypes", ())),
        **plain,
    )


def _layout(table: Mapping[str, Any]) -> LayoutSpec:
    prefix = table.get("prefix", "")
    lines = _lines({"prefix": "", **table})
    return LayoutSpec(table["name"], tuple(prefix + name for name in table["drop"]), tuple(lines))
