"""The parameter names of vLLM and SGLang at run time, as a state dict of the live model has them.

Sources: vLLM 0.8.4 and 0.33.0, model_executor/layers/fused_moe (w13_weight, w2_weight; `routed_experts.`
since the module was split) and the packed_modules_mapping of its models; SGLang 0.5.23, models/deepseek_v2.py
(fused_qkv_a_proj_with_mqa). They reach a disk when somebody saves the running model. MTP layers are no
part of it: both engines run them as a model of their own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from weightlint.dialect import Dialect
from weightlint.expected import Ignore, Layout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.expected import Expected, Slot

EXPERTS = (("gate_proj", "up_proj", "down_proj"), ("w1", "w3", "w2"))
FUSED = (
    (("q_a_proj", "kv_a_proj_with_mqa"), "fused_qkv_a_proj"),
    (("q_proj", "k_proj", "v_proj"), "qkv_proj"),
    (("gate_proj", "up_proj"), "gate_up_proj"),
)
RENAMED = (
    ("fused_qkv_a_proj", "fused_qkv_a_proj_with_mqa"),
    ("experts.w13_weight", "experts.routed_experts.w13_weight"),
    ("experts.w2_weight", "experts.routed_experts.w2_weight"),
)
"""Names of a release or engine, and those of another."""

ROUTER = frozenset({"BF16", "F16", "F32"})
"""vLLM 0.8.4 keeps the correction bias of a router in the type of the model."""

BUFFERS = ("*.attn.*_scale", "*.attn.*_scale_float", "*.rotary_emb.*")
"""Scales of the KV cache and tables of angles, which are set anew when the model starts."""


def rewrite(expected: Expected) -> Expected:
    """Stack the experts of a layer and fuse the projections that share an input."""
    expected = _without_mtp(expected).replace(_any_router)
    layouts: list[Layout] = []
    for pattern in [slot.pattern for slot in expected.slots]:
        for gate, up, down in EXPERTS:
            expected = _experts(expected, pattern, (gate, up, down))
        for parts, into in FUSED:
            first = f".{parts[0]}."
            if first in pattern and "{expert}" not in pattern:
                plain = [pattern.replace(first, f".{part}.") for part in parts]
                fused = pattern.replace(first, f".{into}.")
                layouts += _unfused(expected, plain, fused)
                expected = expected.fuse(plain, fused)
    renamed = [it for old, new in RENAMED if (it := _renamed(expected, old, new)) is not None]
    ignored = [Ignore(pattern, "made anew at start") for pattern in BUFFERS]
    return replace(
        expected,
        layouts=(*renamed, *layouts),
        ignores=(*expected.ignores, *ignored),
    )


def _without_mtp(expected: Expected) -> Expected:
    mtp = frozenset(expected.axes.get("mtp", ()))
    if not mtp:
        return expected

    def kept(slot: Slot) -> Iterator[Slot]:
        inside = slot.where(lambda coord: not coord or coord[0] not in mtp)
        if inside is not None:
            yield inside

    return replace(expected.replace(kept), axes={**expected.axes, "mtp": ()})


def _any_router(slot: Slot) -> Iterator[Slot]:
    yield replace(slot, dtypes=slot.dtypes | ROUTER) if slot.kind == "router" else slot


def _unfused(expected: Expected, parts: list[str], into: str) -> Iterator[Layout]:
    """Yield the layout of releases that did not fuse: DeepSeek's q_a and kv_a before vLLM 0.9."""
    slots = tuple(slot for slot in expected.slots if slot.pattern in parts)
    if "fused_qkv_a_proj" in into and len({slot.pattern for slot in slots}) == len(parts):
        yield Layout(f"unfused {into}", frozenset({into}), slots)


def _renamed(expected: Expected, old: str, new: str) -> Layout | None:
    slots = tuple(slot for slot in expected.slots if f".{old}" in slot.pattern)
    named = tuple(replace(slot, pattern=slot.pattern.replace(f".{old}", f".{new}")) for slot in slots)
    return Layout(new, frozenset(slot.pattern for slot in slots), named) if slots else None


def _experts(expected: Expected, pattern: str, names: tuple[str, str, str]) -> Expected:
    gate, up, down = names
    mark = f".{{expert}}.{down}.weight"
    if mark not in pattern:
        return expected
    head, tail = pattern.split(mark)
    both = [f"{head}.{{expert}}.{part}.weight{tail}" for part in (gate, up)]
    expected = expected.fuse(both, f"{head}.{{expert}}.w13_weight{tail}")
    expected = expected.stack(
        f"{head}.{{expert}}.w13_weight{tail}", f"{head}.w13_weight{tail}", axis="expert"
    )
    return expected.stack(pattern, f"{head}.w2_weight{tail}", axis="expert")


DIALECT = Dialect(
    name="fused_runtime",
    title="a running vLLM or SGLang model",
    rewrite=rewrite,
    cure="save the model again from its Hugging Face class, or split the fused tensors back",
)
