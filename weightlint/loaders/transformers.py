"""transformers: Hugging Face names; 5 stacks the experts in memory. Tensor parallel by the plan of its class.

Cuts in chunks, layers to stages: transformers 4.57.6, 5.0.0 and 5.23.0, integrations/tensor_parallel.py, distributed/.
That kv heads are not copied: transformers #48307. What the plans of the classes leave whole: their
configuration files (base_model_tp_plan).
"""

from __future__ import annotations

from weightlint.loader import Loader
from weightlint.plan_rules import ExpertRules, PlanRules

RULES = PlanRules(
    split="last_takes_rest",
    tied_last=True,
    mtp="dropped",
    heads=False,
    kv="refused",
    ragged=True,
    vocab=0,
    whole_names={
        "deepseek_v3": ("*.self_attn.*",),
        "deepseek_v32": ("*.self_attn.*",),
    },
    whole=frozenset({"embedding"}),
    experts=ExpertRules(remainder="refused", group="any", round_robin=False),
)

LOADER = Loader(
    name="transformers",
    says="transformers",
    since="4.57",
    newest="5.23.0",
    recorded=("4.57.6", "5.23.0"),
    plan_rules=(("", RULES),),
    dialects=frozenset({"hf"}),
    quants=frozenset({"fp8_block"}),
)
