"""transformers: Hugging Face names; 5 stacks the experts in memory. Tensor parallel by the plan of its class.

Cuts in chunks: transformers 4.57.6, integrations/tensor_parallel.py; 5.24.0, distributed/tensor_parallel.py. Layers left over
go to the last stage in 5.23, to the first ones since 5.24 (distributed/pipeline_parallel.py); 4.57 has no stages. What stays
whole: base_model_tp_plan of the configuration classes. That kv heads are not copied: transformers #48307.
"""

from __future__ import annotations

from dataclasses import replace

from weightlint.loader import Loader
from weightlint.plan_rules import ExpertRules, PlanRules

EMBEDDING = "model.embed_tokens."
ATTENTION = ".self_attn."

V24 = PlanRules(
    split="first_one_more",
    tied_last=True,
    mtp="dropped",
    heads=False,
    kv="refused",
    ragged=True,
    vocab=0,
    whole_names={
        **dict.fromkeys(("deepseek_v2", "llama", "mixtral", "qwen3_moe"), (EMBEDDING,)),
        **dict.fromkeys(("deepseek_v3", "deepseek_v32"), (EMBEDDING, ATTENTION)),
        "qwen2_moe": (EMBEDDING, ".mlp.shared_expert."),
    },
    experts=ExpertRules(remainder="refused", group="any", never_cut=True, round_robin=False),
)

LOADER = Loader(
    name="transformers",
    says="transformers",
    since="4.57",
    newest="5.24.0",
    recorded=("4.57.6", "5.23.0"),
    plan_rules=(
        ("<5", replace(V24, kinds=frozenset({"tp", "ep"}))),
        ("<5.24", replace(V24, split="last_takes_rest")),
        ("", V24),
    ),
    dialects=frozenset({"hf"}),
    formats=frozenset({"safetensors", "torch", "gguf"}),
    quants=frozenset({"fp8_block"}),
)
