"""The edition of a schema for one release of its loader: what began later and what had ended is left out.

An entry says `since`, the first release for which it holds, and `before`, the first for which it holds no more.
Where a key has a list of tables in place of its value, the first that holds is taken. Knows nothing of what
the entries mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SPAN = frozenset({"since", "before"})
LISTS = ("block", "layout", "check", "beside", "ignore")
MAPS = ("config", "let", "axes", "dtypes")
PLAIN = ("probe",)


def edition(table: Mapping[str, Any], release: str | None) -> dict[str, Any]:
    """Return the table of a schema as it holds for a release, the newest where it is None."""
    out = dict(table)
    for key in LISTS:
        if key in out:
            out[key] = [_with_tensors(entry, release) for entry in _holding(out[key], release)]
            out[key] = [entry for entry in out[key] if entry.get("tensors", True)]
    for key in MAPS:
        if key in out:
            out[key] = choose(out[key], release)
    plain = {key: out.pop(key) for key in PLAIN if key in out}
    return {**out, **choose(plain, release)}


def choose(values: Mapping[str, Any], release: str | None) -> dict[str, Any]:
    """Return the values that hold for a release; `is` of a table stands for the value itself."""
    return dict(_chosen(values, release))


def releases(table: Mapping[str, Any]) -> frozenset[str]:
    """Return the releases with which something in a table begins or ends."""
    named = {entry[key] for entry in _dated(table) for key in SPAN & entry.keys()}
    return frozenset(release for release in named if isinstance(release, str))


def holds(entry: Mapping[str, Any], release: str | None) -> bool:
    """Tell whether an entry holds for a release, the newest where it is None."""
    if release is None:
        return "before" not in entry
    return not (
        ("since" in entry and _is_older(release, entry["since"]))
        or ("before" in entry and not _is_older(release, entry["before"]))
    )


def _is_older(release: str, other: str) -> bool:
    from weightlint.version import within

    return within(release, f"<{other}")


def _holding(entries: Iterable[Mapping[str, Any]], release: str | None) -> list[dict[str, Any]]:
    return [_plain(entry) for entry in entries if holds(entry, release)]


def _plain(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in SPAN}


def _with_tensors(entry: dict[str, Any], release: str | None) -> dict[str, Any]:
    return {**entry, "tensors": _holding(entry["tensors"], release)} if "tensors" in entry else entry


def _chosen(values: Mapping[str, Any], release: str | None) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        choices = value if _is_choice(value) else [value]
        for choice in choices:
            if not isinstance(choice, dict) or holds(choice, release):
                plain = _plain(choice) if isinstance(choice, dict) else choice
                yield name, plain["is"] if isinstance(plain, dict) and "is" in plain else plain
                break


def _is_choice(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _dated(value: object) -> Iterator[dict[str, Any]]:
    """Yield every table below a value that says for which releases it holds."""
    if isinstance(value, dict):
        if SPAN & value.keys():
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _dated(item)
