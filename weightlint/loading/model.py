"""What a config says of a model, as far as a framework asks for it while it builds its modules."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weightlint.expected import Expected, Slot
    from weightlint.loading.outcome import Failure

TORCH = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E8M0": "float8_e8m0fnu",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}
"""torch's names of the dtypes that safetensors has."""

LEAVES = ("weight_scale_inv", "weight", "bias")
EXPERT = re.compile(r"experts\.\{(\w+)\}\.")


class Refused(NamedTuple):
    """What a framework raises when it comes to the tensor `pattern` of a layer."""

    layer: int
    pattern: str
    failure: Failure


@dataclass(frozen=True)
class Model:
    """An expectation in the schema's own names, with the quantisation that the config declares.

    `dtype` is torch's name of the dtype of plain weights, `block` the rows and columns under one scale, None for a
    model that is not quantised; `config` are the fields that the config has. `refused` is what the framework
    raises while it decides what to quantise.
    """

    expected: Expected
    dtype: str = "bfloat16"
    block: tuple[int, int] | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    refused: tuple[Refused, ...] = ()

    @property
    def sizes(self) -> Mapping[str, int]:
        """Whole numbers of the config by field."""
        return self.expected.sizes

    @property
    def layers(self) -> int:
        """Number of decoder layers, without MTP layers."""
        return len(self.expected.axes.get("layer", ()))

    @property
    def mtp(self) -> tuple[int, ...]:
        """Numbers of the MTP layers that the config declares."""
        return tuple(self.expected.axes.get("mtp", ()))

    @property
    def experts(self) -> int:
        """Number of routed experts."""
        return len(self.expected.axes.get("expert", ()))

    @cached_property
    def modules(self) -> frozenset[str]:
        """Patterns of all modules that own a tensor."""
        return frozenset(module_of(slot.pattern)[0] for slot in self.expected.slots)

    @cached_property
    def weights(self) -> Mapping[str, Slot]:
        """Slots by pattern."""
        return {slot.pattern: slot for slot in self.expected.slots}

    @cached_property
    def layer_prefix(self) -> str:
        """What stands before the number of a layer: `model.layers.`."""
        heads = (slot.literals[0] for slot in self.expected.slots if slot.axes)
        return next(heads, "")


def module_of(pattern: str) -> tuple[str, str]:
    """Take a name apart into module and parameter."""
    module, _, leaf = pattern.rpartition(".")
    return module, leaf
