"""One cause, one finding: causes that touch the whole checkpoint, each with what it must say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from toy import Tensor, Toy, config, edited, expected_of, toy

from weightlint import schema
from weightlint.api import DIALECTS, check
from weightlint.errors import SchemaError
from weightlint.expected import Presence

if TYPE_CHECKING:
    from pathlib import Path

    from weightlint.finding import Finding, Report


def judged(made: Toy, folder: Path, **options: Any) -> Report:
    return check(str(made.write(folder / "ckpt")), **options)


def only(report: Report) -> Finding:
    assert [finding.code for finding in report.findings] == [report.findings[0].code]
    return report.findings[0]


def spelt(name: str) -> Toy:
    """Return the toy as a dialect writes it."""
    asked = config("toy_deepseek_v3")
    expected = DIALECTS[name].rewrite(expected_of("deepseek_v3", asked))
    slots = [slot for slot in expected.slots if slot.need is Presence.REQUIRED]
    tensors = [Tensor(n, min(slot.dtypes), slot.shape, 1) for slot in slots for n in slot.names()]
    return Toy(asked, tensors, 1)


@pytest.mark.parametrize(
    ("dialect", "name"),
    [
        # DeepSeek-V3, inference/model.py; vLLM, fused_moe/layer.py
        ("deepseek_native", "layers.1.ffn.experts.0.w1.weight"),
        ("fused_runtime", "model.layers.1.mlp.experts.w2_weight"),
    ],
)
def test_a_dialect_is_recognised_and_checked_as_a_whole(dialect: str, name: str, tmp_path: Path) -> None:
    made = spelt(dialect)
    assert name in {tensor.name for tensor in made.tensors}
    report = judged(made, tmp_path)
    assert only(report).code == "WL203"
    assert report.facts.dialect == dialect
    assert report.facts.checked == len(made.tensors)


def test_a_tensor_missing_in_another_dialect_is_named_in_it(tmp_path: Path) -> None:
    made = edited(spelt("deepseek_native"), {"op": "drop", "tensor": "layers.2.ffn.experts.3.w2.weight"})
    codes = {finding.code: finding for finding in judged(made, tmp_path).findings}
    assert {*codes} == {"WL201", "WL203"}
    assert codes["WL201"].place.tensors == ("layers.2.ffn.experts.3.w2.weight",)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_hidden_layers", 3),
        ("num_hidden_layers", 5),
        ("hidden_size", 80),
        ("num_attention_heads", 2),
        ("first_k_dense_replace", 2),
        ("first_k_dense_replace", 0),
        ("n_routed_experts", 6),
        ("moe_intermediate_size", 48),
        ("q_lora_rank", None),
        ("kv_lora_rank", 8),
        ("n_shared_experts", 2),
        ("attention_bias", True),
    ],
)
def test_one_wrong_field_is_named_with_the_value_that_fits(field: str, value: object, tmp_path: Path) -> None:
    made = toy("deepseek_v3", config("toy_deepseek_v3"))
    found = only(judged(replace(made, config={**made.config, field: value}), tmp_path))
    assert found.code == "WL303"
    assert f"says {field} = " in found.message


def test_the_tensors_of_another_architecture(tmp_path: Path) -> None:
    made = toy("deepseek_v3", config("toy_deepseek_v3"))
    found = only(judged(replace(made, config={**made.config, "num_experts": 4}), tmp_path, arch="llama"))
    assert (found.code, found.rule) == ("WL303", "config-mismatch")
    assert "these are the tensors of deepseek_v3, not of llama" in found.message


def test_mtp_under_another_prefix(tmp_path: Path) -> None:
    made = toy("deepseek_v3", config("toy_deepseek_v3"))
    moved = [replace(t, name=t.name.replace("model.layers.4.", "model.mtp.layers.0.")) for t in made.tensors]
    found = only(judged(replace(made, tensors=moved), tmp_path))
    assert found.code == "WL204"
    assert "another prefix" in found.message


def test_a_shard_that_the_index_forgot_as_well(tmp_path: Path) -> None:
    made = toy("deepseek_v3", config("toy_deepseek_v3"))
    made = replace(made, claims={t.name: None for t in made.tensors if t.shard == 2}, total_size=None)
    made = edited(made, {"op": "remove", "file": made.file(2)})
    codes = [finding.code for finding in judged(made, tmp_path, select=["WL1", "WL2"]).findings]
    assert "WL103" in codes
    assert "WL201" not in codes


def test_modules_left_plain_are_plain(tmp_path: Path) -> None:
    asked = config("toy_deepseek_v3_fp8")
    asked["quantization_config"]["modules_to_not_convert"] = [
        "o_proj",
        "model.layers.0.mlp",
        "model.layers.2.mlp.experts.3",
    ]
    report = judged(toy("deepseek_v3", asked), tmp_path)
    assert report.findings == ()
    plain = [
        name
        for slot in expected_of("deepseek_v3", asked).slots
        if not slot.quant and slot.kind in {"linear", "expert"}
        for name in slot.names()
    ]
    assert {name for name in plain if "eh_proj" not in name} == {
        *(f"model.layers.{n}.self_attn.o_proj.weight" for n in range(5)),
        *(f"model.layers.0.mlp.{part}_proj.weight" for part in ("gate", "up", "down")),
        *(f"model.layers.2.mlp.experts.3.{part}_proj.weight" for part in ("gate", "up", "down")),
    }


def test_excluded_but_quantised(tmp_path: Path) -> None:
    made = toy("deepseek_v3", config("toy_deepseek_v3_fp8"))
    table = {**made.config["quantization_config"], "modules_to_not_convert": ["model.layers.0.mlp"]}
    found = only(judged(replace(made, config={**made.config, "quantization_config": table}), tmp_path))
    assert found.code == "WL401"
    assert found.count == 3


def test_another_block_size(tmp_path: Path) -> None:
    made = toy("deepseek_v3", config("toy_deepseek_v3_fp8"))
    table = {**made.config["quantization_config"], "weight_block_size": [8, 8]}
    found = only(judged(replace(made, config={**made.config, "quantization_config": table}), tmp_path))
    assert found.code == "WL401"


@pytest.mark.parametrize("order", [("down_proj",), ("gate_proj", "up_proj")])
def test_a_lost_projection_and_its_scales_are_one_loss(order: tuple[str, ...], tmp_path: Path) -> None:
    made = toy("deepseek_v3", config("toy_deepseek_v3_fp8"))
    for part in order:
        kept = [t for t in made.tensors if not (".experts." in t.name and f".{part}." in t.name)]
        made = replace(made, tensors=kept)
    assert only(judged(made, tmp_path)).count == 2 * len(order) * 4 * 4


@pytest.mark.parametrize("method", ["aqlm", "vptq", "spqr", "fp_quant", ""])
def test_a_scheme_that_is_not_known_is_no_fault_of_the_checkpoint(method: str, tmp_path: Path) -> None:
    made = toy("llama", config("toy_llama"))
    packed = [replace(t, name=t.name.replace("_proj.weight", "_proj.qweight")) for t in made.tensors]
    asked = {**made.config, "quantization_config": {"quant_method": method}}
    report = judged(replace(made, tensors=packed, config=asked), tmp_path)
    assert report.findings == ()
    assert any(method in skip.why for skip in report.skips)
    assert report.exit_code() == 3


def test_a_classifier_is_not_judged_as_its_base_model(tmp_path: Path) -> None:
    made = toy("llama", config("toy_llama"))
    asked = {**made.config, "architectures": ["LlamaForSequenceClassification"]}
    report = judged(replace(made, config=asked), tmp_path)
    assert report.findings == ()
    assert any("LlamaForSequenceClassification" in skip.why for skip in report.skips)
    assert report.exit_code() == 0


def test_without_a_class_the_model_type_decides(tmp_path: Path) -> None:
    made = toy("llama", config("toy_llama"))
    asked = {key: value for key, value in made.config.items() if key != "architectures"}
    assert judged(replace(made, config=asked), tmp_path).facts.arch == "llama"


def test_a_schema_of_ones_own(tmp_path: Path) -> None:
    made = toy("llama", config("toy_llama"))
    text = schema.path("llama").read_text()
    own = tmp_path / "own.toml"
    own.write_text(text.replace('name = "llama"', 'name = "mine"', 1))
    report = judged(made, tmp_path, schema=str(own))
    assert (report.findings, report.facts.arch) == ((), "mine")
    own.write_text(text.replace("shape =", "shpae =", 1))
    with pytest.raises(SchemaError, match="no valid schema"):
        judged(made, tmp_path, schema=str(own))


@pytest.mark.parametrize("prefix", [False, True])
def test_a_renaming_that_the_index_did_not_follow_is_one_finding(prefix: bool, tmp_path: Path) -> None:  # noqa: FBT001  # pytest passes it
    made = toy("deepseek_v3", config("toy_deepseek_v3"))
    old = "model.layers.2.mlp.experts.3.gate_proj.weight"
    new = {
        t.name: "module." + t.name if prefix else t.name.replace("experts.3.gate_proj", "experts.3.gate_prj")
        for t in made.tensors
    }
    changed = {name: other for name, other in new.items() if (prefix or name == old)}
    files = {t.name: made.file(t.shard) for t in made.tensors}
    claims = {**{name: files[name] for name in changed}, **dict.fromkeys(changed.values())}
    moved = [replace(t, name=changed.get(t.name, t.name)) for t in made.tensors]
    found = only(judged(replace(made, tensors=moved, claims=claims), tmp_path))
    assert (found.code, found.count) == ("WL203", len(changed))


@pytest.mark.parametrize("left_out", ["WL203", "WL204", "WL303", "WL401", "WL402"])
def test_a_rule_that_is_left_out_still_takes_what_it_explains(left_out: str, tmp_path: Path) -> None:
    edits: dict[str, list[dict[str, Any]]] = {
        "WL203": [{"op": "prefix", "text": "module."}],
        "WL204": [{"op": "drop", "tensor": "model.layers.4.*"}],
        "WL303": [{"op": "config", "field": "n_routed_experts", "value": 6}],
        "WL401": [{"op": "unconfig", "field": "quantization_config"}],
        "WL402": [{"op": "drop", "tensor": "*o_proj.weight_scale_inv"}],
    }
    made = toy("deepseek_v3", config("toy_deepseek_v3_fp8"))
    for edit in edits[left_out]:
        made = edited(made, edit)
    assert only(judged(made, tmp_path)).code == left_out
    assert judged(made, tmp_path, ignore=[left_out]).findings == ()


@pytest.mark.parametrize("layer", [4, 5])
def test_an_mtp_layer_that_is_there_in_part_is_not_absent(layer: int, tmp_path: Path) -> None:
    made = toy("deepseek_v3", {**config("toy_deepseek_v3"), "num_nextn_predict_layers": 2})
    gone = [
        t for t in made.tensors if not (t.name.startswith(f"model.layers.{layer}.") and ".experts." in t.name)
    ]
    assert only(judged(replace(made, tensors=gone), tmp_path)).code == "WL201"


def test_the_cure_of_undeclared_blocks_names_their_size(tmp_path: Path) -> None:
    made = edited(
        toy("deepseek_v3", config("toy_deepseek_v3_fp8")), {"op": "unconfig", "field": "quantization_config"}
    )
    assert '"weight_block_size": [16, 16]' in only(judged(made, tmp_path)).cure
