"""A contract of the user's own in place of a built-in one: read, held against its JSON Schema, tied to a loader."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from weightlint import schema as schemas
from weightlint.errors import SchemaError, UsageError
from weightlint.loader import release
from weightlint.loading.contract import parse, read_table
from weightlint.version import split_spec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from weightlint.loader import Release


def stand_in(file: Path, spec: str | None) -> Release:
    """Return the release of `NAME[@VERSION]` with a file as its contract; without a name, that of the last release recorded in it.

    Raises:
        SchemaError: the file cannot be read, or is no contract.
        UsageError: it is that of another loader.
    """
    found = read_table(file)
    wrong = problems(found)
    if wrong:
        message = f"{file} is no valid contract: {'; '.join(wrong[:3])}"
        raise SchemaError(message)
    contract = parse(found, str(file))
    if spec is None:
        spec = "@".join((contract.loader, *contract.recorded[-1:]))
    chosen = release(spec)
    if chosen.loader.name != contract.loader:
        message = (
            f"{file} is a contract of {contract.loader}, not of {split_spec(spec)[0]}; keep one of the two"
        )
        raise UsageError(message)
    return replace(chosen, contract=file)


def problems(found: Mapping[str, Any]) -> list[str]:
    """Return what `schemas/_meta/contract.schema.json` says against a table."""
    import jsonschema

    text = (schemas.folder() / "_meta" / "contract.schema.json").read_text(encoding="utf-8")
    validator = jsonschema.Draft202012Validator(json.loads(text))
    return sorted(f"{error.json_path}: {error.message}" for error in validator.iter_errors(found))
