"""Loading by walking down the module tree, as vLLM's AutoWeightsLoader does.

Source: vllm/model_executor/models/utils.py, AutoWeightsLoader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from weightlint.loading.outcome import Failure, Outcome, Skip
from weightlint.loading.routed import taken

if TYPE_CHECKING:
    from weightlint.loading.steps import Tensor
    from weightlint.loading.view import View


class TreeStep(NamedTuple):
    """Descend segment by segment; what is not found is a ValueError that names the segment.

    `suffixes` are ends of names that are passed over where nothing is found. `experts` says that a stack of experts takes
    whatever lies below it, and drops in silence what it does not know.
    """

    suffixes: tuple[str, ...] = ()
    experts: bool = False

    def __call__(self, name: str, tensor: Tensor, view: View) -> Outcome | str:
        """Find the parameter, or where the way ends."""
        alias = view.alias(name)
        if alias is not None:
            return alias.take(tensor) if alias.writes else Skip("tied")
        if view.is_elsewhere(name + "."):
            return Skip("stage")
        param = view.param(name)
        if param is not None:
            return view.copied(param, tensor)
        if self.experts and (taken := self._expert(name, tensor, view)) is not None:
            return taken
        return self._lost(name, view)

    def _expert(self, name: str, tensor: Tensor, view: View) -> Outcome | None:
        head, found, rest = name.partition("experts.")
        stack = head + "experts"
        return taken(stack, rest, tensor, view) if found and view.has_module(stack) else None

    def _lost(self, name: str, view: View) -> Outcome:
        """Name the first segment that is neither module nor parameter."""
        segments = name.split(".")
        for at in range(1, len(segments) + 1):
            path = ".".join(segments[:at])
            if at < len(segments) and view.param(path) is not None:
                if name.endswith(self.suffixes):
                    return Skip("bias")
                text = f"Attempted to load nested weight {name!r} into a single parameter {path!r}"
                return Failure("ValueError", text)
            if view.has_module(path):
                if at < len(segments) and (left := self._left(path, segments[at:], view)) is not None:
                    return left
                continue
            if f"{path}.".endswith(self.suffixes) or path.endswith(self.suffixes):
                return Skip("bias")
            return Failure("ValueError", f"There is no module or parameter named {path!r} in {view.holds}.")
        return Failure("ValueError", f"There is no module or parameter named {name!r} in {view.holds}.")

    def _left(self, path: str, rest: list[str], view: View) -> Outcome | None:
        """Say what a fused module makes of a name that is none of its parameters'."""
        into = path.rpartition(".")[2]
        fuse = next((it for it in view.family.fuse if it.holds and it.into == into), None)
        if fuse is None:
            return None
        if rest == ["bias"]:
            return Skip("bias")
        if len(rest) > 1:
            return Failure("AttributeError", f"{fuse.holds} has no attribute `{rest[0]}`")
        return Failure("AttributeError", f"{fuse.holds!r} object has no attribute 'data'")
