"""vLLM: Hugging Face names, fused at load; tensor, pipeline, expert and data parallel.

Splits, padding, experts and messages: vLLM 0.8.4 and 0.33.0, distributed/utils.py get_pp_indices, model_executor/
layers/{linear,vocab_parallel_embedding}.py, fused_moe/layer.py (0.8.4), fused_moe/expert_map_manager.py (0.33),
quantization/fp8.py and utils/{fp8,marlin}_utils.py. That 0.11 refused blocks as 0.8.4 did: issues #17569, #25292.
"""

from __future__ import annotations

from dataclasses import replace

from weightlint.loader import Loader
from weightlint.plan_rules import EVERYWHERE, BlockRules, ExpertRules, PlanRules

EACH_STAGE = {"embedding": EVERYWHERE, "norm": EVERYWHERE, "head": EVERYWHERE}

WORDS = {
    "heads": "Total number of attention heads ({size}) must be divisible by tensor parallel size ({ways}).",
    "even": "{size} is not divisible by {ways}",
    "block_n": "Weight output_partition_size = {width} is not divisible by weight quantization block_n = {block}.",
    "block_k": "Weight input_size_per_partition = {width} is not divisible by weight quantization block_k = {block}.",
    "expert_n": "The output_size of gate's and up's weight = {width} is not divisible by weight quantization "
    "block_n = {block}.",
    "expert_k": "The input_size of down's weight = {width} is not divisible by weight quantization block_k = {block}.",
    "tile_n": "Weight output_size_per_partition = {width} is not divisible by min_thread_n = {block}.",
    "tile_k": "Weight input_size_per_partition = {width} is not divisible by min_thread_k = {block}.",
    "stages": "len(partitions)={given} does not match pp_size={stages}.",
    "layers": "sum(partitions)={given} does not match num_hidden_layers={layers}.",
    "copies": "n_physical_experts={experts} must be divisible by ep_size={ranks}. Adjust num_redundant_experts.",
}

OLD = PlanRules(
    split="middle_first",
    odd_places={"mixtral": EACH_STAGE, "qwen3_moe": EACH_STAGE},
    tied_last=True,
    mtp="own",
    vocab=64,
    vocab_share="never",
    empty=True,
    experts=ExpertRules(remainder="last", group="all", inner=True, round_robin=False, copies_even=True),
    blocks=BlockRules(
        columns="merged",
        merged=frozenset({"gate_proj", "up_proj", "q_proj", "k_proj", "v_proj", "w1", "w3"}),
        tile=(64, 128),
    ),
    headroom=0.9,
    words=WORDS,
)

NEW = replace(
    OLD,
    experts=ExpertRules(remainder="first", group="all", inner=True),
    blocks=replace(OLD.blocks, columns="none", experts=32),
    words={
        **WORDS,
        "expert_n": "MoE gate+up weight output_size ({width}) not divisible by FP8 block_n={block}",
    },
)

LOADER = Loader(
    name="vllm",
    says="vLLM",
    since="0.8.3",
    newest="0.33.0",
    recorded=("0.8.4", "0.33.0"),
    plan_rules=(("<0.12", OLD), ("", NEW)),
    dialects=frozenset({"hf", "mistral"}),
    quants=frozenset({"fp8_block"}),
)
