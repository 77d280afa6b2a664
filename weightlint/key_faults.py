"""What is wrong with the keys of a GGUF file, as its schema says: type, presence, value, contradiction.

One fault per key, the first that a loader would meet. Knows schemas, keys and names of tensors; how a
fault is told is for the rule.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightlint import expr
from weightlint.config import BadFieldError, FieldError, FieldSpec, MissingFieldError
from weightlint.expected import Ignore
from weightlint.keys import ARCHITECTURE, SHARED
from weightlint.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from weightlint.keys import Keys
    from weightlint.metadata import Value
    from weightlint.schema import Check, Schema

WHOLE = frozenset({"u32", "i32"})
"""Items of an array that stands for a whole number; source: llama.cpp, src/llama-model-loader.cpp, get_arr."""

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFault:
    """One key that is wrong: what is, what was expected, what was found.

    `otherwise` is what the loader does. `tensors` are names that contradict the key; `covers` and
    `explains` tell which other keys and names have no fault of their own then.
    """

    key: str
    what: str
    expected: str
    found: str
    otherwise: str = "refuses"
    level: str = "error"
    cure: str | None = None
    tensors: tuple[str, ...] = ()
    covers: tuple[str, ...] = ()
    explains: tuple[Ignore, ...] = ()


def key_faults(schema: Schema, keys: Keys, names: Collection[str]) -> Iterator[KeyFault]:
    """Yield the faults of keys, one for each key; `names` are the tensors that were found."""
    told: set[str] = set()
    for fault in _all(schema, keys, names):
        if fault.key not in told:
            told |= {fault.key, *fault.covers}
            yield fault


def _all(schema: Schema, keys: Keys, names: Collection[str]) -> Iterator[KeyFault]:
    if not _has_own(keys):
        yield _foreign(keys)
        return
    for name, spec in schema.fields.items():
        yield from _field(name, spec, keys)
    yield from _checks(schema, keys, names)
    scope = Scope(schema, keys)
    for name in (*schema.fields, *schema.axes):
        yield from _usable(scope, name)
        yield from _uneven(scope, name)


def _checks(schema: Schema, keys: Keys, names: Collection[str]) -> Iterator[KeyFault]:
    scope = Scope(schema, keys)
    for check in schema.checks:
        yield from _checked(scope, check, keys, names)


def still(schema: Schema, keys: Keys, names: Collection[str]) -> frozenset[str]:
    """Return the keys that fail a check with these values."""
    return frozenset(fault.key for fault in _checks(schema, keys, names))


def unknown(keys: Keys, known: Collection[str]) -> KeyFault | None:
    """Return the fault of a declared architecture that is no text, or that llama.cpp does not know."""
    value = keys.values.get(ARCHITECTURE)
    if value is None:
        return KeyFault(key=ARCHITECTURE, what="is absent", expected="str", found="no such key")
    if value.type != "str":
        what = f"is stored as {value.spelling}, not as str"
        return KeyFault(key=ARCHITECTURE, what=what, expected="str", found=value.spelling)
    if keys.prefix in known:
        return None if _has_own(keys) else _foreign(keys)
    return KeyFault(
        key=ARCHITECTURE,
        what=f"is {keys.prefix!r}: llama.cpp, as of August 2026, knows no such architecture",
        expected=f"one of {len(known)} architectures",
        found=repr(keys.prefix),
        level="error" if not keys.prefix else "warning",
        cure="correct general.architecture with gguf-set-metadata, or look for a loader that knows it",
    )


def _has_own(keys: Keys) -> bool:
    return any(key.startswith(f"{keys.prefix}.") for key in keys.values)


def _foreign(keys: Keys) -> KeyFault:
    """Say whose keys are there, where there is none of the declared architecture."""
    others = {key.partition(".")[0] for key in keys.values if not key.startswith(SHARED)}
    found = ", ".join(f"{other}.*" for other in sorted(others)) or "none"
    return KeyFault(
        key=ARCHITECTURE,
        what=f"is {keys.prefix!r}, and no key begins with {keys.prefix}.",
        expected=f"keys {keys.prefix}.block_count and the like",
        found=f"keys {found}",
    )


def _field(name: str, spec: FieldSpec, keys: Keys) -> Iterator[KeyFault]:
    """Compare a key's type, and see that it is there if it must be."""
    value = keys.value(name)
    if value is None:
        if spec.required:
            yield KeyFault(key=name, what="is absent", expected=spec.stored or spec.type, found="no such key")
    elif spec.stored is not None and not _has_type(spec, value):
        yield KeyFault(
            key=name,
            what=f"is stored as {value.spelling}, not as {spec.stored}",
            expected=spec.stored + (f", or arr[{spec.stored}] of {spec.items}" if spec.items else ""),
            found=value.spelling,
        )


def _has_type(spec: FieldSpec, value: Value) -> bool:
    assert spec.stored is not None
    if value.type != "arr":
        return value.type == spec.stored
    if spec.stored.startswith("arr["):
        return value.of in spec.stored[4:-1].split("|")
    whole = spec.stored in WHOLE and value.of in WHOLE | {"bool"}
    return spec.items is not None and (whole or value.of == spec.stored)


def _usable(scope: Scope, name: str) -> Iterator[KeyFault]:
    """See that a key has a value that a model can have, and is there where a formula reads it."""
    try:
        if name in scope.schema.axes:
            scope.axis(name)
        else:
            scope(name)
    except BadFieldError as error:
        yield KeyFault(key=error.name, what=error.why, expected="a value that fits", found=error.why)
    except MissingFieldError:
        return


def _uneven(scope: Scope, name: str) -> Iterator[KeyFault]:
    """See that an array has one value for all layers where only its first item gives the shapes; draft layers aside."""
    spec = scope.schema.fields.get(name, FieldSpec())
    there, items = scope.config.find(name, None)
    if spec.even is None or not there or not isinstance(items, list):
        return
    try:
        several = list(dict.fromkeys(items[: len(scope.axis("layer"))]))
    except FieldError:
        return
    if len(several) > 1:
        yield KeyFault(
            key=name,
            what=f"is {' or '.join(map(str, several))} by layer: layers of this architecture are all alike",
            expected=f"one value for all layers, as {several[0]}",
            found=" and ".join(map(str, several)),
            otherwise=spec.even,
        )


def stopping(error: FieldError, schema: Schema) -> KeyFault:
    """Return the fault of a key with which nothing could be expanded."""
    spec = schema.fields.get(error.name, FieldSpec())
    missing = isinstance(error, MissingFieldError)
    return KeyFault(
        key=error.name,
        what="is absent" if missing else error.why,
        expected=spec.stored or "a value that fits",
        found="no such key" if missing else error.why,
    )


def _checked(scope: Scope, check: Check, keys: Keys, names: Collection[str]) -> Iterator[KeyFault]:
    try:
        if not scope.number(check.when):
            return
        there = _named(scope, check.has, names)
        if (check.has and not there) or _named(scope, check.lacks, names):
            return
        if scope.number(check.holds):
            return
        values = list(_values(scope, check))
    except FieldError:
        return
    explains = tuple(_ignore(scope, pattern) for pattern in check.explains)
    yield KeyFault(
        key=check.key,
        what=f"{_shown(keys, check.key)}: {check.why}",
        expected=check.holds,
        found=", ".join(values),
        otherwise=check.otherwise,
        level=check.level,
        cure=check.cure,
        tensors=tuple(there),
        covers=check.covers,
        explains=explains,
    )


def _named(scope: Scope, patterns: tuple[str, ...], names: Collection[str]) -> list[str]:
    matchers = [_ignore(scope, pattern).matcher() for pattern in patterns]
    return [name for name in names if any(matches(name) for matches in matchers)]


def _ignore(scope: Scope, pattern: str) -> Ignore:
    axes = {axis: frozenset(scope.axis(axis)) for axis in _PLACEHOLDER.findall(pattern)}
    return Ignore(pattern, "", axes)


def _values(scope: Scope, check: Check) -> Iterator[str]:
    """Write what a condition reads, and the key that is to blame, with their values."""
    for name in sorted(expr.parse(check.holds).names | {check.key}):
        if name in scope.schema.fields and not scope.config.find(name, None)[0]:
            yield f"no {name}"
            continue
        try:
            yield f"{name} = {expr.written(scope(name))}"
        except FieldError:
            continue


def _shown(keys: Keys, name: str) -> str:
    there, value = keys.find(name, None)
    return f"is {expr.written(value)}" if there else "is absent"
