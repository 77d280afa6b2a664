"""vLLM: Hugging Face names, fused at load; tensor, pipeline, expert and data parallel.

Splits, padding, experts and messages: vLLM 0.8.4 and 0.33.0, distributed/utils.py get_pp_indices, model_executor/
layers/{linear,vocab_parallel_embedding}.py, fused_moe/layer.py (0.8.4), fused_moe/{expert_map_manager,oracle/fp8}.py
(0.33), quantization/{awq,fp8}.py, utils/fp8_utils.py, config. Experts left over go to the first ranks since PR #21497
(July 2025); blocks were refused as in 0.8.4 up to July 2026 at least (issues #17569, #25292, PR #48173).
"""

from __future__ import annotations

from dataclasses import replace

from weightlint.dtype import FP8
from weightlint.dtype_limits import BF16, NATIVE_BF16, NATIVE_FP8, Limit
from weightlint.loader import Loader
from weightlint.methods import Methods, Refused
from weightlint.plan_rules import EVERYWHERE, BlockRules, ExpertRules, PlanRules

EACH_STAGE = {"embedding": EVERYWHERE, "norm": EVERYWHERE, "head": EVERYWHERE}

ALIGNED = "The {} size is not aligned with the quantized weight shape. This can be caused by too large tensor parallel size."

WORDS = {
    "heads": "Total number of attention heads ({size}) must be divisible by tensor parallel size ({ways}).",
    "even": "{size} is not divisible by {ways}",
    "block_n": "Weight output_partition_size = {width} is not divisible by weight quantization block_n = {block}.",
    "block_k": "Weight input_size_per_partition = {width} is not divisible by weight quantization block_k = {block}.",
    "expert_n": "The output_size of gate's and up's weight = {width} is not divisible by weight quantization "
    "block_n = {block}.",
    "expert_k": "The input_size of down's weight = {width} is not divisible by weight quantization block_k = {block}.",
    "group_gptq": ALIGNED.format("input"),
    "group_awq": ALIGNED.format("input"),
    "word_gptq": ALIGNED.format("output"),
    "word_awq": ALIGNED.format("output"),
    "group_modelopt": "Unsupported model when in features size is not multiple of 16",
    "stages": "len(partitions)={given} does not match pp_size={stages}.",
    "layers": "sum(partitions)={given} does not match num_hidden_layers={layers}.",
    "copies": "n_physical_experts={experts} must be divisible by ep_size={ranks}. Adjust num_redundant_experts.",
    "no_experts": "Number of experts in the model must be greater than 0 when expert parallelism is enabled.",
}

V08 = PlanRules(
    split="middle_first",
    odd_places=dict.fromkeys(("gpt_neox", "mixtral", "qwen2_moe", "qwen3_moe"), EACH_STAGE),
    tied_last=True,
    mtp="own",
    vocab=64,
    vocab_share="never",
    empty=True,
    experts=ExpertRules(remainder="last", group="all", inner=True, round_robin=False),
    blocks=BlockRules(
        columns="merged",
        merged=frozenset({"gate_proj", "up_proj", "q_proj", "k_proj", "v_proj", "w1", "w3"}),
    ),
    headroom=0.9,
    words=WORDS,
)

V10 = replace(V08, experts=ExpertRules(remainder="first", group="all", inner=True))

V33 = replace(
    V10,
    blocks=replace(V10.blocks, columns="single", first=frozenset({"gate_proj", "w1"}), experts=32),
)

NO_BF16 = Limit(
    dtypes=BF16,
    span="<0.9",
    below=NATIVE_BF16,
    computed=True,
    why="it computes no bfloat16",
    says="Bfloat16 is only supported on GPUs with compute capability of at least 8.0.",
    cure="run it with --dtype=half, if the model bears it (WL404), or on a GPU from sm80 on",
)

LIMITS = (
    Limit(
        dtypes=FP8,
        span="<0.9",
        below=NATIVE_FP8,
        why="its Marlin kernel takes no FP8 in blocks, and Triton has no such type there",
        says="type fp8e4nv not supported in this architecture. The supported fp8 dtypes are ('fp8e4b15', 'fp8e5')",
        cure="take a later release, which unpacks the blocks for older GPUs, or the BF16 copy of the model",
    ),
    Limit(
        dtypes=FP8,
        span=">=0.9",
        below=(7, 5),
        why="its Marlin kernel, which unpacks FP8, begins with sm75",
        cure="take the BF16 copy of the model, or a GPU from sm75 on",
    ),
    NO_BF16,
    replace(NO_BF16, span=">=0.9", falls_to="F16"),
)
"""Fp8LinearMethod, get_min_capability and supported_dtypes of 0.8.4 and 0.33.0 (vLLM #1157, #1284, #15336); the
change between the two is put at 0.9."""

UNKNOWN = "Unknown quantization method: {method}."
BELOW = (
    "The quantization method {method} is not supported for the current GPU. Minimum capability: {least}. "
    "Current capability: {now}."
)
"""config of 0.8.4 and 0.33.0, _verify_quantization and _get_quantization_config."""

# FP8 has limits by type above; capabilities: get_min_capability of each method
OLD_METHODS = {
    "fp8_block": 0, "fp8_tensor": 0, "fp8_channel": 0, "compressed_tensors": 70, "awq": 75, "gptq": 60, "auto_round": 60,
    "bitsandbytes": 70, "modelopt": 80, "quark": 70, "mxfp4": 80,
}  # fmt: skip
METHODS = (
    Methods(
        span=">=0.33",
        least={name: least for name, least in OLD_METHODS.items() if name != "bitsandbytes"}
        | {"modelopt": 75},
        unknown=UNKNOWN,
        below=BELOW,
        refused=(
            Refused(
                quant="gptq",
                holds=lambda table: table.get("desc_act") is True and table.get("group_size", -1) != -1,
                why="it takes desc_act with one group only (group_size -1)",
                cure="take an export with desc_act false, or a release before 0.33",
            ),
        ),
    ),
    Methods(span="<0.12", least=OLD_METHODS, unknown=UNKNOWN, below=BELOW),
)
"""quantization/__init__.py and utils/gptq_utils.py of 0.8.4, 0.11 and 0.33.0; of the releases between nothing was looked up."""

LOADER = Loader(
    name="vllm",
    says="vLLM",
    since="0.8.3",
    newest="0.33.0",
    revisions={"16383": "0.8.4+pr16383"},
    recorded=("0.8.4", "0.33.0"),
    plan_rules=(("<0.10.1", V08), ("<0.33", V10), ("", V33)),
    dialects=frozenset({"hf", "mistral", "fused_runtime"}),
    formats=frozenset({"safetensors", "torch", "gguf"}),
    only={"gguf": "<0.33"},
    quants=frozenset({"fp8_block"}),
    limits=LIMITS,
    methods=METHODS,
)
