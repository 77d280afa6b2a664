"""Steps of a load function that change a tensor before it is copied, or wait for another one."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from weightlint.loading.outcome import Failure, Outcome, Skip

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weightlint.loading.steps import Tensor
    from weightlint.loading.view import View

FP8 = "float8_e4m3fn"


class LiftStep(NamedTuple):
    """Give a tensor of `dims` dimensions whose name contains `text` one more in front."""

    text: str
    dims: int

    def __call__(self, name: str, tensor: Tensor, view: View) -> Outcome | Tensor | str:
        """Hand on the tensor."""
        del view
        if self.text not in name or len(tensor.shape) != self.dims:
            return name
        return replace(tensor, name=name, shape=(1, *tensor.shape))


class InterleavedStep(NamedTuple):
    """Ask that the rows of a tensor whose name contains `text` are `parts` by head, `field` the number of heads.

    Source: vllm/model_executor/models/gpt_neox.py, which sorts them by part with `torch.Tensor.view`.
    """

    text: str
    field: str
    parts: int

    def __call__(self, name: str, tensor: Tensor, view: View) -> Outcome | Tensor | str:
        """Refuse what torch cannot view so."""
        if self.text not in name or view.param(name) is None:
            return name
        heads, rest = view.model.sizes[self.field], tensor.shape[1:]
        size, inner = prod(tensor.shape), heads * self.parts * prod(rest)
        if inner and size % inner == 0:
            return name
        shape = [heads, self.parts, -1, *rest]
        return Failure("RuntimeError", f"shape '{shape}' is invalid for input of size {size}")


class PairStep(NamedTuple):
    """Hold an FP8 matrix of an indexer until its scale has come, or the scale until the matrix, then copy in BF16.

    `text` is what a name contains unless it contains `unless`; `into` the parameter and `part` the part of it. Source:
    _try_load_fp8_indexer_wk in vllm/model_executor/models/deepseek_v2.py, which keeps what waits with the model.
    """

    text: str
    unless: str
    into: str
    part: str

    def __call__(self, name: str, tensor: Tensor, view: View) -> Outcome | Tensor | str:
        """Wait, or copy the matrix."""
        if self.text not in name or self.unless in name:
            return name
        is_weight = name.endswith(".weight") and tensor.dtype == FP8
        if not is_weight and "weight_scale" not in name:
            return name
        if view.is_elsewhere(name):
            return Skip("stage")
        head = name.rpartition(f".{self.part}.")[0]
        held = view.kept.setdefault(head, {})
        held["weight" if is_weight else "scale"] = tensor
        if len(held) < 2:
            return Skip("half")
        del view.kept[head]
        param = view.param(f"{head}.{self.into}")
        if param is None:
            return view.key_error(f"{head}.{self.into}")
        return view.copied(param, held["weight"], self.part)


class PermutedStep(NamedTuple):
    """Sort the rows of the matrices `segments` of consolidated checkpoints by half of the head, as rotary embedding wants.

    `segments` are segments of names with the config field of their heads. Source: maybe_remap_mistral in
    vllm/model_executor/models/llama.py, which views the tensor for it.
    """

    segments: Mapping[str, str]

    def __call__(self, name: str, tensor: Tensor, view: View) -> Outcome | Tensor | str:
        """Refuse what torch cannot view so."""
        parts = name.split(".")
        field = next((it for segment, it in self.segments.items() if segment in parts), None)
        if field is None or parts[-1] != "weight":
            return name
        sizes = view.model.sizes
        heads, width, columns = sizes[field], sizes["head_dim"], sizes["hidden_size"]
        size, shape = prod(tensor.shape), [heads, width // 2, 2, columns]
        if size != prod(shape):
            return Failure("RuntimeError", f"shape '{shape}' is invalid for input of size {size}")
        return replace(tensor, name=name, shape=(heads * width, columns))


STEPS: Mapping[str, Any] = {
    "lift": LiftStep,
    "interleaved": InterleavedStep,
    "pair": PairStep,
    "permuted": PermutedStep,
}
