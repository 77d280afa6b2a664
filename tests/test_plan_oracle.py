"""Plans and stages of the transformers that is installed, read by us and by it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from toy import config, expected_of

from weightlint import schema
from weightlint.cut_words import CUTS, assigned
from weightlint.limits.gathered import gather
from weightlint.loader import release
from weightlint.pipeline import SPLITS
from weightlint.plan import Plan
from weightlint.spread import Spread

pytestmark = pytest.mark.oracle
transformers = pytest.importorskip("transformers", minversion="5.24")
CLASSES = {
    "llama": "LlamaForCausalLM",
    "deepseek_v2": "DeepseekV2ForCausalLM",
    "deepseek_v3": "DeepseekV3ForCausalLM",
    "mixtral": "MixtralForCausalLM",
    "qwen2_moe": "Qwen2MoeForCausalLM",
    "qwen3_moe": "Qwen3MoeForCausalLM",
    "gpt_neox": "GPTNeoXForCausalLM",
}


def test_every_word_is_known() -> None:
    from transformers.distributed import expert_parallel, tensor_parallel  # noqa: F401 -- they fill the table
    from transformers.distributed.parallel_utils import ALL_PARALLEL_STYLES

    assert {*ALL_PARALLEL_STYLES.keys()} <= {*CUTS}


def test_stages() -> None:
    from transformers.distributed.pipeline_parallel import PipelineStage

    split = SPLITS[release("transformers@5.24").rules.split]
    for layers, stages in ((61, 8), (61, 16), (27, 4), (32, 3), (5, 5)):
        stage: Any = SimpleNamespace(pp_size=stages)
        theirs = [PipelineStage.layer_range_for_rank(stage, rank, layers) for rank in range(stages)]
        assert [(it.start, it.stop) for it in split(layers, stages)] == theirs


def dims(spread: Spread) -> dict[str, int | None]:
    """Return the dimension of each weight that is cut over the tensor ranks, from the back."""
    out: dict[str, int | None] = {}
    for slot in spread.expected.slots:
        cut = next((it.cut for it in spread.shares(slot) if it.cut), None)
        if len(slot.shape) > 1 and "{mtp}" not in slot.pattern:
            out[slot.pattern] = None if cut is None else cut.dim - len(slot.shape)
    return out


@pytest.mark.parametrize("arch", CLASSES)
def test_the_plan_of_a_class_is_what_the_loader_does_without_it(arch: str) -> None:
    """Read as a plan, the dictionary of a class cuts as our rules for transformers say."""
    model = getattr(transformers, CLASSES[arch])
    prefix = f"{model.base_model_prefix}."
    words = {prefix + name: word for name, word in model.config_class.base_model_tp_plan.items()}
    words |= model._tp_plan or {}
    table = schema.folder() / "configs" / f"{arch}.json"
    expected = expected_of(arch, {**config_of(table), "quantization_config": None})
    plan = Plan(tp=2, assigned=tuple(assigned(words)))
    given = Spread(plan, expected, None, expected.layouts)
    ours = Spread(Plan(tp=2), expected, release("transformers"))
    if arch == "gpt_neox":
        # the head of GPT-NeoX is called embed_out in files, lm_head in the class since 5
        words = {name.replace("lm_head", "embed_out"): word for name, word in words.items()}
        given = Spread(Plan(tp=2, assigned=tuple(assigned(words))), expected, None, expected.layouts)
    assert dims(given) == dims(ours)
    assert gather(given) == ()


def config_of(file: Any) -> dict[str, Any]:
    import json

    loaded: dict[str, Any] = json.loads(file.read_text())
    return loaded


def test_a_plan_for_stacked_experts_is_one_for_single_ones() -> None:
    words = {
        "model.layers.*.mlp.experts.gate_up_proj": "packed_colwise",
        "model.layers.*.mlp.experts.down_proj": "rowwise",
    }
    expected = expected_of("deepseek_v3", config("toy_deepseek_v3"))
    spread = Spread(Plan(tp=2, assigned=tuple(assigned(words))), expected, None, expected.layouts)
    cut = {name: dim for name, dim in dims(spread).items() if dim is not None}
    assert {name.rpartition("}.")[2]: dim for name, dim in cut.items()} == {
        "gate_proj.weight": -2,
        "up_proj.weight": -2,
        "down_proj.weight": -1,
    }
    assert all(".experts.{expert}." in name for name in cut)
