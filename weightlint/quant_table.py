"""Reading the values of a quantisation table; what cannot be is told by the name of its key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from weightlint.config import BadFieldError

if TYPE_CHECKING:
    from collections.abc import Collection

    from weightlint.quant import Table

BITS_KEY, GROUP_KEY = "bits", "group_size"
BITS = (2, 3, 4, 8)
"""Bits of one number in schemes that pack whole numbers in groups."""

GROUPS = (128, 64, 32, -1, 16, 256, 512, 1024)
"""Group sizes that are tried, the most usual first."""


def bad(key: str, why: str) -> BadFieldError:
    """Return the error of one key."""
    return BadFieldError(f"quantization_config.{key}", why)


def said(table: Table, key: str) -> str:
    """Return a text in small letters, an empty one where there is none."""
    value = table.get(key)
    return value.lower() if isinstance(value, str) else ""


def whole(table: Table, *keys: str, default: int | None = None, at: str = "") -> int:
    """Return a whole number of a quantisation table, by the first of these keys that it has.

    `at` is where the table stands in the config's own: `config_groups.group_0.`.

    Raises:
        BadFieldError: it has none of them, or another kind of value.
    """
    for key in keys:
        if table.get(key) is not None:
            value = table[key]
            if type(value) is int:
                return value
            raise bad(at + key, f"is {shown(value)}, not a whole number")
    if default is None:
        raise bad(at + keys[0], "is not there")
    return default


def above_zero(table: Table, key: str, *, at: str = "", default: int | None = None) -> int:
    """Return a whole number above 0.

    Raises:
        BadFieldError: it is none.
    """
    value = whole(table, key, default=default, at=at)
    if value < 1:
        raise bad(at + key, f"is {value}, not above 0")
    return value


def pair(table: Table, key: str, *, at: str = "") -> tuple[int, int]:
    """Return two whole numbers above 0: rows and columns of a block.

    Raises:
        BadFieldError: they are none.
    """
    value = table.get(key)
    if isinstance(value, list | tuple) and len(value) == 2 and all(type(n) is int and n > 0 for n in value):
        return value[0], value[1]
    raise bad(at + key, f"is {shown(value)}, not two whole numbers above 0")


def word(
    table: Table, key: str, options: Collection[str], *, at: str = "", default: str | None = None
) -> str:
    """Return a text that is one of some, in small letters.

    Raises:
        BadFieldError: it is none of them.
    """
    value = table.get(key)
    value = default if value is None else value
    if isinstance(value, str) and value.lower() in options:
        return value.lower()
    raise bad(at + key, f"is {shown(value)}, not one of {', '.join(sorted(options))}")


def inner(table: Table, key: str, *, at: str = "") -> Table:
    """Return a table within a table, an empty one where there is none.

    Raises:
        BadFieldError: there is something else.
    """
    value = table.get(key)
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise bad(at + key, f"is {shown(value)}, not a table")


def shown(value: object) -> str:
    """Return a value of the config as its file writes it, cut short."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def texts(table: Table, *keys: str) -> tuple[str, ...]:
    """Return the texts of the first list, of these keys, that a quantisation table has."""
    listed = next((table[key] for key in keys if table.get(key)), ())
    return (
        tuple(entry for entry in listed if isinstance(entry, str)) if isinstance(listed, list | tuple) else ()
    )


def bits_and_group(table: Table) -> tuple[int, int]:
    """Return the bits of a number and the group size, -1 for one group.

    Raises:
        BadFieldError: they cannot be.
    """
    bits, group = whole(table, BITS_KEY, "w_bit"), whole(table, GROUP_KEY, "q_group_size", default=-1)
    if bits not in BITS:
        raise bad(BITS_KEY, f"is {bits}, not one of {', '.join(map(str, BITS))}")
    if group < -1 or group == 0:
        raise bad(GROUP_KEY, f"is {group}, neither -1 nor above 0")
    return bits, group
