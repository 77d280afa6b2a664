"""ktransformers and kt-kernel: experts on the CPU, the rest in SGLang or by a table of regular expressions.

The tables for 2, 4 and 8 GPUs: ktransformers at 95009ea, archive/ktransformers/optimize/optimize_rules/
DeepSeek-V3-Chat-multi-gpu*.yaml: equal numbers of layers rounded up, embedding and experts on the CPU.
"""

from __future__ import annotations

from weightlint.loader import Loader
from weightlint.plan_rules import PlanRules

LOADER = Loader(
    name="ktransformers",
    says="ktransformers",
    since="0.2",
    newest="0.5",
    plan_rules=(
        (
            "",
            PlanRules(
                kinds=frozenset({"pp"}),
                split="rounded_up",
                places={"embedding": "none", "norm": "last", "head": "last"},
                mtp="dropped",
                vocab=0,
            ),
        ),
    ),
    dialects=frozenset({"gguf", "hf", "ktransformers", "kt_kernel"}),
    quants=frozenset({"fp8_block"}),
)
