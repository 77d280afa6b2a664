"""MLX-LM: stacked experts; the last rank holds the first layers, every rank embedding, norm and head.

Stages: mlx-lm 0.31.3, 0.32.0 and 0.32.2, models/pipeline.py; up to 0.31.3 layers fall between the stages (mlx-lm #1688).
Slices: models/deepseek_v3.py shard.
"""

from __future__ import annotations

from dataclasses import replace

from weightlint.loader import Loader
from weightlint.plan_rules import EVERYWHERE, PlanRules

NEW = PlanRules(
    kinds=frozenset({"tp", "pp"}),
    split="backwards",
    places={"embedding": EVERYWHERE, "norm": EVERYWHERE, "head": EVERYWHERE},
    mtp="dropped",
    vocab=0,
    kv="refused",
    whole=frozenset({"embedding", "head"}),
)

LOADER = Loader(
    name="mlx",
    says="MLX-LM",
    since="0.28",
    newest="0.32.2",
    recorded=("0.32.2",),
    plan_rules=(("<0.32", replace(NEW, split="backwards_with_gaps")), ("", NEW)),
    dialects=frozenset({"mlx", "hf"}),
    formats=frozenset({"safetensors"}),
    brings="mlx_lm.convert writes safetensors files",
)
