"""Quantisation tables that no exporter writes: any value anywhere is read, or refused by the name of its key."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_quants import NAMES, asked, full_config
from toy import edited, toy

from weightlint import check
from weightlint.api import QUANTS
from weightlint.config import BadFieldError

if TYPE_CHECKING:
    from pathlib import Path

    from weightlint.quant import Quant

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.sampled_from(["re:(a+)+$", "re:[", "*" * 40, "Linear", "group", "float"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


def paths(value: object, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return every place of a table in which another value may stand."""
    items: list[tuple[Any, object]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [at, *(path for key, inner in items for path in paths(inner, (*at, key)))]


def put(value: Any, path: tuple[Any, ...], new: object) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(value[path[0]], path[1:], new)
    return copy


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_value_is_read_or_refused(name: str, data: st.DataObject) -> None:
    table = asked(name)["table"]
    path = data.draw(st.sampled_from(paths(table)[1:]))
    hostile = put(table, path, data.draw(JSON))
    for quant in QUANTS.values():
        refused = refusal(quant, hostile) if quant.declared(hostile) else None
        assert refused is None or refused.name.startswith("quantization_config")
        assert refused is None or len(refused.why) < 400


def refusal(quant: Quant, table: dict[str, Any]) -> BadFieldError | None:
    try:
        quant.read(table)
    except BadFieldError as error:
        return error
    return None


HF_QUANT = {
    "producer": {"name": "modelopt", "version": "0.41.0"},
    "quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8", "exclude_modules": ["lm_head"]},
}


def test_the_table_lies_in_a_file_of_its_own(tmp_path: Path) -> None:
    folder = _without_table(tmp_path)
    (folder / "hf_quant_config.json").write_text(json.dumps(HF_QUANT))
    report = check(str(folder))
    assert [(it.code, it.message) for it in report.findings] == []
    assert report.facts.quant == "modelopt"


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "\xff"])
def test_a_file_that_is_no_table_counts_for_nothing(text: str, tmp_path: Path) -> None:
    folder = _without_table(tmp_path)
    (folder / "hf_quant_config.json").write_bytes(text.encode("latin-1"))
    assert [it.code for it in check(str(folder)).findings] == ["WL401"]


def _without_table(tmp_path: Path) -> Path:
    whole = toy("llama", full_config("modelopt_fp8"), shards=1)
    return edited(whole, {"op": "unconfig", "field": "quantization_config"}).write(tmp_path / "ckpt")


def test_layers_of_several_algorithms(tmp_path: Path) -> None:
    def layers(algo: str, *names: str) -> dict[str, Any]:
        return {f"model.layers.{at}.{name}": {"quant_algo": algo} for at in range(3) for name in names}

    mixed = {
        "quant_algo": "MIXED_PRECISION",
        "quantized_layers": {
            **layers("FP8", "self_attn.q_proj", "self_attn.k_proj"),
            **layers("NVFP4", "mlp.gate_proj", "mlp.up_proj"),
        },
    }
    table = {"quant_method": "modelopt", **mixed}
    whole = toy("llama", {**full_config("modelopt_fp8"), "quantization_config": table})
    ends = {
        t.name.removeprefix("model.layers.0.") for t in whole.tensors if t.name.startswith("model.layers.0.")
    }
    assert "self_attn.q_proj.input_scale" in ends
    assert "mlp.up_proj.weight_scale_2" in ends
    assert "mlp.down_proj.weight_scale" not in ends
    assert [(it.code, it.message) for it in check(str(whole.write(tmp_path / "ckpt"))).findings] == []


def test_the_spelling_of_transformers(tmp_path: Path) -> None:
    """Hold FP8 without blocks against the names and shapes of transformers' own layer."""
    torch = pytest.importorskip("torch", reason="the layer is torch's")
    fp8 = pytest.importorskip(
        "transformers.integrations.finegrained_fp8", reason="the layer is transformers'"
    )
    layer = fp8.FP8Linear(32, 48, block_size=None, activation_scheme="static")
    own = {name: tuple(value.shape) for name, value in layer.state_dict().items()}
    assert own.pop("weight") == (48, 32)
    assert layer.weight.dtype is torch.float8_e4m3fn
    whole = toy("llama", full_config("fp8_tensor"), shards=1)
    ends = {"weight_scale": "weight_scale_inv", "input_scale": "activation_scale"}
    assert set(ends.values()) == set(own)
    renamed = []
    for tensor in whole.tensors:
        stem, _, end = tensor.name.rpartition(".")
        new = ends.get(end, end)
        renamed.append(replace(tensor, name=f"{stem}.{new}", shape=own.get(new, tensor.shape)))
    report = check(str(replace(whole, tensors=renamed).write(tmp_path / "ckpt")))
    assert [(it.code, it.message) for it in report.findings] == []
