"""What vLLM's stack of routed experts makes of whatever lies below it: one expert's matrix, gate above up, or all experts.

Source: vllm/model_executor/layers/fused_moe/routed_experts.py of 0.33.0, RoutedExperts.load_weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.loading.copying import NO_DIMENSION
from weightlint.loading.outcome import Failure, Outcome, Skip, together

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.dtype import Shape
    from weightlint.loading.param import Param
    from weightlint.loading.steps import Tensor
    from weightlint.loading.view import View


def taken(head: str, rest: str, tensor: Tensor, view: View) -> Outcome:
    """Copy what is called `rest` below the stack `head`; what matches no pattern is dropped in silence."""
    stack = _Stack(head, rest, tensor.shape, view)
    number = rest.partition(".")[0]
    is_one = number.isdecimal() and str(int(number)) == number and int(number) < view.model.experts
    if is_one and stack.whole.count("experts.") == 1:
        return together(stack.of_expert(int(number)))
    return together(stack.of_all())


class _Stack:
    def __init__(self, head: str, rest: str, found: Shape, view: View) -> None:
        self.layer = view.prefix + head
        self.whole = f"{self.layer}.{rest}"
        self.found = found
        self.view = view
        self.experts = view.family.experts

    def of_expert(self, number: int) -> Iterator[Outcome]:
        """Copy one expert's tensor to each of its places."""
        names = self.experts
        for place in self.view.site.experts.get(number, ()) or (None,):
            both = f"experts.{number}.{names.stacked}."
            if both in self.whole:
                for at, part in enumerate((names.gate, names.up)):
                    half = chunk(self.found, 0, at)
                    yield half if isinstance(half, Failure) else self._one(both, "w13_", part, place, half)
            for part, into in ((names.gate, "w13_"), (names.down, "w2_"), (names.up, "w13_")):
                text = f"experts.{number}.{part}."
                if text in self.whole:
                    yield self._one(text, into, part, place, self.found)

    def of_all(self) -> Iterator[Outcome]:
        """Copy a tensor that holds all experts; one of another number of dimensions goes to the first ones."""
        yield Skip("unknown")
        names = self.experts
        both, down = f"experts.{names.stacked}", f"experts.{names.down}"
        if both in self.whole:
            for at, part in enumerate((names.gate, names.up)):
                if len(self.found) != 3:
                    yield self._one(both, "w13_weight", part, at, self.found, is_number=True)
                    continue
                half = chunk(self.found, 1, at)
                yield from (
                    (half,) if isinstance(half, Failure) else self._each(both, "w13_weight", part, half)
                )
        elif down in self.whole:
            if len(self.found) == 3:
                yield from self._each(down, "w2_weight", names.down, self.found)
            else:
                yield self._one(down, "w2_weight", names.down, 0, self.found, is_number=True)

    def _each(self, text: str, into: str, part: str, found: Shape) -> Iterator[Outcome]:
        for number in range(found[0]):
            yield self._one(text, into, part, number, found[1:], is_number=True)

    def _one(
        self, text: str, into: str, part: str, place: int | None, found: Shape, *, is_number: bool = False
    ) -> Outcome:
        """Copy into one place; with `is_number` the place is that of the expert of this number."""
        leaf = self.whole.replace(text, f"experts.{into}").removeprefix(f"{self.layer}.")
        param = self.view.built.params.get(f"{self.layer}.{self.experts.path}{leaf}")
        if param is None:
            if leaf.endswith(("w13_bias", "w2_bias")):
                return Skip("bias")
            words = f"Layer {self.layer} has no parameter {leaf!r} for checkpoint weight {self.whole!r}"
            return Failure("AttributeError", words)
        if place is not None and is_number:
            return self._placed(param, part, place, found)
        return Skip("expert") if place is None else param.take_expert(found, part, place)

    def _placed(self, param: Param, part: str, number: int, found: Shape) -> Outcome:
        count = self.view.model.experts
        if number >= count:
            text = f"index {number} is out of bounds for dimension 0 with size {count}"
            return Failure("IndexError", text)
        places = self.view.site.experts.get(number)
        return param.take_expert(found, part, places[0]) if places else Skip("expert")


def chunk(shape: Shape, dim: int, at: int) -> Shape | Failure:
    """Return one half of a tensor as `torch.Tensor.chunk` cuts it: the first is larger if one must be."""
    if not shape:
        return Failure("RuntimeError", "chunk expects at least a 1-dimensional tensor")
    size = shape[dim]
    first = -(-size // 2)
    if at and size == first and size:
        return NO_DIMENSION
    return (*shape[:dim], size - first if at else first, *shape[dim + 1 :])
