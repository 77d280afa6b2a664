"""Does the config describe another model? Try other values of its fields and join again.

A field is to blame if one other value makes symptoms vanish and brings no new one. Candidates come
from what was found: sizes of misfit tensors solved for a field, the number of layers or experts
seen, switches turned over.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weightlint import expr
from weightlint.config import FieldError
from weightlint.errors import SchemaError
from weightlint.expansion import expand
from weightlint.expected import Presence
from weightlint.join import join
from weightlint.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case, Ledger
    from weightlint.expected import Expected, Slot
    from weightlint.join import Joined

MAX_TRIES = 40
MIN_FEW = 2
"""Symptoms that one value must explain, unless it explains all."""

HELD = frozenset({"num_nextn_predict_layers", "vocab_size", "tie_word_embeddings"})
"""Fields with a rule of their own: MTP zone, vocabulary rows, tied head."""


@dataclass(frozen=True, slots=True)
class Refit:
    """A field, what the config says, what the tensors say, and the names that it explains.

    `whole` tells that nothing is left unexplained.
    """

    field: str
    said: Any
    fits: Any
    explained: frozenset[str]
    whole: bool


def refit(case: Case) -> Refit | None:
    """Return the field that is to blame for most symptoms of the ledger, if there is one."""
    assert case.config is not None
    assert case.schema is not None
    before = symptoms(case, case.ledger)
    if not before or not case.joined.matched:
        return None
    scope = Scope(case.schema, case.config)
    best: Refit | None = None
    for name, value in _candidates(case, scope)[:MAX_TRIES]:
        joined = _rejoined(case, name, value)
        if joined is None:
            continue
        after = _joined_symptoms(case, joined)
        if not after <= before or len(after) == len(before):
            continue
        if best is None or len(before - after) > len(best.explained):
            best = Refit(name, scope(name), value, before - after, whole=not after)
    return best if best is not None and (best.whole or len(best.explained) >= MIN_FEW) else None


def symptoms(case: Case, ledger: Ledger) -> frozenset[str]:
    """Return the names of all tensors that are missing, extra or misfit in a ledger."""
    index = case.index
    missing = {
        slot.name(c)
        for slot, coords in ledger.missing.items()
        if slot.need is Presence.REQUIRED
        for c in coords
    }
    extra = {index.names[row] for rows in ledger.extra.values() for row in rows.values()}
    wrong = {index.names[r] for kinds in ledger.misfits.values() for rows in kinds.values() for r in rows}
    return frozenset(missing | extra | wrong)


def _joined_symptoms(case: Case, joined: Joined) -> frozenset[str]:
    from weightlint.case import Ledger

    missing = {slot: set(coords) for slot, coords in joined.missing.items()}
    ledger = Ledger(missing, joined.extra, joined.misfits)
    ledger.drop_missing({name for names in case.checkpoint.lost.values() for name in names})
    return symptoms(case, ledger)


def _rejoined(case: Case, name: str, value: object) -> Joined | None:
    assert case.config is not None
    assert case.schema is not None
    try:
        expected = expand(case.schema, case.config.with_change(name, value))
        if case.quant is not None:
            expected = case.quant.rewrite(expected, case.config.quantization or {})
    except (FieldError, SchemaError):
        return None
    return join(case.index, _spelt(case, expected))


def _spelt(case: Case, expected: Expected) -> Expected:
    if case.spelling is None:
        return expected
    if case.spelling.dialect is not None:
        expected = case.spelling.dialect.rewrite(expected)
    for prefix in case.spelling.prefixes:
        expected = expected.rename(prefix.spell)
    return expected


def _candidates(case: Case, scope: Scope) -> list[tuple[str, Any]]:
    votes: Counter[tuple[str, Any]] = Counter()
    for weight, pair in (*_from_shapes(case, scope), *_from_axes(case, scope), *_from_switches(case, scope)):
        votes[pair] += weight
    usable = (
        (pair, n) for pair, n in votes.items() if pair[0] not in HELD and pair[1] != scope.known.get(pair[0])
    )
    return [pair for pair, _ in sorted(usable, key=lambda item: -item[1])]


def _from_shapes(case: Case, scope: Scope) -> Iterator[tuple[int, tuple[str, Any]]]:
    """Solve each misfit size for each field of its formula."""
    for slot, kinds in case.ledger.misfits.items():
        for kind, rows in kinds.items():
            shape = kind.shape or ()
            if len(shape) != len(slot.formula):
                continue
            for text, said, found in zip(slot.formula, slot.shape, shape, strict=True):
                if said != found:
                    for name in scope.fields_of(text):
                        value = _solved(case, text, name, found)
                        if value is not None:
                            yield len(rows), (name, value)


def _solved(case: Case, text: str, name: str, wanted: int) -> int | None:
    """Find the value of a field with which a formula gives a size, if the formula is linear in it."""
    assert case.config is not None
    assert case.schema is not None

    def at(value: int) -> int | None:
        try:
            got = Scope(case.schema, case.config.with_change(name, value)).number(text)  # type: ignore[arg-type, union-attr]  # asserted above
        except (FieldError, SchemaError):
            return None
        return got if isinstance(got, int) else None

    one, two = at(1), at(2)
    if one is None or two is None or two == one or (wanted - one) % (two - one):
        return None
    value = 1 + (wanted - one) // (two - one)
    return value if value > 0 and at(value) == wanted else None


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
    yield from _from_thresholds(case)


def _from_thresholds(case: Case) -> Iterator[tuple[int, tuple[str, Any]]]:
    """Try the layers at which symptoms begin and end for each field that splits an axis."""
    assert case.schema is not None
    layers = {coord[0] for coords in case.ledger.missing.values() for coord in coords if coord}
    edges = {
        edge for number in ({min(layers), max(layers)} if layers else ()) for edge in (number, number + 1)
    }
    for spec in case.schema.axes.values():
        if isinstance(spec, dict) and "where" in spec:
            for name in sorted(expr.parse(spec["where"]).names & set(case.schema.fields)):
                yield from ((1, (name, edge)) for edge in sorted(edges))


def _extents(case: Case, scope: Scope, axis: str) -> set[int]:
    """Return the counts that an axis would have if it ended where the files do."""
    now = len(scope.axis(axis))
    ends: set[int] = set()
    family = {axis} | {n for n, s in case.schema.axes.items() if isinstance(s, dict) and s.get("of") == axis}  # type: ignore[union-attr]  # caller asserts
    by_template = case.joined.expected.by_template
    for template, rows in case.ledger.extra.items():
        for slot in by_template.get(template, ()):
            ends |= {1 + max(coord[at] for coord in rows) for at in _positions(slot, family)}
    for slot, coords in case.ledger.missing.items():
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
