"""The parameter names of vLLM and SGLang at run time, as a state dict of the live model has them.

Source: vLLM, model_executor/layers/fused_moe (w13_weight, w2_weight) and the packed_modules_mapping
of its models. No loader reads them back; they reach a disk when somebody saves the running model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.dialect import Dialect

if TYPE_CHECKING:
    from weightlint.expected import Expected

EXPERTS = (("gate_proj", "up_proj", "down_proj"), ("w1", "w3", "w2"))
FUSED = (
    (("q_a_proj", "kv_a_proj_with_mqa"), "fused_qkv_a_proj"),
    (("q_proj", "k_proj", "v_proj"), "qkv_proj"),
    (("gate_proj", "up_proj"), "gate_up_proj"),
)


def rewrite(expected: Expected) -> Expected:
    """Stack the experts of a layer and fuse the projections that share an input."""
    for pattern in [slot.pattern for slot in expected.slots]:
        for gate, up, down in EXPERTS:
            expected = _experts(expected, pattern, (gate, up, down))
        for parts, into in FUSED:
            first = f".{parts[0]}."
            if first in pattern and "{expert}" not in pattern:
                expected = expected.fuse(
                    [pattern.replace(first, f".{part}.") for part in parts],
                    pattern.replace(first, f".{into}."),
                )
    return expected


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
