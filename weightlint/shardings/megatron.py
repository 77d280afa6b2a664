"""Megatron-LM, format `torch`: one folder per tensor, pipeline and expert rank.

`mp_rank_{tp:02d}[_{pp:03d}][_{ep:03d}]/model_optim_rng.pt`; the pipeline rank stands there only with
several stages, the expert rank only with several expert ranks. Layers count within a stage, experts within
an expert rank; several virtual stages are `model0`, `model1` ... of one file. Source: Megatron-LM,
megatron/training/checkpointing.py (get_checkpoint_name), core/transformer/transformer_layer.py.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from weightlint.sharding import Degrees, Numbers, Rank, Sharding, counted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from collections.abc import Set as AbstractSet


ENDS = ("embedding.word_embeddings.", "decoder.final_layernorm.")
"""What the first and what the last stage has."""


def place(numbers: Numbers, degrees: Degrees) -> Rank:
    """Read a second number as the pipeline rank, unless only experts are spread."""
    second, third = numbers.get("second", 0), numbers.get("third", 0)
    if _experts_only(degrees) and "third" not in numbers:
        return Rank(tp=numbers["tp"], ep=second)
    return Rank(tp=numbers["tp"], pp=second, ep=third)


def numbers(rank: Rank, groups: Collection[str], degrees: Degrees) -> Numbers:
    """Undo `place`."""
    alone = "third" not in groups and _experts_only(degrees)
    said = {"tp": rank.tp, "second": rank.ep if alone else rank.pp, "third": rank.ep}
    return {group: number for group, number in said.items() if group in groups}


def _experts_only(degrees: Degrees) -> bool:
    return (degrees.pp or 1) == 1 and (degrees.ep or 1) > 1


def degrees(config: Mapping[str, Any]) -> Degrees:
    """Read the arguments of the training that lie in the file."""
    kinds = ("tensor", "pipeline", "expert")
    return Degrees(*(counted(config.get(f"{kind}_model_parallel_size")) for kind in kinds))


def infer(tables: Mapping[str, AbstractSet[str]]) -> dict[str, int]:
    """Tell expert ranks from stages by their tables: each of them has both ends of the model."""
    seconds: dict[int, set[str]] = {}
    for path, names in tables.items():
        match = SHARDING.pattern.fullmatch(path)
        if match and match["second"] and not match["third"]:
            seconds.setdefault(int(match["second"]), set()).update(names)
    whole = all(any(end in name for name in names) for names in seconds.values() for end in ENDS)
    return {"expert_model_parallel_size": 1 + max(seconds)} if len(seconds) > 1 and whole else {}


SHARDING = Sharding(
    name="megatron",
    title="Megatron-LM",
    pattern=re.compile(
        r"mp_rank_(?P<tp>\d{2,4})(?:_(?P<second>\d{3,5}))?(?:_(?P<third>\d{3,5}))?/"
        r"model(?:_optim)?(?:_rng)?\.(?:pt|safetensors)"
    ),
    folder=re.compile(r"mp_rank_\d{2,4}(?:_\d{3,5}){0,2}"),
    dialects=frozenset({"megatron"}),
    place=place,
    numbers=numbers,
    degrees=degrees,
    infer=infer,
    trunk=re.compile(r"model(\d{1,4})?\."),
    layers="decoder.layers.",
    experts=re.compile(r"\.experts\.(?:local_experts\.|linear_fc[12]\.(?:weight|bias))(\d{1,9})(?![^.])"),
    cure="save the checkpoint again from the same run, or convert it with Megatron-Bridge",
)
