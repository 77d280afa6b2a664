"""Loading by walking down the module tree, as vLLM's AutoWeightsLoader does.

Source: vllm/model_executor/models/utils.py, AutoWeightsLoader.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightlint.loading.outcome import Failure, Outcome, Skip

if TYPE_CHECKING:
    from weightlint.loading.steps import Tensor
    from weightlint.loading.view import View


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeStep:
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
        head, found, _ = name.partition("experts.")
        if not found or not view.has_module(head + "experts"):
            return None
        hit = view.expert.search(name)
        if hit is None or int(hit[1]) >= view.model.experts:
            return Skip("unknown")
        experts = view.family.experts
        into = "w2" if hit[2] == experts.down else "w13"
        mapped = name.replace(hit[0], f"experts.{experts.path}{into}_")
        param = view.param(mapped)
        if param is None:
            leaf = mapped.rpartition(".")[2]
            layer = f"{view.prefix}{head}experts"
            text = f"Layer {layer} has no parameter {leaf!r} for checkpoint weight {view.prefix + name!r}"
            return Skip("bias") if leaf.endswith("_bias") else Failure("AttributeError", text)
        return view.copied_expert(param, tensor, hit[2], int(hit[1]))

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
                continue
            if f"{path}.".endswith(self.suffixes) or path.endswith(self.suffixes):
                return Skip("bias")
            return Failure("ValueError", f"There is no module or parameter named {path!r} in {view.holds}.")
        return Failure("ValueError", f"There is no module or parameter named {name!r} in {view.holds}.")
