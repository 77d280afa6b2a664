"""`weightlint plan` on published models: which plans hold, why the others do not, and what a rank weighs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from toy import config, expected_of

from weightlint import api, schema
from weightlint.cli import app
from weightlint.errors import UsageError
from weightlint.gpu import chosen, shown
from weightlint.limits import blocks
from weightlint.loader import release
from weightlint.plan import Plan
from weightlint.planning import Choice, Planning, divisors
from weightlint.spread import Spread

INDEXES = Path(__file__).parents[1] / "fixtures" / "indexes"
V3, QWEN, LZLV = (
    str(INDEXES / f"{name}.json") for name in ("deepseek-r1", "qwen3-30b-a3b-2507", "llama-2-70b-lzlv")
)


def degrees(table: Planning, *, legal: bool = True) -> list[tuple[int, int, int]]:
    return [(it.plan.tp, it.plan.pp, it.plan.ep) for it in table.choices if it.legal is legal]


def reasons(choice: Choice) -> list[str]:
    return [refusal.line for refusal in choice.refusals]


@pytest.mark.parametrize("loader", [None, "vllm@0.8.4", "vllm@0.33.0", "sglang@0.4.6.post5", "sglang@0.5.23"])
def test_deepseek_v3_in_fp8_goes_over_16_ranks_and_not_over_32(loader: str | None) -> None:
    """SGLang and vLLM both load it at tp=16 and refuse tp=32 (SGLang #3345, vLLM #12256)."""
    for tp in (1, 2, 4, 8, 16):
        table = api.plan(V3, gpus=tp, loader=loader)
        assert (tp, 1, 1) in degrees(table), tp
    table = api.plan(V3, gpus=32, loader=loader)
    choice = next(it for it in table.choices if (it.plan.tp, it.plan.ep) == (32, 1))
    assert "intermediate_size: 18432 / 32 = 576 is no multiple of 128" in reasons(choice)
    if loader == "sglang@0.5.23":
        words = [it.words for it in choice.refusals]
        assert words[0] == (
            "Weight output_partition_size = 576 is not divisible by weight quantization block_n = 128."
        )


def test_the_reason_that_sglang_gave_is_ours() -> None:
    """The message recorded of SGLang 0.5.23 for R1 at tp=32, with and without expert parallelism."""
    file = Path(__file__).parents[2] / "shared" / "data" / "sglang" / "limits_dsr1_v0523.json"
    if not file.is_file():
        pytest.skip("the recorded limits are not here")
    for record in json.loads(file.read_text())["ranks"]:
        plan = Plan(tp=record["tp"], pp=record["pp"], ep=record["ep"])
        report = api.check(V3, loader="sglang@0.5.23", plan=plan)
        told = [it.message for it in report.findings if it.code == "WL502"]
        error = record.get("build_error") or record.get("error")
        assert bool(error) is bool(told), record
        if error:
            text = error if isinstance(error, str) else " ".join(map(str, error))
            quoted = told[0].partition('says: "')[2].rstrip('"')
            assert quoted in text


def test_qwen3_30b_in_sglang_copies_kv_heads() -> None:
    """4 kv heads over 8 ranks: SGLang and vLLM copy them, transformers does not (transformers #48307)."""
    assert (8, 1, 1) in degrees(api.plan(QWEN, gpus=8, loader="sglang"))
    assert (8, 1, 1) in degrees(api.plan(QWEN, gpus=8, loader="vllm"))
    assert (8, 1, 1) in degrees(api.plan(QWEN, gpus=8, loader="transformers"), legal=False)


def test_weights_add_up() -> None:
    """Llama 2 70B has 68,976,648,192 parameters; over more ranks, what is cut goes down and the rest stays."""
    one = api.plan(LZLV, gpus=1, loader="vllm").choices[0]
    assert one.heaviest == 2 * 68_976_648_192
    eight = {(it.plan.tp, it.plan.pp): it.heaviest for it in api.plan(LZLV, gpus=8, loader="vllm").choices}
    norms = (2 * 80 + 1) * 8192 * 2
    assert eight[8, 1] == (one.heaviest - norms) // 8 + norms
    assert one.heaviest / 8 < eight[1, 8] < one.heaviest / 7


def test_room_for_the_cache() -> None:
    """Latent attention keeps 512 + 64 numbers per token and layer on every rank, in two bytes each."""
    table = api.plan(V3, gpus=16, gpu_memory="80GiB", loader="vllm")
    choice = next(it for it in table.choices if (it.plan.tp, it.plan.pp, it.plan.ep) == (16, 1, 16))
    left = int((80 << 30) * 0.9) - choice.heaviest
    assert (choice.left, choice.tokens) == (left, left // (2 * 576 * 61))
    dense = next(it for it in api.plan(LZLV, gpus=8, gpu="h100").choices if it.plan.tp == 8)
    assert dense.tokens == ((80 << 30) - dense.heaviest) // (2 * 2 * 128 * 80)


def test_what_does_not_fit() -> None:
    table = api.plan(V3, gpus=8, gpu="h100", loader="vllm")
    assert all(choice.fits is False for choice in table.choices)
    assert all(api.plan(V3, gpus=8, gpu="h200", loader="vllm").choices[at].fits for at in (0, 1))


def test_loaders_without_pipeline_or_slices() -> None:
    assert degrees(api.plan(V3, gpus=16, loader="deepseek_native")) == [(16, 1, 16)]
    assert degrees(api.plan(LZLV, gpus=4, loader="llama_cpp")) == [(1, 4, 1)]


def test_the_incident_of_layer_61_is_no_fault_of_the_plan() -> None:
    """VLLM #16450: R1 at TP8 x PP3 with VLLM_PP_LAYER_PARTITION=22,20,19 loads in 0.8.4."""
    report = api.check(V3, loader="vllm@0.8.4", plan=Plan(tp=8, pp=3, pp_layers=(22, 20, 19)))
    assert [it for it in report.findings if it.code.startswith("WL5")] == []
    assert (report.facts.loader, report.facts.plan) == (
        "vllm@0.8.4",
        {"tp": 8, "pp": 3, "ep": 1, "pp_layers": [22, 20, 19]},
    )


def test_json() -> None:
    done = CliRunner().invoke(
        app, ["plan", V3, "--gpus", "32", "--loader", "vllm@0.8.4", "--gpu", "h100", "--json"]
    )
    table = json.loads(done.output)
    form = json.loads((schema.folder() / "_meta" / "plans.schema.json").read_text())
    assert [*Draft202012Validator(form).iter_errors(table)] == []
    assert table["loader"] == "vllm@0.8.4"
    assert {row["tp"] for row in table["plans"] if row["legal"]} == {1, 2, 4, 8, 16}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--gpus", "16", "--gpu", "h100"], 0),
        (["--gpus", "8", "--gpu", "h100", "--loader", "vllm"], 1),
        (["--gpus", "0"], 2),
        (["--gpus", "7", "--dp", "2"], 2),
        (["--gpus", "8", "--gpu", "h1000"], 2),
    ],
)
def test_exit_codes(words: list[str], code: int) -> None:
    assert CliRunner().invoke(app, ["plan", V3, *words]).exit_code == code


def test_the_table_for_people() -> None:
    done = CliRunner().invoke(app, ["plan", V3, "--gpus", "32", "--loader", "vllm@0.8.4", "--gpu", "h100"])
    lines = done.output.splitlines()
    assert lines[0].split() == ["tp", "pp", "ep", "weights", "fits", "cache", "left", "tokens"]
    assert lines[-1] == "9 of 11 plans hold for deepseek_v3 in vllm@0.8.4 on 32 GPUs of 80.0 GiB"
    assert lines[-2].startswith(
        "not tp=32 pp=1 ep=32: intermediate_size: 18432 / 32 = 576 is no multiple of 128"
    )


def spread(arch: str, name: str, plan: Plan, loader: str | None = None, **sizes: Any) -> Spread:
    return Spread(plan, expected_of(arch, config(name) | sizes), release(loader) if loader else None)


def test_groups_of_awq() -> None:
    """29568 / 2 is 115.5 groups of 128 (vLLM #13640, SGLang #3571)."""
    table = {"quant_method": "awq", "bits": 4, "group_size": 128}
    sizes: dict[str, Any] = {
        "quantization_config": table,
        "hidden_size": 8192,
        "intermediate_size": 29568,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
    }
    for tp, lines in ((1, []), (2, ["intermediate_size: 29568 / 2 = 14784 is no multiple of 128"])):
        laid = spread("llama", "toy_llama", Plan(tp=tp), "vllm@0.8.4", **sizes)
        assert [it.line for it in blocks.refusals(laid)] == lines


@pytest.mark.parametrize(
    ("loader", "tp", "refused"), [("vllm@0.8.4", 1, True), ("vllm@0.33.0", 1, True), (None, 1, False)]
)
def test_half_a_block_of_a_fused_matrix(loader: str | None, tp: int, *, refused: bool) -> None:
    """10944 is 85.5 blocks: both releases of vLLM fail on V2-Lite in such blocks, at any tp."""
    table = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    sizes: dict[str, Any] = {"intermediate_size": 10944, "hidden_size": 2048, "quantization_config": table}
    laid = spread("deepseek_v2", "toy_deepseek_v3", Plan(tp=tp), loader, **sizes)
    found = [it.line for it in blocks.refusals(laid) if it.what == "intermediate_size"]
    assert found == (["intermediate_size: 10944 is no multiple of 128"] if refused else [])


@pytest.mark.parametrize(
    ("width", "tp", "loader", "refused"),
    [
        (768, 4, "vllm@0.11.0", True),  # vLLM #25292
        (1536, 8, "vllm@0.8.5", True),  # vLLM #17569
        (1536, 8, "vllm@0.33.0", False),
        (320, 4, "vllm@0.32.0", True),  # vLLM #54178
        (320, 4, "vllm@0.33.0", True),
        (2048, 32, "sglang@0.5.23", True),  # SGLang #10641
    ],
)
def test_widths_of_experts(width: int, tp: int, loader: str, *, refused: bool) -> None:
    sizes: dict[str, Any] = {
        "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]},
        "moe_intermediate_size": width,
        "hidden_size": 2048,
        "num_attention_heads": 32,
        "vocab_size": 2048,
    }
    laid = spread("qwen3_moe", "toy_deepseek_v3", Plan(tp=tp), loader, **sizes, num_experts=4, head_dim=128)
    found = {it.line for it in blocks.refusals(laid) if it.what == "moe_intermediate_size"}
    assert bool(found) is refused


@pytest.mark.parametrize(
    ("name", "memory", "size"),
    [
        (None, "80GiB", 80 << 30),
        (None, "141GB", 141 * 10**9),
        ("h100", None, 80 << 30),
        ("H100", "40GiB", 40 << 30),
    ],
)
def test_sizes_of_memory(name: str | None, memory: str | None, size: int) -> None:
    gpu = chosen(name, memory)
    assert gpu is not None
    assert gpu.memory == size


@pytest.mark.parametrize(("name", "memory"), [("h1000", None), (None, "80"), (None, "many"), (None, "0GiB")])
def test_no_size_of_memory(name: str | None, memory: str | None) -> None:
    if memory == "80":
        assert chosen(name, memory) is not None
        return
    with pytest.raises(UsageError, match="--gpu"):
        chosen(name, memory)


def test_small_things() -> None:
    assert divisors(24) == [1, 2, 3, 4, 6, 8, 12, 24]
    assert [shown(5), shown(5 << 20), shown(3 << 30)] == ["5 bytes", "5.0 MiB", "3.0 GiB"]
