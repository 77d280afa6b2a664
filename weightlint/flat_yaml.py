"""YAML as plain settings files use it: scalars, lists of scalars, and tables of these one level deep.

No anchors, no multi-line text, no flow collections but empty ones: what a config file of names and
numbers needs, and no more.
"""

from __future__ import annotations

import re
from typing import Any

_LINE = re.compile(r"(?P<indent> *)(?P<key>[\w.-]+):(?: +(?P<value>.*))?")
_ITEM = re.compile(r" *- +(?P<value>.*)")
_INT = re.compile(r"[-+]?\d{1,4300}")
_FLOAT = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?")
_WORDS = {"null": None, "~": None, "": None, "true": True, "false": False}
_EMPTY: dict[str, Any] = {"[]": [], "{}": {}}


def parse(raw: bytes) -> dict[str, Any]:
    """Parse a settings file.

    Raises:
        ValueError: not UTF-8, or a line that is none of these forms; the text names the line.
    """
    top: dict[str, Any] = {}
    table, key = top, ""
    for number, line in enumerate(raw.decode("utf-8-sig").splitlines(), 1):
        text = line.split(" #", 1)[0].rstrip()
        if not text or text.startswith(("#", "---")):
            continue
        if item := _ITEM.fullmatch(text):
            _list_of(table, key, number).append(_scalar(item["value"]))
            continue
        found = _LINE.fullmatch(text)
        if found is None:
            message = f"line {number} is no `name: value`"
            raise ValueError(message)
        if found["indent"] and table is top:
            table = top[key] = {}
        elif not found["indent"]:
            table = top
        key = found["key"]
        table[key] = _scalar(found["value"] or "")
    return top


def _list_of(table: dict[str, Any], key: str, number: int) -> list[Any]:
    """Return the list under a key, a new one where nothing is there."""
    there = table.get(key)
    if there is None:
        there = table[key] = []
    if isinstance(there, list):
        return there
    message = f"line {number} is an item of what is no list"
    raise ValueError(message)


def _scalar(text: str) -> Any:
    if text in _EMPTY:
        return type(_EMPTY[text])()
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1].replace("''", "'") if text[0] == "'" else text[1:-1]
    return text
