"""TensorRT-LLM: one file per rank; the first stages take the layers left over, experts inside, slices outside.

Layers, ranks and experts: TensorRT-LLM, mapping.py at 05ebebb; embedding whole unless asked otherwise, the last norm on
every rank: models/deepseek_v2/convert.py at 130232d.
"""

from __future__ import annotations

from weightlint.loader import Loader
from weightlint.plan_rules import EVERYWHERE, ExpertRules, PlanRules

LOADER = Loader(
    name="trtllm",
    says="TensorRT-LLM",
    since="0.16",
    newest="1.0",
    plan_rules=(
        (
            "",
            PlanRules(
                split="first_one_more",
                places={"embedding": "first", "norm": EVERYWHERE, "head": "last"},
                mtp="dropped",
                vocab=1,
                whole=frozenset({"embedding"}),
                experts=ExpertRules(remainder="refused", group="tp", inner=True, round_robin=False),
            ),
        ),
    ),
    dialects=frozenset({"trtllm", "hf"}),
)
