"""Which config fields could be to blame for what the ledger holds, and with which other values.

Candidates come from what was found: sizes of misfit tensors solved for a field, the numbers of
layers or experts that were seen, the layers at which symptoms begin, switches turned over.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from weightlint import expr
from weightlint.config import FieldError
from weightlint.errors import SchemaError
from weightlint.expected import Presence
from weightlint.keys import Keys
from weightlint.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from weightlint.case import Case
    from weightlint.expected import Slot
    from weightlint.names import Coord

MAX_TRIES = 40
"""Pairs that are tried; each costs a join."""

MAX_DIVISOR = 1 << 12
"""Heads, experts in use: what sizes are divided by."""

HELD = frozenset({"num_nextn_predict_layers", "nextn_predict_layers", "vocab_size", "tie_word_embeddings"})
"""Fields with a rule of their own: MTP zone, vocabulary rows, tied head."""


def suspects(case: Case, scope: Scope) -> list[tuple[str, Any]]:
    """Return pairs (field, value) worth trying, the best founded first."""
    votes: Counter[tuple[str, Any]] = Counter()
    for weight, pair in (*_from_shapes(case, scope), *_from_axes(case, scope), *_from_switches(case, scope)):
        votes[pair] += weight
    read = _read_by_lines(scope)
    usable = (
        (pair, n)
        for pair, n in votes.items()
        if pair[0] in read - HELD and pair[1] != scope.known.get(pair[0])
    )
    return [pair for pair, _ in sorted(usable, key=lambda item: -item[1])][:MAX_TRIES]


def _read_by_lines(scope: Scope) -> set[str]:
    """Return the fields on which a tensor depends: by its shape, its conditions or the axes of its name."""
    schema = scope.schema
    texts: set[str | int] = set()
    for line in (*schema.lines, *(line for layout in schema.layouts for line in layout.lines)):
        texts |= {*line.shape, *line.conditions}
    for spec in schema.axes.values():
        text = spec if isinstance(spec, str) else spec.get("where", "True")
        texts.add(f"[{text[6:-1]}]" if text.startswith("range(") else text)
    return {name for text in texts for name in scope.sources(text)}


def _from_shapes(case: Case, scope: Scope) -> Iterator[tuple[int, tuple[str, Any]]]:
    """Solve each misfit size for each field of its formula."""
    assert case.config is not None
    for slot, kinds in case.ledger.misfits.items():
        for kind, rows in kinds.items():
            shape = kind.shape or ()
            if len(shape) != len(slot.formula):
                continue
            for text, said, found in zip(slot.formula, slot.shape, shape, strict=True):
                if said != found:
                    for name in scope.sources(text):
                        value = _solved(case, text, name, found)
                        if value is not None:
                            yield len(rows), (name, value)
                        elif name in case.config.data or isinstance(case.config, Keys):
                            yield from _near(scope, name)


def _solved(case: Case, text: str, name: str, wanted: int) -> int | None:
    """Find the value of a field with which a formula gives a size, if it is linear in it or divides by it."""
    assert case.config is not None
    assert case.schema is not None

    def at(value: int) -> int | None:
        try:
            got = Scope(case.schema, case.config.with_change(name, value)).number(text)  # type: ignore[arg-type, union-attr]  # asserted above
        except (FieldError, SchemaError):
            return None
        return got if isinstance(got, int) else None

    one, two = at(1), at(2)
    if one is not None and two is not None and one > two:
        return _divisor(at, wanted)
    if one is None or two is None or two == one or (wanted - one) % (two - one):
        return None
    value = 1 + (wanted - one) // (two - one)
    return value if value > 0 and at(value) == wanted else None


def _divisor(at: Callable[[int], int | None], wanted: int) -> int | None:
    """Find the least value with which a formula that falls with it gives a size."""
    low, high = 1, MAX_DIVISOR
    while low < high:
        middle = (low + high) // 2
        got = at(middle)
        low, high = (middle + 1, high) if got is not None and got > wanted else (low, middle)
    return low if at(low) == wanted else None


def _near(scope: Scope, name: str) -> Iterator[tuple[int, tuple[str, Any]]]:
    """Try the neighbours, the double and the half of a number that several formulas divide by."""
    said = _read(scope, name)
    if isinstance(said, int) and not isinstance(said, bool):
        yield from ((1, (name, value)) for value in (said - 1, said + 1, said * 2, said // 2) if value > 0)


def _from_axes(case: Case, scope: Scope) -> Iterator[tuple[int, tuple[str, Any]]]:
    """Read off how far each axis reaches in the files, and solve its range for its field."""
    assert case.schema is not None
    for axis, spec in case.schema.axes.items():
        if not isinstance(spec, str) or not spec.startswith("range(") or axis == "mtp":
            continue
        text = spec[len("range(") : -1]
        for extent in _extents(case, scope, axis):
            for name in scope.fields_of(f"[{text}]"):
                value = _solved(case, text, name, extent)
                if value is not None:
                    yield 1000, (name, value)
    yield from _from_thresholds(case, scope)


def _from_thresholds(case: Case, scope: Scope) -> Iterator[tuple[int, tuple[str, Any]]]:
    """Try the layers at which symptoms begin and end for each field that splits an axis."""
    assert case.schema is not None
    layers = {coord[0] for _, coords in _missed(case) for coord in coords if coord}
    edges = {
        edge for number in ({min(layers), max(layers)} if layers else ()) for edge in (number, number + 1)
    }
    for spec in case.schema.axes.values():
        if isinstance(spec, dict) and "where" in spec:
            for name in sorted(expr.parse(spec["where"]).names & set(case.schema.fields)):
                yield from ((1, (name, edge)) for edge in sorted(edges))
                yield from _near(scope, name)


def _missed(case: Case) -> Iterator[tuple[Slot, set[Coord]]]:
    """Yield what is missing and must be there."""
    return ((slot, it) for slot, it in case.ledger.missing.items() if slot.need is Presence.REQUIRED)


def _extents(case: Case, scope: Scope, axis: str) -> set[int]:
    """Return the counts that an axis would have if it ended where the files do."""
    now = len(scope.axis(axis))
    ends: set[int] = set()
    family = {axis} | {n for n, s in case.schema.axes.items() if isinstance(s, dict) and s.get("of") == axis}  # type: ignore[union-attr]  # caller asserts
    by_template = case.joined.expected.by_template
    for template, rows in case.ledger.extra.items():
        for slot in by_template.get(template, ()):
            ends |= {1 + max(coord[at] for coord in rows) for at in _positions(slot, family)}
            if axis == "layer":
                ends |= {min(coord[at] for coord in rows) for at in _positions(slot, {"mtp"})}
    for slot, coords in _missed(case):
        for at in _positions(slot, family):
            ends.add(min(coord[at] for coord in coords))
    return {end for end in ends if 0 < end != now}


def _positions(slot: Slot, axes: set[str]) -> list[int]:
    return [at for at, name in enumerate(slot.axes) if name in axes]


def _from_switches(case: Case, scope: Scope) -> Iterator[tuple[int, tuple[str, Any]]]:
    """Turn every bool over; give null fields the sizes of extra tensors, and others null."""
    assert case.schema is not None
    sizes = {
        size
        for rows in case.ledger.extra.values()
        for row in list(rows.values())[:1]
        for size in case.index.kind(row).shape or ()
    }
    for name, spec in case.schema.fields.items():
        value = _read(scope, name)
        if spec.type == "bool":
            yield 2, (name, not value)
        elif spec.nullable and value is None:
            yield from ((1, (name, size)) for size in sorted(sizes)[:8])
        elif spec.nullable:
            yield 1, (name, None)


def _read(scope: Scope, name: str) -> object:
    try:
        return scope(name)
    except FieldError:
        return None
