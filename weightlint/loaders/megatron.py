"""Megatron-LM: names of Megatron-core; equal stages or a layout, experts over their own ranks.

Stages: Megatron-LM at d98e8a6, megatron/core/transformer/{transformer_block,pipeline_parallel_layer_layout}.py; vocabulary
padded to a multiple of 128 times tp: megatron/training/tokenizer.py; experts: core/transformer/moe/experts.py; that kv heads
fewer than ranks are copied: core/transformer/attention.py.
"""

from __future__ import annotations

from weightlint.loader import Loader
from weightlint.plan_rules import ExpertRules, PlanRules

LOADER = Loader(
    name="megatron",
    says="Megatron-LM",
    since="0.11",
    newest="0.19.0",
    recorded=("0.16.1",),
    plan_rules=(
        (
            "",
            PlanRules(
                split="equal",
                vocab=128,
                experts=ExpertRules(remainder="refused", group="dp", round_robin=False),
                words={
                    "heads": "num_attention_heads ({size}) must be a multiple of tensor_model_parallel_size ({ways}).",
                    "kv": "num_query_groups ({size}) must be a multiple or divisor of tensor_model_parallel_size ({ways}).",
                    "even": "{size} is not divisible by {ways}",
                },
            ),
        ),
    ),
    dialects=frozenset({"megatron"}),
    formats=frozenset({"torch", "dcp"}),
    brings="Megatron-Bridge brings Hugging Face files into its names",
)
