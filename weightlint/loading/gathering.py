"""Load functions that read the whole checkpoint before they copy anything: shared experts then come last, in copies.

Source: sglang 0.4.6.post5, srt/models/deepseek_v2.py, DeepseekV2ForCausalLM.load_weights with n_share_experts_fusion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.loading.outcome import Failure

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from weightlint.loading.model import Model
    from weightlint.loading.steps import Tensor
    from weightlint.loading.ways import Shared


def wanted(shared: Shared, model: Model) -> Iterator[str]:
    """Yield the names of the shared experts' tensors, as the load function asks for them."""
    suffixes = shared.gathers if model.block is not None else shared.gathers_plain
    slots = [slot for slot in model.expected.slots if f"{shared.module}." in slot.pattern]
    layers = {n for slot in slots for box in slot.boxes for n in box[0]}
    for layer in sorted(layers.intersection(range(model.layers))):
        for suffix in suffixes:
            yield f"{model.layer_prefix}{layer}.{shared.module}.{suffix}"


def missed(shared: Shared, model: Model, names: Collection[str]) -> Failure | None:
    """Return the KeyError for the first of these tensors that the checkpoint does not have."""
    return next(
        (Failure("KeyError", repr(name)) for name in wanted(shared, model) if name not in names), None
    )


def reordered(shared: Shared, model: Model, tensors: Iterable[Tensor]) -> list[Tensor]:
    """Put the shared experts' tensors behind all others."""
    by_name = {tensor.name: tensor for tensor in tensors}
    last = [by_name.pop(name) for name in wanted(shared, model)]
    return [*by_name.values(), *last]
