"""Steps of SGLang's load functions that see several tensors as one: halves that wait for each other, shared experts.

Source: sglang/srt/models/deepseek_v2.py of 0.4.6.post5, models/deepseek_common/deepseek_weight_loader.py of 0.5.23.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from weightlint.loading.casting import promoted
from weightlint.loading.outcome import Failure, Outcome, Skip, together
from weightlint.loading.routed import chunk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from weightlint.dtype import Shape
    from weightlint.loading.param import Param
    from weightlint.loading.steps import Tensor
    from weightlint.loading.view import View


class HalvesStep(NamedTuple):
    """Hold a projection until the other has come, then write both at once, the first of `parts` above the second.

    `into` is the parameter; its name is made from the one that came last by replacing the first of `renames` that it has, so
    that what has none of them is looked up as it is. `field` is the config field without which there is no such pair.
    `missing` is `raise` or `warn`.
    """

    parts: tuple[str, str]
    into: str
    renames: tuple[str, ...]
    field: str
    missing: str = "raise"
    warns: str = ""

    def __call__(self, name: str, tensor: Tensor, view: View) -> Outcome | str:
        """Compare texts, as the framework does: the name of the parameter itself counts as one of its halves."""
        first, second = self.parts
        if self.field not in view.model.sizes or (first not in name and second not in name):
            return name
        upper = name if first in name else name.replace(second, first)
        lower = name if second in name else name.replace(first, second)
        held = view.held.setdefault(f"{upper} {lower}", {})
        held[name] = tensor
        if upper not in held or lower not in held:
            return Skip("half")
        del view.held[f"{upper} {lower}"]
        shape = stacked_rows(held[upper].shape, held[lower].shape)
        joined = promoted(held[upper].dtype, held[lower].dtype) or shape
        others = tuple(other.name for other in held.values() if other.name != tensor.name)
        if isinstance(joined, Failure):
            return replace(joined, beside=others)
        return self._written(name, replace(tensor, shape=joined), others, view)

    def _written(self, name: str, whole: Tensor, others: tuple[str, ...], view: View) -> Outcome:
        old = next((text for text in self.renames if text in name), "")
        target = name.replace(old, self.into) if old else name
        param = view.param(target)
        if param is None and self.missing == "raise":
            return replace(view.key_error(target), beside=others)
        if param is None:
            return Skip("unknown", self.warns.replace("{name}", target))
        result = view.copied(param, whole)
        return result if isinstance(result, Skip) else replace(result, beside=others)


class ShareStep(NamedTuple):
    """Call the shared expert the one behind the last routed expert, where it is loaded into their stack."""

    def __call__(self, name: str, tensor: Tensor, view: View) -> Outcome | str:
        """Replace the module's name."""
        del tensor
        shared = view.family.experts.shared
        if shared is None or not view.built.shared or shared.module not in name:
            return name
        stack = shared.module.rpartition(".")[0]
        return name.replace(shared.module, f"{stack}.experts.{view.model.experts}")


class StackedStep(NamedTuple):
    """Take a tensor of all experts apart, one by one, and gate from up.

    `ends` are ends of names with the parameter that replaces them; the stack of gate and up has `w13` in its name.
    """

    ends: Mapping[str, str]

    def __call__(self, name: str, tensor: Tensor, view: View) -> Outcome | str:
        """Copy expert by expert; where the rank has no such parameter the name is handed on."""
        end = next((it for it in self.ends if name.endswith(it)), None)
        param = view.param(name.removesuffix(end) + self.ends[end]) if end else None
        if end is None or param is None:
            return name
        if not tensor.shape:
            return Failure("TypeError", "iteration over a 0-d tensor")
        names = view.family.experts
        parts = (names.gate, names.up) if "w13" in self.ends[end] else (names.down,)
        return together(self._copies(param, tensor, parts, view))

    def _copies(self, param: Param, tensor: Tensor, parts: tuple[str, ...], view: View) -> Iterator[Outcome]:
        count, *found = tensor.shape
        for expert in range(count):
            for at, part in enumerate(parts):
                half = chunk(tuple(found), 0, at) if len(parts) > 1 else tuple(found)
                if isinstance(half, Failure):
                    yield Failure("ValueError", "not enough values to unpack (expected 2, got 1)")
                else:
                    yield view.copied_expert(param, replace(tensor, shape=half), part, expert)


def stacked_rows(upper: Shape, lower: Shape) -> Shape | Failure:
    """Put one tensor above another as `torch.cat` does."""
    if not upper or not lower:
        at = 0 if not upper else 1
        return Failure("RuntimeError", f"zero-dimensional tensor (at position {at}) cannot be concatenated")
    if len(upper) != len(lower):
        text = f"Tensors must have same number of dimensions: got {len(upper)} and {len(lower)}"
        return Failure("RuntimeError", text)
    for have, want in zip(lower[1:], upper[1:], strict=True):
        if have != want:
            text = f"Sizes of tensors must match except in dimension 0. Expected size {want} but got size {have} for tensor number 1 in the list."
            return Failure("RuntimeError", text)
    return (upper[0] + lower[0], *upper[1:])


STEPS: Mapping[str, Any] = {"halves": HalvesStep, "share": ShareStep, "stacked": StackedStep}
