"""Steps of a load function that look at names only: they pass tensors over, or call them something else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from weightlint.loading.outcome import Outcome, Skip

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weightlint.loading.steps import Tensor
    from weightlint.loading.view import View


class SkipStep(NamedTuple):
    """Pass over names that contain, begin or end with a text.

    With `unless_param` only if there is no such parameter, with `unless_last` not on the last stage.
    """

    why: str
    contains: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    unless_param: bool = False
    unless_last: bool = False
    warns: str = ""

    def __call__(self, name: str, tensor: Tensor, view: View) -> Outcome | str:
        """Compare texts."""
        del tensor
        hit = (
            any(text in name for text in self.contains)
            or name.startswith(self.prefixes)
            or name.endswith(self.suffixes)
        )
        spared = (self.unless_last and view.site.last) or (self.unless_param and view.param(name) is not None)
        if hit and not spared:
            return Skip(self.why, self.warns.replace("{name}", name))
        return name


class MtpStep(NamedTuple):
    """Pass over the MTP layers that the config declares, where their names begin with one of these.

    With `beyond`, all layers from the first of them on.
    """

    prefixes: tuple[str, ...]
    field: str = "num_nextn_predict_layers"
    beyond: bool = False

    def __call__(self, name: str, tensor: Tensor, view: View) -> Outcome | str:
        """Compare the number of the layer."""
        del tensor
        layers = view.mtp_layers(self.field)
        number = view.layer_number(name) if self.beyond and layers else None
        if number is not None and number >= layers[0] and name.startswith(self.prefixes):
            return Skip("mtp")
        for layer in layers:
            if name.startswith(tuple(f"{prefix}{layer}." for prefix in self.prefixes)):
                return Skip("mtp")
        return name


class StageStep(NamedTuple):
    """Pass over what belongs to another pipeline stage."""

    def __call__(self, name: str, tensor: Tensor, view: View) -> Outcome | str:
        """Compare with the modules that this stage has a placeholder for."""
        del tensor
        return Skip("stage") if view.is_elsewhere(name) else name


class RangeStep(NamedTuple):
    """Pass over layers outside the stage's range by their number, whatever the model has."""

    def __call__(self, name: str, tensor: Tensor, view: View) -> Outcome | str:
        """Compare the number of the layer with the range of the stage."""
        del tensor
        number = view.layer_number(name)
        return Skip("stage") if number is not None and number not in view.layers else name


class RenameStep(NamedTuple):
    """Replace texts, each where it first stands.

    `only` are texts of which a name must have one; with `unless_param` names of parameters stay, with `to_param`
    those that would not become one.
    """

    texts: Mapping[str, str]
    only: tuple[str, ...] = ()
    unless_param: bool = False
    to_param: bool = False

    def __call__(self, name: str, tensor: Tensor, view: View) -> Outcome | str:
        """Replace."""
        del tensor
        if self.only and not any(text in name for text in self.only):
            return name
        if self.unless_param and view.param(name) is not None:
            return name
        renamed = name
        for old, new in self.texts.items():
            renamed = renamed.replace(old, new, 1)
        return name if self.to_param and view.param(renamed) is None else renamed


class SegmentsStep(NamedTuple):
    """Replace whole segments, one or two together, unless what they become is in the name already.

    Source: maybe_remap_mistral in vllm/model_executor/models/llama.py, for the names of consolidated checkpoints.
    """

    texts: Mapping[str, str]

    def __call__(self, name: str, tensor: Tensor, view: View) -> Outcome | str:
        """Replace, wherever the segment's text stands."""
        del tensor, view
        segments = name.split(".")
        for here, after in zip(segments, (*segments[1:], ""), strict=True):
            both = f"{here}.{after}"
            if both in self.texts:
                name = name.replace(both, self.texts[both])
            elif here in self.texts and self.texts[here] not in name:
                name = name.replace(here, self.texts[here])
        return name


class DraftStep(NamedTuple):
    """Pass over all but the MTP layers, and name their tensors as a draft model does.

    `prefix` is what stands before the number, `known` what is known as well but stays as it is. What contains one of
    `hoist` moves out of the layers, from the first of them only; `keeps` are texts of names outside the layers that may
    be parameters.
    """

    prefix: str
    known: tuple[str, ...] = ()
    hoist: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()

    def __call__(self, name: str, tensor: Tensor, view: View) -> Outcome | str:
        """Compare the number of the layer, then put in the module."""
        layers = view.mtp_layers("num_nextn_predict_layers")
        starts = (self.prefix, *self.known)
        layer = next((n for n in layers if name.startswith(tuple(f"{it}{n}." for it in starts))), None)
        if layer is None:
            param = view.param(name) if any(text in name for text in self.keeps) else None
            return view.copied(param, tensor) if param else Skip("not_mtp")
        old, draft = f"{self.prefix}{layer}.", view.family.draft
        if draft is not None and not any(text in name for text in draft.unless):
            return name.replace(old, f"{old}{draft.into}.")
        if not any(text in name for text in self.hoist):
            return name
        up = name.replace(old, self.prefix.replace("layers.", ""))
        return Skip("repeated") if layer != layers[0] and ".layers" not in up else up


KV_SCALES = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        (r"\.kv_scale$", r".attn.k_scale"),
        (r"\.self_attn\.[kv]_proj\.([kv])_scale$", r".self_attn.attn.\1_scale"),
        (r"\.self_attn\.qk(?:qk)?v_proj\.([kv])_scale$", r".self_attn.attn.\1_scale"),
        (r"\.self_attn\.q\.scale$", r".self_attn.attn.q_scale"),
        (r"\.self_attn\.([kv])_cache\.scale$", r".self_attn.attn.\1_scale"),
        (r"(?<!\.attn)\.([qkv])_scale$", r".attn.\1_scale"),
        (r"(?<!\.attn)\.([qkv])_zero_point$", r".attn.\1_zero_point"),
    )
)
"""Spellings of the scales of a quantised cache. Source: vllm 0.33.0, quantization/base_config.py get_cache_scale_mapper."""


class KvScaleStep(NamedTuple):
    """Give the scales of a quantised cache the names that they have in the attention module."""

    def __call__(self, name: str, tensor: Tensor, view: View) -> Outcome | str:
        """Try every spelling in turn."""
        del tensor, view
        for pattern, new in KV_SCALES:
            name = pattern.sub(new, name)
        return name


class AbsentStep(NamedTuple):
    """Pass over what lies below `text` in a layer that has no parameter there."""

    text: str

    def __call__(self, name: str, tensor: Tensor, view: View) -> Outcome | str:
        """Look for the module."""
        del tensor
        head, found, _ = name.rpartition(self.text)
        return Skip("absent") if found and not view.has_module(head + self.text.rstrip(".")) else name
