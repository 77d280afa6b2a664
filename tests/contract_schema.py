"""The JSON Schema of contracts, made from the records that a contract is read into.

`schemas/_meta/contract.schema.json` is what this returns; with WEIGHTLINT_UPDATE=1 the test of contracts writes it.
"""

from __future__ import annotations

import pkgutil
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

from weightlint import loading
from weightlint.loading import contract, manner
from weightlint.loading.family import Family
from weightlint.loading.fault import Fault
from weightlint.loading.manner import Manner
from weightlint.loading.tree import TreeStep

if TYPE_CHECKING:
    from collections.abc import Mapping

PLAIN = {"str": "string", "int": "integer", "bool": "boolean", "float": "number", "Any": None}
STRINGS = {"type": "array", "items": {"type": "string"}}


def steps() -> dict[str, type[Any]]:
    """Return the records of all steps by what a contract calls them."""
    rooms = (import_module(f"weightlint.loading.{it.name}") for it in pkgutil.iter_modules(loading.__path__))
    found = {"tree": TreeStep}
    for room in rooms:
        found |= getattr(room, "STEPS", {})
    return found


def of_type(text: str) -> dict[str, Any]:
    """Write an annotation of a field as a schema."""
    text = text.removesuffix(" | None")
    many = re.fullmatch(r"(?:tuple\[(.*), \.\.\.\]|frozenset\[(.*)\])", text)
    if many:
        return {"type": "array", "items": of_type(many[1] or many[2])}
    row = re.fullmatch(r"tuple\[(\w+), (\w+)\]", text)
    if row:
        return {
            "type": "array",
            "prefixItems": [of_type(row[1]), of_type(row[2])],
            "minItems": 2,
            "maxItems": 2,
        }
    table = re.fullmatch(r"Mapping\[str, (.*)\]", text)
    if table:
        return {"type": "object", "additionalProperties": of_type(table[1])}
    kinds = [PLAIN[part] for part in text.split(" | ")]
    return {} if None in kinds else {"type": kinds if len(kinds) > 1 else kinds[0]}


def nested(kind: type[Any], text: str) -> dict[str, Any]:
    ref = {"$ref": f"#/$defs/{kind.__name__}"}
    return {"type": "array", "items": ref} if text.startswith("tuple[") else ref


def fields(kind: type[Any]) -> Mapping[str, str]:
    """Return the annotations of a record's fields as they are written."""
    return {name: it.__forward_arg__ for name, it in kind.__annotations__.items()}


def of_field(name: str, text: str) -> dict[str, Any]:
    if name in {"steps", "before"} and "Mapping" in text:
        return {"type": "array", "items": {"$ref": "#/$defs/step"}}
    kind = contract._NESTED.get(name)
    return nested(kind, text) if kind is not None and kind.__name__ in text else of_type(text)


def of_record(kind: type[Any], *, more: dict[str, Any] | None = None, free: bool = False) -> dict[str, Any]:
    """Write a record as a schema; `free` where another table may give what it lacks."""
    needed = [name for name in fields(kind) if name not in kind._field_defaults]
    return {
        "description": " ".join((kind.__doc__ or "").split()),
        "type": "object",
        "additionalProperties": False,
        "required": ["name"] if free else needed,
        "properties": {**(more or {}), **{name: of_field(name, text) for name, text in fields(kind).items()}},
    }


def of_steps() -> dict[str, Any]:
    """Write the steps as alternatives, told by `do`."""
    when = {"description": "quantised, plain or tied: the models that it is for.", "type": "string"}
    return {
        "type": "object",
        "required": ["do"],
        "oneOf": [
            of_record(kind, more={"do": {"const": do}, "when": when}) for do, kind in sorted(steps().items())
        ],
    }


def strictness() -> dict[str, Any]:
    made = of_record(Manner)
    made["properties"] |= {
        "defect": {"enum": list(manner.DEFECTS)},
        "does": {"enum": list(manner.WAYS)},
        "seen": {"enum": ["run", "read", "told"]},
    }
    return made


def schema() -> dict[str, Any]:
    """Return the whole schema."""
    records = {kind.__name__: of_record(kind) for kind in contract._NESTED.values()}
    like = {"like": {"description": "The family that this one is but for what it says.", "type": "string"}}
    spans = {"type": "object", "additionalProperties": {"type": "string"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:weightlint:contract:1",
        "title": "weightlint contract, version 1: how a framework reads checkpoints",
        "type": "object",
        "additionalProperties": False,
        "required": ["loader", "says"],
        "properties": {
            "loader": {"description": "Name of the loader.", "type": "string", "pattern": "^[a-z_]+$"},
            "says": {"description": "Its name as its makers write it.", "type": "string"},
            "recorded": {"description": "Releases that this was held against.", **STRINGS},
            "unknown": {
                "description": "By schema, `gguf/` before those of GGUF files: releases that do not know it; an empty "
                "range is all of them.",
                **spans,
            },
            "lists": {
                "description": "Lists that `@NAME` stands for in others.",
                "type": "object",
                "additionalProperties": STRINGS,
            },
            "family": {"type": "array", "items": {"$ref": "#/$defs/family"}},
            "fault": {"type": "array", "items": {"$ref": "#/$defs/fault"}},
            "strictness": {"type": "array", "items": {"$ref": "#/$defs/manner"}},
        },
        "$defs": {
            "family": of_record(Family, more=like, free=True),
            "fault": of_record(Fault),
            "manner": strictness(),
            "step": of_steps(),
            **dict(sorted(records.items())),
        },
    }
