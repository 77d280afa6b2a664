"""What a plan breaks on, limit by limit, without a checkpoint."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from toy import config, expected_of

from weightlint import megatron_layout
from weightlint.finding import Level
from weightlint.limits import experts, heads, stages
from weightlint.loader import release
from weightlint.plan import Plan, Stage
from weightlint.spread import Spread


def laid(plan: Plan, loader: str | None = None, **sizes: Any) -> Spread:
    """Lay a plan over a toy of DeepSeek-V3: 4 layers and an MTP layer, 4 heads, 4 experts."""
    table = config("toy_deepseek_v3") | sizes
    return Spread(plan, expected_of("deepseek_v3", table), release(loader) if loader else None)


FIRST, LAST = Stage(layers=(0, 1), embedding=True), Stage(layers=(2, 3), head=True, mtp=True)


@pytest.mark.parametrize(
    ("plan", "loader", "says"),
    [
        (Plan(pp=2), None, []),
        (Plan(pp=2), "deepseek_native", ["DeepSeek-V3 inference 1.0 has no pipeline: pp must be 1"]),
        (
            Plan(pp=2),
            "sglang@0.4.6.post5",
            ["SGLang 0.4.6.post5 has no pipeline for deepseek_v3: every rank builds all layers"],
        ),
        (Plan(pp=3), "megatron", ["4 / 3 does not come out even; Megatron-LM 0.19.0 then wants its layout"]),
        (Plan(pp=3, pp_layers=(2, 1, 1)), "megatron", []),
        (Plan(pp=2, pp_layers=(2, 1, 1)), None, ["3 numbers of layers for pp=2"]),
        (Plan(pp=2, pp_layers=(2, 3)), None, ["2 + 3 = 5, the model has 4 layers"]),
        (Plan(pp=5), None, ["4 layers over 5 stages leave stages 4 without any"]),
        (Plan(pp=5), "vllm", []),
        (Plan(pp=3), "mlx@0.31.3", ["layers {2,3} of 4 are on no stage; the loader does not notice"]),
        (Plan(pp=2, stages=(FIRST, LAST)), None, []),
        (Plan(pp=3, stages=(FIRST, LAST)), None, ["2 stages given for pp=3"]),
        (Plan(pp=2, stages=(replace(FIRST, layers=(0,)), LAST)), None, ["layers 1 of 4 are on no stage"]),
        (Plan(pp=2, stages=(replace(FIRST, layers=(0, 1, 2)), LAST)), None, ["layers 2 are on two stages"]),
        (
            Plan(pp=2, stages=(FIRST, replace(LAST, layers=(2, 3, 4)))),
            None,
            ["layers 4 are dealt out, the model ends with 3"],
        ),
        (Plan(pp=2, stages=(replace(FIRST, embedding=False), LAST)), None, ["no stage has the embedding"]),
        (Plan(pp=2, stages=(FIRST, replace(LAST, head=False))), None, ["no stage has the head"]),
        (Plan(pp=2, stages=(FIRST, replace(LAST, mtp=False))), None, ["no stage has the MTP layers"]),
        (Plan(pp=2, stages=(replace(FIRST, mtp=True), LAST)), None, ["2 stages have the MTP layers"]),
    ],
)
def test_stages(plan: Plan, loader: str | None, says: list[str]) -> None:
    assert [refusal.says for refusal in stages.refusals(laid(plan, loader))] == says


def test_a_layout_of_megatron_holds() -> None:
    plan = Plan(pp=2, stages=megatron_layout.read("Ett|ttmL", 2))
    assert [*stages.refusals(laid(plan, "megatron"))] == []
    spread = laid(plan, "megatron")
    assert spread.layer_owners[4] == {1}


@pytest.mark.parametrize(
    ("plan", "loader", "says"),
    [
        (Plan(tp=4, ep=4), "vllm", []),
        (
            Plan(tp=4, ep=2),
            "vllm@0.8.4",
            ["vLLM 0.8.4 deals experts over all tp x dp = 4 ranks of a stage or over none, not over 2"],
        ),
        (Plan(tp=4, ep=2), "sglang", []),
        (Plan(tp=4, ep=3), "sglang", ["ep=3 does not divide tp=4"]),
        (Plan(tp=4, ep=3), None, ["ep=3 does not divide tp x dp = 4"]),
        (Plan(tp=2, dp=3, ep=2), "megatron", ["ep=2 does not divide dp=3"]),
        (Plan(tp=2, ep=2), "litgpt", ["LitGPT 0.5.13 deals out no experts: ep must be 1"]),
        (
            Plan(tp=3, ep=3),
            None,
            ["4 / 3 does not come out even; vLLM takes that, SGLang and Megatron-LM refuse it"],
        ),
        (Plan(tp=3, ep=3), "vllm@0.8.4", []),
        (Plan(tp=3, ep=3), "vllm@0.33.0", []),
        (Plan(tp=3), "deepseek_native", ["4 / 3 does not come out even"]),
        (Plan(tp=8, ep=8), "vllm", ["4 experts on 8 ranks: 4 would have none"]),
        (Plan(tp=8, ep=8, redundant=4), "vllm", []),
        (Plan(tp=2, ep=2, placement="round_robin"), "vllm@0.33.0", []),
        (
            Plan(tp=2, ep=2, placement="round_robin"),
            "vllm@0.8.4",
            ["experts are dealt in a row there, not one by one"],
        ),
        (Plan(tp=2, ep=2, experts=((0, 1), (2, 3))), None, []),
        (Plan(tp=2, ep=2, experts=((0, 1), (1, 2, 3))), None, []),
        (Plan(tp=2, ep=2, experts=((0, 1), (3,))), None, ["expert 2 of 4 is on no rank"]),
        (
            Plan(tp=2, ep=2, experts=((0, 1, 2), (3, 4, 5))),
            None,
            ["2 experts {4,5}: there are only 4, from 0 on"],
        ),
        (Plan(tp=3, ep=3, experts=((0, 1), (2, 3))), None, ["2 ranks are listed, ep is 3"]),
    ],
)
def test_experts(plan: Plan, loader: str | None, says: list[str]) -> None:
    assert [refusal.says for refusal in experts.refusals(laid(plan, loader))] == says


def test_experts_of_a_model_without() -> None:
    """VLLM's own words for --enable-expert-parallel on a dense model (config.py of 0.8.4)."""
    spread = Spread(Plan(tp=2, ep=2), expected_of("llama", config("toy_llama")), release("vllm@0.8.4"))
    (refusal,) = experts.refusals(spread)
    assert refusal.says == "ep=2, and the model has no experts"
    assert (
        refusal.words
        == "Number of experts in the model must be greater than 0 when expert parallelism is enabled."
    )


@pytest.mark.parametrize(
    ("plan", "loader", "lines"),
    [
        (Plan(tp=2), "ktransformers@0.5", ["ktransformers 0.5 cuts no matrices: tp must be 1"]),
        (Plan(tp=4), None, []),
        # 256 rows are padded to 64s in vLLM, to three times 64 in SGLang.
        (
            Plan(tp=3),
            "vllm@0.8.4",
            [
                "num_attention_heads: 4 / 3 does not come out even",
                "vocab_size: 256 / 3 does not come out even",
                "moe_intermediate_size: 32 / 3 does not come out even",
                "shared_size: 32 / 3 does not come out even",
            ],
        ),
        (
            Plan(tp=3),
            "sglang",
            [
                "num_attention_heads: 4 / 3 does not come out even",
                "moe_intermediate_size: 32 / 3 does not come out even",
                "shared_size: 32 / 3 does not come out even",
            ],
        ),
        # what transformers cuts in chunks need not come out even, and it leaves attention and vocabulary whole
        (Plan(tp=3), "transformers", []),
        # experts are whole where they are dealt
        (
            Plan(tp=3, ep=3),
            "vllm@0.8.4",
            [
                "num_attention_heads: 4 / 3 does not come out even",
                "vocab_size: 256 / 3 does not come out even",
                "shared_size: 32 / 3 does not come out even",
            ],
        ),
    ],
)
def test_heads(plan: Plan, loader: str | None, lines: list[str]) -> None:
    assert [refusal.line for refusal in heads.refusals(laid(plan, loader))] == lines


def test_the_words_of_vllm_for_v2_lite_over_3_ranks() -> None:
    """102400 is not divisible by 3, as vLLM's embedding says once the heads are passed."""
    spread = laid(Plan(tp=3), "vllm@0.8.4", vocab_size=102400, num_attention_heads=16)
    found = {refusal.what: refusal.words for refusal in heads.refusals(spread)}
    assert found["vocab_size"] == "102400 is not divisible by 3"
    assert found["num_attention_heads"] == (
        "Total number of attention heads (16) must be divisible by tensor parallel size (3)."
    )


def test_an_odd_number_of_experts_without_a_loader_is_a_warning() -> None:
    (refusal,) = experts.refusals(laid(Plan(tp=3, ep=3)))
    assert refusal.level is Level.WARNING
