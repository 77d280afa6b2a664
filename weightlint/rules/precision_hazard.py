"""The computation in float16 may overflow.

Checks: with --dtype float16, or where a loader falls back to it: families known to exceed 65504, weights trained in bfloat16, a CPU or a Mac as device.
Matters: activations beyond 65504 become infinite, then NaN: the model answers noise or stops, and no weight is at fault.
Example: pythia-160m in float16 on a CPU turns NaN after block 7 (LitGPT #1715).
Cure: compute in bfloat16, or in float32 where the device has no bfloat16.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.dtype_limits import fallback
from weightlint.finding import Level, Place
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.finding import Finding

HALF_IS_RARE = frozenset({"cpu", "mps"})
"""Devices on which float16 is the exception; source: LitGPT #1715 and PR #1720."""


def check(case: Case) -> Iterator[Finding]:
    """Name every reason together: they have one cure."""
    fallen = fallback(case.running, case.loader) == "F16" and _stored(case) is not None
    if case.running.dtype != "F16" and not fallen:
        return
    risky, device = [*_risks(case)], case.running.device
    if fallen and case.loader and case.running.gpu:
        risky = [f"{case.loader.says} takes it on {case.running.gpu.name}, which has no bfloat16", *risky]
    on = f" on {device}" if device in HALF_IS_RARE else ""
    if not risky and not on:
        return
    reasons = [
        *risky,
        *(
            [f"float16{on} has given NaN before, and LitGPT made bfloat16 its default there (PR #1720)"]
            if on
            else []
        ),
    ]
    yield RULE.finding(
        f"float16{on} is a risk for this model: {'; '.join(reasons)}",
        level=None if risky else Level.INFO,
        place=Place(files=(case.checkpoint.config_path,) if case.config else ()),
        count=1,
        unit="model",
        expected="bfloat16 or float32",
        found=f"float16{on}",
        cure="run it on a GPU with bfloat16 (sm80 or later), or with --dtype float32"
        if fallen
        else f"run it with --dtype bfloat16{', or float32 where the device has no bfloat16' if on else ''}",
    )


def _risks(case: Case) -> Iterator[str]:
    if case.schema is not None and case.schema.fp16_hazard:
        yield case.schema.fp16_hazard
    stored = _stored(case)
    if stored is not None:
        yield f"{stored}, whose range ends at 3.4e38; that of float16 ends at 65504"


def _stored(case: Case) -> str | None:
    """Say where bfloat16 shows: in most tensors, or in the config of a quantised model."""
    index = case.index
    wide = sum(index.kind(row).dtype == "BF16" for row in range(len(index)))
    if 2 * wide > len(index):
        return f"{wide:,} of {len(index):,} tensors are stored as BF16"
    for name in ("torch_dtype", "dtype"):
        there, value = case.config.find(name, "text_config") if case.config else (False, None)
        if there and value == "bfloat16":
            return f"{case.checkpoint.config_path} says {name} = bfloat16"
    return None


RULE = Rule(
    code="WL404",
    name="precision-hazard",
    level=Level.WARNING,
    page=__doc__ or "",
    check=check,
    needs=frozenset({Need.TABLE}),
)
