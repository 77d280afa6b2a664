"""What a quantisation lays over a weight: blocks or groups that a cut must not break.

Read from the quantisation table of the config alone, so that it holds as well where no quant of ours
rewrites the expectation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

GROUPED = frozenset({"gptq", "awq", "gptq_marlin", "awq_marlin"})
"""Methods whose weights have one scale per group of inputs."""


class Grain(NamedTuple):
    """Elements of a block along output and input, 1 where they do not matter, and what it is called."""

    out: int
    into: int
    name: str


def grain(table: Mapping[str, Any] | None) -> Grain | None:
    """Return the blocks that a quantisation table declares, None where there are none.

    Keys as in transformers, utils/quantization_config.py: FineGrainedFP8Config, GPTQConfig, AwqConfig.
    """
    if table is None:
        return None
    block, group = table.get("weight_block_size"), table.get("group_size", table.get("q_group_size"))
    if isinstance(block, list) and len(block) == 2 and all(type(n) is int and n > 0 for n in block):
        return Grain(block[0], block[1], "quantisation block")
    if table.get("quant_method") in GROUPED and type(group) is int and group > 0:
        return Grain(1, group, "quantisation group")
    return None
