"""Where a quantisation is declared, how MLX spells a model, and tables that nobody wrote."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_quants import NAMES, asked, full_config, judged, made, only
from toy import FIXTURES, Tensor, Toy, config

from weightlint import api, check
from weightlint.config import BadFieldError, Config
from weightlint.expansion import expand
from weightlint.expectation import DIALECTS, QUANTS
from weightlint.expected import Presence
from weightlint.quantising import quantised
from weightlint.schema import load

if TYPE_CHECKING:
    from pathlib import Path

    from weightlint.expected import Expected
    from weightlint.quant import Quant

INDEXES = FIXTURES / "indexes"
FILES: dict[str, tuple[str, dict[str, Any]]] = {
    "quantize_config.json": ("gptq", {"bits": 4, "group_size": 16, "desc_act": True, "sym": True}),
    "quant_config.json": (
        "awq",
        {"zero_point": True, "q_group_size": 16, "w_bit": 4, "version": "GEMM"},
    ),
    "quant_model_description.json": ("modelslim", {"model_quant_type": "W8A8_DYNAMIC"}),
}


def beside(name: str, table: dict[str, Any], scheme: str, folder: Path) -> Path:
    plain = {key: value for key, value in full_config(scheme).items() if key != "quantization_config"}
    path = replace(made(scheme), config=plain).write(folder / "ckpt")
    (path / name).write_text(json.dumps(table))
    return path


@pytest.mark.parametrize("name", FILES)
def test_a_declaration_in_a_file_of_its_own_counts(name: str, tmp_path: Path) -> None:
    scheme, table = FILES[name]
    report = check(str(beside(name, table, scheme, tmp_path)))
    assert [(it.code, it.message) for it in report.findings] == []
    assert report.facts.quant == scheme


def test_a_description_that_excludes_what_is_quantised_is_named(tmp_path: Path) -> None:
    wrong = {"bits": 8, "group_size": 16, "desc_act": True, "sym": True}
    finding = check(str(beside("quantize_config.json", wrong, "gptq", tmp_path))).findings[0]
    assert finding.code == "WL401"
    assert "quantize_config.json declares bits 8, group_size 16" in finding.message
    assert "set bits to 4" in finding.cure


def test_the_config_comes_first(tmp_path: Path) -> None:
    path = made("gptq").write(tmp_path / "ckpt")
    (path / "quantize_config.json").write_text(json.dumps({"bits": 8, "group_size": 128}))
    assert check(str(path)).findings == ()


@pytest.mark.parametrize("text", ["", "[]", '{"bits": {}}', "{", '{"quantization": 3}'])
def test_a_broken_declaration_brings_nothing_down(text: str, tmp_path: Path) -> None:
    path = made("gptq").write(tmp_path / "ckpt")
    plain = {key: value for key, value in full_config("gptq").items() if key != "quantization_config"}
    (path / "config.json").write_text(json.dumps(plain))
    (path / "quantize_config.json").write_text(text)
    assert "WL000" not in {finding.code for finding in check(str(path)).findings}


def test_inspect_counts_the_bits_of_all_parts() -> None:
    families = api.inspect(str(INDEXES / "llama-2-7b-awq.json")).families
    bits = {
        family.pattern.rpartition(".")[2]: family.bits for family in families if "q_proj" in family.pattern
    }
    # 4 bits, and for each group of 128 a scale of 16 and a zero point of 4
    assert bits == {"qweight": round(4 + (16 + 4) / 128, 3), "qzeros": None, "scales": None}


def mlx(arch: str, asked_: dict[str, Any], **table: Any) -> Toy:
    """Return a model as MLX-LM converts it: respelt, then quantised throughout."""
    whole = {**asked_, "quantization": {"group_size": 32, "bits": 4, **table}}
    scheme = QUANTS["mlx"].read(whole["quantization"])
    expected = quantised(DIALECTS["mlx"].rewrite(expand(load(arch), Config(whole))), scheme)
    for layout in expected.layouts:
        heads = frozenset(coord[:1] for slot in layout.slots for coord in slot.coords())
        expected = expected.choose(layout, heads)
    slots = [slot for slot in expected.slots if slot.need is not Presence.TIED]
    order = ("U32", "BF16", "F32")
    tensors = [
        Tensor(name, min(slot.dtypes & {*order}, key=order.index), slot.shape, 1)
        for slot in slots
        for name in slot.names()
    ]
    return Toy(whole, tensors, 1)


MIXTURES = {
    "qwen3_moe": {"hidden_size": 64, "moe_intermediate_size": 96, "head_dim": 32},
    "deepseek_v3": {
        "hidden_size": 64, "intermediate_size": 96, "moe_intermediate_size": 96, "q_lora_rank": 32, "kv_lora_rank": 32,
        "qk_nope_head_dim": 32, "qk_rope_head_dim": 32, "v_head_dim": 32,
    },
}  # fmt: skip


@pytest.mark.parametrize("arch", MIXTURES)
def test_stacked_experts_of_mlx(arch: str, tmp_path: Path) -> None:
    whole = mlx(arch, {**config(f"toy_{arch}"), **MIXTURES[arch]})
    stacked = [it for it in whole.tensors if ".switch_mlp." in it.name]
    assert {it.name.rpartition(".")[2] for it in stacked} == {"weight", "scales", "biases"}
    report = judged(whole, tmp_path)
    assert [(it.code, it.message) for it in report.findings] == []
    assert (report.facts.dialect, report.facts.quant) == ("mlx", "mlx")


def test_scales_of_stacked_experts_are_missed(tmp_path: Path) -> None:
    whole = mlx("qwen3_moe", {**config("toy_qwen3_moe"), **MIXTURES["qwen3_moe"]})
    gone = [it for it in whole.tensors if it.name.endswith("switch_mlp.down_proj.scales")]
    finding = only(judged(replace(whole, tensors=[it for it in whole.tensors if it not in gone]), tmp_path))
    assert (finding.code, finding.count) == ("WL402", len(gone))
    assert len(gone) == 3


def test_modules_with_settings_of_their_own(tmp_path: Path) -> None:
    own = {"model.layers.1.self_attn.o_proj": {"group_size": 32, "bits": 8}, "lm_head": False}
    whole = mlx("qwen3_moe", {**config("toy_qwen3_moe"), **MIXTURES["qwen3_moe"]}, **own)
    shapes = {it.name: it.shape for it in whole.tensors}
    wide, usual = (shapes[f"model.layers.{layer}.self_attn.o_proj.weight"] for layer in (1, 0))
    assert wide[1] == 2 * usual[1]
    assert "lm_head.scales" not in shapes
    assert judged(whole, tmp_path).findings == ()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 300) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(NAMES), VALUES, st.data())
def test_no_value_of_a_table_brings_a_scheme_down(name: str, value: object, data: st.DataObject) -> None:
    table = {**asked(name)["table"], **asked(name).get("excluded", {})}
    key = data.draw(st.sampled_from(sorted(table)))
    changed = {**table, key: value}
    expected = expand(load(asked(name)["arch"]), Config(full_config(name)))
    for quant in QUANTS.values():
        if quant.declared(changed):
            bad = _bad_key(quant, expected, changed)
            assert bad is None or bad.startswith("quantization_config.")


def _bad_key(quant: Quant, expected: Expected, table: dict[str, Any]) -> str | None:
    try:
        quant.rewrite(expected, table)
    except BadFieldError as error:
        return error.name
    return None
