"""How the scales of FP8 weights are called, in the spellings that there are."""

from __future__ import annotations


def scale_names(weight: str) -> tuple[str, ...]:
    """Return every name that the scale of an FP8 weight may have.

    For blocks; for a whole tensor or its channels; for blocks as DeepSeek's own code spells it
    (inference/convert.py).
    """
    native = (weight.removesuffix("weight") + "scale",) if weight.endswith(".weight") else ()
    return f"{weight}_scale_inv", f"{weight}_scale", *native


def weight_names(scale: str) -> tuple[str, ...]:
    """Return every name that the weight of a scale may have; none if it is no scale's name."""
    plain = tuple(scale.removesuffix(end) for end in ("_scale_inv", "_scale") if scale.endswith(end))
    native = (scale.removesuffix("scale") + "weight",) if scale.endswith(".scale") else ()
    return plain + native
