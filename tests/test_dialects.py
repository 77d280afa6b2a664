"""Dialects both ways: what is written can be restored, and the numbers land where they belong."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import arrays
import numpy as np
import pytest
from configs import configs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toy import config, expected_of

from weightlint import schema
from weightlint.api import DIALECTS
from weightlint.errors import DialectError
from weightlint.expected import Expected, Presence, Slot
from weightlint.moving.move import MoveError
from weightlint.moving.name_map import NameMap, ways_back
from weightlint.moving.rewriting import consumed

if TYPE_CHECKING:
    from weightlint.dialect import Dialect, Variant

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
WRITTEN = [
    (name, arch)
    for name, dialect in DIALECTS.items()
    for arch in schema.names()
    if dialect.lines and arch in dialect.schemas
]


def variants(dialect: Dialect) -> list[Variant]:
    ways = itertools.product(*([option.tag for option in way] for way in dialect.choices))
    return [dialect.chosen(tags) for tags in ways]


@st.composite
def cases(draw: st.DrawFn) -> tuple[Expected, Dialect, Variant]:
    name, arch = draw(st.sampled_from(WRITTEN))
    dialect = DIALECTS[name]
    return expected_of(arch, draw(configs(arch))), dialect, draw(st.sampled_from(variants(dialect)))


def facts(slots: tuple[Slot, ...] | list[Slot]) -> dict[str, tuple[Any, ...]]:
    return {
        name: (slot.shape, slot.kind, slot.need, slot.dtypes, slot.tie, slot.stage)
        for slot in slots
        for name in slot.names()
    }


@quick
@given(cases())
def test_what_is_written_can_be_restored(case: tuple[Expected, Dialect, Variant]) -> None:
    expected, dialect, variant = case
    written = dialect.rewrite(expected, variant)
    plain = expected.slots if dialect.scale else consumed(expected.slots)[0]
    lost = facts([slot for slot in written.dropped if dialect.scale or not slot.of])
    back = facts(dialect.restore(written).slots)
    assert not {*back} & {*lost}
    assert back | lost == facts(plain)


@quick
@given(cases())
def test_no_name_is_written_twice(case: tuple[Expected, Dialect, Variant]) -> None:
    expected, dialect, variant = case
    written = dialect.rewrite(expected, variant)
    slots = [*written.slots, *(slot for layout in written.layouts for slot in layout.slots)]
    names = [name for slot in slots for name in slot.names()]
    assert len(set(names)) == len(names)


@quick
@given(cases())
def test_the_formula_of_a_written_shape_gives_its_size(case: tuple[Expected, Dialect, Variant]) -> None:
    from weightlint.expr import parse

    expected, dialect, variant = case
    for slot in dialect.rewrite(expected, variant).slots:
        if slot.kind != "scale" and not slot.opaque:
            values = [parse(text).value(expected.sizes.__getitem__) for text in slot.formula]
            assert tuple(values) == slot.shape, (slot.pattern, slot.formula)


def packs(written: Expected) -> bool:
    return any(slot.opaque for slot in written.slots)


@quick
@given(cases())
def test_numbers_come_back_as_they_were(case: tuple[Expected, Dialect, Variant]) -> None:
    expected, dialect, variant = case
    written = dialect.rewrite(expected, variant)
    if packs(written):
        return
    sources = {slot.pattern: slot for recipe in written.recipes for slot in recipe.sources}
    held = arrays.random([slot for recipe in written.recipes for slot in recipe.sources])
    made = arrays.forward(written.recipes, held)
    slots = [*written.slots, *(slot for layout in written.layouts for slot in layout.slots)]
    assert {name: a.shape for name, a in made.items()} == {n: s.shape for s in slots for n in s.names()}
    back = arrays.backward(written.recipes, made)
    assert {*back} == {*held}, sources
    assert all(np.array_equal(back[name], held[name]) for name in held)


@quick
@given(st.data())
def test_the_map_between_two_dialects_makes_the_same_numbers(data: st.DataObject) -> None:
    arch = data.draw(st.sampled_from(sorted({arch for _, arch in WRITTEN})))
    expected = expected_of(arch, data.draw(configs(arch)))
    plain = Expected(**{**_fields(expected), "slots": consumed(expected.slots)[0]})
    names = [name for name, where in WRITTEN if where == arch]
    one, other = (DIALECTS[data.draw(st.sampled_from(names))] for _ in range(2))
    source = one.rewrite(plain, data.draw(st.sampled_from(variants(one))))
    target = other.rewrite(plain, data.draw(st.sampled_from(variants(other))))
    if packs(source) or packs(target):
        return
    held = arrays.random(list(plain.slots))
    for slot in plain.slots:
        if slot.tie and slot.need is Presence.TIED:
            held |= dict.fromkeys(slot.names(), held[slot.tie])
    before, after = arrays.forward(source.recipes, held), arrays.forward(target.recipes, held)
    plan = NameMap(target, dict(ways_back(source)))
    reached = set()
    for entry in plan.entries():
        if not entry.steps:
            assert source.dropped
            continue
        for name, array in arrays.made(entry, before).items():
            assert np.array_equal(array, after[name]), name
            reached.add(name)
    required = {n for s in target.slots if s.need is not Presence.TIED for n in s.names()}
    assert required <= reached


def _fields(expected: Expected) -> dict[str, Any]:
    return {name: getattr(expected, name) for name in expected.__dataclass_fields__}


def test_a_changed_shape_is_restored_as_what_it_was_made_of() -> None:
    expected = expected_of("deepseek_v3", V3)
    written = DIALECTS["gguf"].rewrite(expected)

    def changed(slot: Slot) -> list[Slot]:
        wider = slot.pattern.endswith((".attn_k_b.weight", ".attn_v_b.weight"))
        return [replace(slot, shape=_wider(slot)) if wider else slot]

    def _wider(slot: Slot) -> tuple[int, ...]:
        # one more rank of the compressed keys and values: the last but one, or the last dimension
        heads, a, b = slot.shape
        return (heads, a + 1, b) if "attn_k_b" in slot.pattern else (heads, a, b + 1)

    back = {slot.pattern: slot for slot in DIALECTS["gguf"].restore(written.replace(changed)).slots}
    rows, rank = next(s for s in expected.slots if s.pattern.endswith("kv_b_proj.weight")).shape
    assert back["model.layers.{layer}.self_attn.kv_b_proj.weight"].shape == (rows, rank + 1)


def test_a_shape_that_no_move_can_have_made_is_refused() -> None:
    written = DIALECTS["gguf"].rewrite(expected_of("deepseek_v3", V3))

    def cut(slot: Slot) -> list[Slot]:
        return [replace(slot, shape=(3, *slot.shape[1:])) if slot.pattern.endswith("_exps.weight") else slot]

    with pytest.raises(MoveError, match="not 4 tensors in one"):
        DIALECTS["gguf"].restore(written.replace(cut))


def test_a_dialect_refuses_what_it_cannot_write() -> None:
    with pytest.raises(DialectError, match="no way of writing llama"):
        DIALECTS["deepseek_native"].rewrite(expected_of("llama", LLAMA))
    with pytest.raises(DialectError, match="no variant flat; it has: split, both, whole, parts, gate_up"):
        DIALECTS["gguf"].chosen(["flat"])


V3 = config("toy_deepseek_v3")
LLAMA = {
    "num_hidden_layers": 2,
    "hidden_size": 24,
    "vocab_size": 50,
    "intermediate_size": 34,
    "num_attention_heads": 4,
}
