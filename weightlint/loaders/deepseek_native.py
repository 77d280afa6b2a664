"""DeepSeek's own inference code: one file per rank, experts whole, no pipeline.

What must come out even: deepseek-ai/DeepSeek-V3 at 9b4e978, inference/convert.py (every dimension, those of the scales too)
and inference/model.py (vocabulary and experts by assertions; heads are divided without a check, but a rank with half a head
cannot be run). It has no versions; 1.0 is the repository's tag.
"""

from __future__ import annotations

from weightlint.loader import Loader
from weightlint.plan_rules import BlockRules, ExpertRules, PlanRules

LOADER = Loader(
    name="deepseek_native",
    says="DeepSeek-V3 inference",
    since="1.0",
    newest="1.0",
    plan_rules=(
        (
            "",
            PlanRules(
                kinds=frozenset({"tp", "ep"}),
                mtp="dropped",
                vocab=0,
                experts=ExpertRules(
                    remainder="refused", group="all", inner=True, always=True, round_robin=False
                ),
                blocks=BlockRules(columns="cut"),
                words={
                    "vocab": "Vocabulary size must be divisible by world size (world_size={ways})",
                    "experts": "Number of experts must be divisible by world size (world_size={ranks})",
                },
            ),
        ),
    ),
    dialects=frozenset({"deepseek_native"}),
    formats=frozenset({"safetensors"}),
    brings="inference/convert.py brings Hugging Face files into its names",
    quants=frozenset({"fp8_block"}),
)
