"""LitGPT: lit_model.pth in its own names; tensor parallel, or layers in sequence over the devices.

Heads, width and groups must come out even: Lightning-AI/litgpt at 2685705, generate/tp.py; layers over devices and all
else on the first: generate/sequentially.py.
"""

from __future__ import annotations

from weightlint.loader import Loader
from weightlint.plan_rules import PlanRules

LOADER = Loader(
    name="litgpt",
    says="LitGPT",
    since="0.5",
    newest="0.5.13",
    recorded=("0.5.13",),
    plan_rules=(
        (
            "",
            PlanRules(
                kinds=frozenset({"tp", "pp"}),
                split="last_one_more",
                places={"embedding": "first", "norm": "first", "head": "first"},
                mtp="dropped",
                kv="refused",
                vocab=0,
                whole=frozenset({"embedding", "head"}),
                words={"even": "value ({size}) is not evenly divisible by the world size ({ways})"},
            ),
        ),
    ),
    dialects=frozenset({"litgpt"}),
    formats=frozenset({"torch"}),
    brings="`litgpt convert_to_litgpt` brings Hugging Face files into its names",
)
