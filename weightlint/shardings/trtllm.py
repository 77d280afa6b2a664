"""TensorRT-LLM: `rank{r}.safetensors` beside a config.json with a table `mapping`.

A rank is (pipeline * context + context rank) * tensor + tensor rank; layers count within a stage. The last
norm is on every rank, the embedding whole on each unless it is asked to be cut. Experts are cut twice,
inner by expert, outer by tensor rank, all over the tensor ranks. Source: NVIDIA/TensorRT-LLM,
tensorrt_llm/mapping.py at 05ebebb, models/deepseek_v2/convert.py at 130232d.
"""

from __future__ import annotations

import re
from math import prod
from typing import TYPE_CHECKING, Any

from weightlint.sharding import Degrees, Numbers, Rank, Sharding, counted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


MOE = ("moe_tp_size", "moe_ep_size", "moe_cluster_size")


def degrees(config: Mapping[str, Any]) -> Degrees:
    """Read the table `mapping`."""
    table = config.get("mapping")
    if not isinstance(table, dict):
        return Degrees()
    return Degrees(**{axis: counted(table.get(f"{axis}_size", 1)) for axis in ("tp", "pp", "cp")})


def contradicts(config: Mapping[str, Any]) -> str | None:
    """Multiply the degrees: tp x pp x cp is the world, moe_tp x moe_ep (x moe_cluster) is tp."""
    table = config.get("mapping")
    if not isinstance(table, dict):
        return None
    wholes = (("world_size", ("tp_size", "pp_size", "cp_size")), ("tp_size", MOE))
    for whole, parts in wholes:
        given = {part: size for part in parts if (size := counted(table.get(part)))}
        there = counted(table.get(whole)) and given and (parts != MOE or "moe_ep_size" in given)
        if there and prod(given.values()) != table[whole]:
            product = " x ".join(f"{part} {size}" for part, size in given.items())
            return f"mapping says {whole} {table[whole]}, and {product} makes {prod(given.values())}"
    return None


def place(numbers: Numbers, said: Degrees) -> Rank:
    """Take a rank apart; without a mapping all are tensor ranks."""
    if said.tp is None:
        return Rank(tp=numbers["rank"])
    rest, tp = divmod(numbers["rank"], said.tp)
    pp, cp = divmod(rest, said.cp or 1)
    return Rank(tp=tp, pp=pp, cp=cp)


def numbers(rank: Rank, _: Collection[str], said: Degrees) -> Numbers:
    """Undo `place`."""
    return {"rank": (rank.pp * (said.cp or 1) + rank.cp) * (said.tp or 1) + rank.tp}


SHARDING = Sharding(
    name="trtllm",
    title="TensorRT-LLM",
    pattern=re.compile(r"rank(?P<rank>\d{1,5})\.safetensors"),
    dialects=frozenset({"trtllm"}),
    place=place,
    numbers=numbers,
    degrees=degrees,
    contradicts=contradicts,
    layers="transformer.layers.",
    cure="convert the checkpoint again with convert_checkpoint.py, all ranks in one run",
)
