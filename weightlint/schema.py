"""Architecture schemas: where they are, how a file is read, which one a config asks for.

A schema is data; `weightlint.expansion` turns it and a config into what is expected.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightlint.edition import edition, releases
from weightlint.errors import SchemaError, UsageError, nearest
from weightlint.schema_table import Check, LayoutSpec, Line, Schema, parse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from weightlint.config import Config

_PACKAGE = Path(__file__).parent
SHELVES = ("gguf",)
MAX_DEPTH = 8
"""Schemas that one schema may extend in a chain."""


def folder() -> Path:
    """Return the folder of the bundled schemas: inside the wheel, else beside the package."""
    inside = _PACKAGE / "schemas"
    return inside if inside.is_dir() else _PACKAGE.parent / "schemas"


def names(shelf: str = "") -> tuple[str, ...]:
    """Return the names of the bundled schemas for Hugging Face configs, or those of a shelf.

    A shelf is a folder of schemas for another kind of config, as `gguf`; its name stands before theirs.
    """
    return tuple(sorted(f"{shelf}/{stem}" if shelf else stem for stem in _stems(shelf)))


def every() -> tuple[str, ...]:
    """Return the names of all bundled schemas, those of the shelves last."""
    return (*names(), *(name for shelf in SHELVES for name in names(shelf)))


def _stems(shelf: str) -> list[str]:
    found = (file.stem for file in (folder() / shelf).glob("*.toml"))
    return [stem for stem in found if not stem.startswith("_")]


def path(name: str) -> Path:
    """Return the file of a bundled schema.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in every():
        message = f"no schema named {name!r}{nearest(name, every())}; `weightlint schema list` has all"
        raise UsageError(message)
    return folder() / f"{name}.toml"


def load(name: str, release: str | None = None) -> Schema:
    """Read a bundled schema, as it holds for a release of its loader: the newest, unless told otherwise."""
    return read(path(name), release)


def audience(name: str) -> str:
    """Return what a bundled schema is for: classes of transformers, or what a GGUF file declares."""
    if "/" in name:
        return f"general.architecture = {load(name).name}"
    return ", ".join(load(name).architectures)


def read(file: Path, release: str | None = None) -> Schema:
    """Read a schema file, TOML or JSON, and what it extends.

    Raises:
        SchemaError: not readable, or not a schema; the text says where.
    """
    try:
        return parse(_merged(table(file), 0, release), str(file.name))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        message = f"schema {file.name}: {type(error).__name__} {error}; `weightlint schema check` says more"
        raise SchemaError(message) from error


def validate(file: Path) -> list[str]:
    """Return what is wrong with a schema file: against its JSON Schema, then by reading it."""
    from weightlint import schema_check

    try:
        raw = table(file)
        wrong = schema_check.shape(raw)
        if wrong:
            return wrong
        editions = [read(file, release) for release in (None, *sorted(_turning_points(raw, 0)))]
        found = [it for each in editions for it in schema_check.sense(each, editions)]
        return list(dict.fromkeys(found))
    except SchemaError as error:
        return [str(error)]


def turning_points(name: str) -> frozenset[str]:
    """Return the releases of the loader with which a bundled schema, or one that it extends, changes."""
    return _turning_points(table(path(name)), 0)


def _turning_points(mine: dict[str, Any], depth: int) -> frozenset[str]:
    base = mine.get("extends")
    if base is None or depth == MAX_DEPTH or not _is_bundled(folder() / f"{base}.toml"):
        return releases(mine)
    return releases(mine) | _turning_points(table(folder() / f"{base}.toml"), depth + 1)


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


def _is_bundled(file: Path) -> bool:
    return file.parent in {folder(), *(folder() / shelf for shelf in SHELVES)} and file.is_file()


def _merged(whole: dict[str, Any], depth: int, release: str | None) -> dict[str, Any]:
    """Lay a table over the one that it extends: tables by key, tensors by full name."""
    mine = edition(whole, release)
    base_name = mine.get("extends")
    if base_name is None:
        return mine
    file = folder() / f"{base_name}.toml"
    if depth == MAX_DEPTH or not _is_bundled(file):
        message = f"schema {mine.get('name')!r} extends {base_name!r}, which is not to be had"
        raise SchemaError(message)
    base = _merged(table(file), depth + 1, release)
    given = {block["prefix"] + line["name"] for block in mine.get("block", ()) for line in block["tensors"]}
    kept = [
        {**block, "tensors": [t for t in block["tensors"] if block["prefix"] + t["name"] not in given]}
        for block in base.get("block", ())
    ]
    out = {**base, "fingerprints": [], **mine, "block": kept + list(mine.get("block", ()))}
    for key in ("config", "let", "axes", "dtypes", "quantization"):
        out[key] = {**base.get(key, {}), **mine.get(key, {})}
    for key in ("ignore", "beside"):
        out[key] = [*base.get(key, ()), *mine.get(key, ())]
    for key in ("layout", "check"):
        own = {it["name"] for it in mine.get(key, ())}
        out[key] = [*mine.get(key, ()), *(it for it in base.get(key, ()) if it["name"] not in own)]
    out["fp32"] = {"names": [*base.get("fp32", {}).get("names", ()), *mine.get("fp32", {}).get("names", ())]}
    return out


__all__ = [
    "Check",
    "LayoutSpec",
    "Line",
    "Schema",
    "audience",
    "detect",
    "every",
    "folder",
    "load",
    "names",
    "parse",
    "path",
    "read",
    "recognise",
    "table",
    "validate",
]
