"""Settings of a project: `weightlint.toml`, or `[tool.weightlint]` in `pyproject.toml`.

The nearest file from the current folder upwards counts, and the command line wins over it. Knows
nothing of checkpoints, but does not take settings out of one: a downloaded folder must not be able
to silence its own findings.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightlint.errors import UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

FILES = ("weightlint.toml", "pyproject.toml")
"""Names looked for in each folder, in this order."""

LISTS = frozenset({"select", "ignore", "format"})
"""Keys that take a text or a list of texts; the others take one text."""

KEYS = ("arch", "config", "dialect", "fail-on", "format", "ignore", "loader", "plan", "select")

LEVELS = ("info", "warning", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What may be set for a project. `source` is the file it was read from."""

    arch: str | None = None
    config: str | None = None
    dialect: str | None = None
    loader: str | None = None
    plan: str | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on: str = "error"
    format: tuple[str, ...] = ("text",)
    source: Path | None = None

    def over(self, given: Mapping[str, Any]) -> Settings:
        """Return these settings with those values in their place that were given at all."""
        return replace(self, **{key: value for key, value in given.items() if value})


def find(start: Path) -> Path | None:
    """Return the nearest file with settings for weightlint, from a folder upwards.

    Raises:
        UsageError: a file on the way cannot be read.
    """
    for folder in (start, *start.parents):
        for name in FILES:
            file = folder / name
            if os.path.isfile(file) and _table(file) is not None:  # noqa: PTH113 - never raises
                return file
    return None


def read(file: Path) -> Settings:
    """Read one file of settings; `config` is relative to its folder.

    Raises:
        UsageError: not readable, not TOML, an unknown key or a wrong type.
    """
    table = _table(file) or {}
    values = {key.replace("-", "_"): _value(file, key, value) for key, value in table.items()}
    if any("=" in word for word in values.get("format", ())):
        message = f"settings {file}: format names formats; their files belong on the command line"
        raise UsageError(message)
    if "config" in values:
        values["config"] = str(file.parent / values["config"])
    return Settings(source=file).over(values)


def inside(file: Path, target: str) -> bool:
    """Tell whether settings lie in the folder that is checked, or beside the file that is."""
    place = Path(target)
    if place.is_dir():
        return file.resolve().is_relative_to(place.resolve())
    return place.is_file() and file.resolve().parent == place.parent.resolve()


def _table(file: Path) -> dict[str, Any] | None:
    """Return the settings in a file; None for a `pyproject.toml` without any."""
    import tomllib

    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"settings {file}: {error.strerror}"
        raise UsageError(message) from error
    except (ValueError, RecursionError) as error:
        message = f"settings {file}: not TOML: {error}"
        raise UsageError(message) from error
    if file.name != "pyproject.toml":
        return table
    tool = table.get("tool")
    own = tool.get("weightlint") if isinstance(tool, dict) else None
    if own is None or isinstance(own, dict):
        return own
    message = f"settings {file}: tool.weightlint must be a table"
    raise UsageError(message)


def _value(file: Path, key: str, value: object) -> Any:
    if key not in KEYS:
        known = f"{nearest(key, KEYS)}; known: {', '.join(KEYS)}"
        message = f"settings {file}: unknown key {key!r}{known}"
    elif key == "fail-on" and value not in LEVELS:
        message = f"settings {file}: fail-on must be one of {', '.join(LEVELS)}, not {value!r}"
    elif key in LISTS and isinstance(value, list) and all(isinstance(it, str) for it in value):
        return tuple(value)
    elif isinstance(value, str):
        return (value,) if key in LISTS else value
    else:
        wanted = "a text or a list of texts" if key in LISTS else "a text"
        message = f"settings {file}: {key} must be {wanted}, not {value!r}"
    raise UsageError(message)
