"""`weightlint rename`: the printed map alone makes the target, says what is over, and refuses with a reason."""

from __future__ import annotations

import itertools
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import arrays
import numpy as np
import pytest
from click.testing import CliRunner
from configs import configs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toy import Toy, config, edited, expected_of, spelt, toy

from weightlint import api, schema
from weightlint.api import DIALECTS
from weightlint.cli import app
from weightlint.expected import Presence
from weightlint.names import expand

if TYPE_CHECKING:
    from weightlint.expected import Expected

quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
WRITERS = [
    (name, it) for name, it in DIALECTS.items() if it.lines and name not in {"kt_kernel", "ktransformers"}
]


def printed(*words: object) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(app, ["rename", *map(str, words)])
    return done.exit_code, json.loads(done.output)


def refused(*words: object) -> str:
    done = CliRunner().invoke(app, ["rename", *map(str, words)])
    assert done.exit_code == 2
    return done.output


def made(folder: Path, it: Toy) -> Path:
    return it.write(folder / "ckpt")


def held(expected: Expected) -> arrays.Arrays:
    """Return numbers for every tensor of a whole checkpoint in the schema's names, a tied head included."""
    found = arrays.random([slot for slot in expected.slots if slot.need is not Presence.TIED])
    for slot in expected.slots:
        if slot.tie and slot.need is Presence.TIED:
            found |= dict.fromkeys(slot.names(), found[slot.tie])
    return found


def valid(table: dict[str, Any]) -> None:
    from jsonschema import Draft202012Validator

    meta = json.loads((schema.folder() / "_meta" / "rename.schema.json").read_text())
    Draft202012Validator.check_schema(meta)
    Draft202012Validator(meta).validate(table)


@quick
@given(st.data())
def test_the_printed_map_alone_makes_the_target(data: st.DataObject) -> None:
    arch = data.draw(st.sampled_from(sorted({arch for _, it in WRITERS for arch in it.schemas})))
    asked = data.draw(configs(arch))
    asked.pop("quantization_config", None)
    expected = expected_of(arch, asked)
    able = [(name, it) for name, it in WRITERS if arch in it.schemas]
    (name, one), (other, two) = (data.draw(st.sampled_from(able), label=label) for label in ("from", "to"))
    ways = itertools.product(*([option.tag for option in way] for way in two.choices))
    tags = data.draw(st.sampled_from(list(ways)))
    source, target = one.rewrite(expected), two.rewrite(expected, two.chosen(tags))
    before = arrays.forward(source.recipes, held(expected))
    after = arrays.forward(target.recipes, held(expected))
    with tempfile.TemporaryDirectory() as folder:
        path = made(Path(folder), spelt(source, asked))
        table = api.rename_table(
            api.rename(str(path), to=f"{other}:{','.join(tags)}", arch=arch, source=name)
        )
    valid(table)
    assert not table["unknown"]
    reached: set[str] = set()
    for entry in table["map"]:  # type: ignore[attr-defined]
        for tensor, array in arrays.followed(entry, before).items():
            assert np.array_equal(array, after[tensor]), tensor
            reached.add(tensor)
    wanted = {n for slot in target.slots if slot.need is not Presence.TIED for n in slot.names()}
    assert wanted <= reached


@pytest.mark.parametrize(("name", "dialect"), WRITERS)
@pytest.mark.parametrize("folded", [False, True])
def test_every_tensor_of_a_checkpoint_is_used_or_left_out(
    name: str, dialect: Any, tmp_path: Path, *, folded: bool
) -> None:
    arch = "deepseek_v3" if "deepseek_v3" in dialect.schemas else "llama"
    asked = config("toy_deepseek_v3_fp8" if arch == "deepseek_v3" else "toy_llama")
    it = toy(arch, asked)
    code, table = printed(made(tmp_path, it), "--to", name, *(["--folded"] if folded else []))
    valid(table)
    assert code == 0
    assert table["folded"] is folded
    used = {
        n for entry in table["map"] for text in entry["from"] for n in (expand(text) if folded else [text])
    }
    left = {n for group in table["left_out"] for text in group["tensors"] for n in expand(text)}
    assert used | left == {tensor.name for tensor in it.tensors}
    assert not used & left
    assert table["summary"]["from"] == len(used)
    assert table["summary"]["left_out"] == len(left)


def test_scales_are_taken_in_or_go_along(tmp_path: Path) -> None:
    path = made(tmp_path, toy("deepseek_v3", config("toy_deepseek_v3_fp8")))
    name = "model.layers.1.self_attn.o_proj.weight"
    _, taken = printed(path, "--to", "gguf")
    entry = next(it for it in taken["map"] if it["to"] == ["blk.1.attn_output.weight"])
    assert entry["from"] == [name, f"{name}_scale_inv"]
    assert entry["how"] == [{"moves": [{"move": "dequantise", "block": [16, 16], "only": [0]}]}]
    _, kept = printed(path, "--to", "deepseek_native")
    pairs = {tuple(it["to"]): it["from"] for it in kept["map"]}
    assert pairs["layers.1.attn.wo.scale",] == [f"{name}_scale_inv"]


def test_what_the_target_has_no_place_for_is_said_with_the_reason(tmp_path: Path) -> None:
    _, table = printed(made(tmp_path, toy("deepseek_v3", config("toy_deepseek_v3"))), "--to", "mlx")
    (group,) = table["left_out"]
    assert group["why"] == "MLX-LM drops the MTP layers"
    assert "model.layers.4.eh_proj.weight" in group["tensors"]


def test_a_missing_tensor_is_named_in_the_spelling_of_the_checkpoint(tmp_path: Path) -> None:
    asked = config("toy_deepseek_v3")
    native = spelt(DIALECTS["deepseek_native"].rewrite(expected_of("deepseek_v3", asked)), asked)
    gone = edited(native, {"op": "drop", "tensor": "layers.2.ffn.experts.3.w2.weight"})
    code, table = printed(made(tmp_path, gone), "--to", "hf")
    assert code == 1
    assert table["from"]["dialect"] == "deepseek_native"
    assert table["missing"] == ["layers.2.ffn.experts.3.w2.weight"]
    assert not any(it["to"] == ["model.layers.2.mlp.experts.3.down_proj.weight"] for it in table["map"])


def test_layers_for_mtp_may_be_absent_but_not_in_part(tmp_path: Path) -> None:
    asked = config("toy_deepseek_v3")
    written = DIALECTS["deepseek_native"].rewrite(expected_of("deepseek_v3", asked))
    code, table = printed(made(tmp_path / "a", spelt(written, asked, mtp=False)), "--to", "hf")
    assert (code, table["missing"]) == (0, [])
    part = edited(spelt(written, asked), {"op": "drop", "tensor": "layers.4.eh_proj.weight"})
    code, table = printed(made(tmp_path / "b", part), "--to", "hf")
    assert (code, table["missing"]) == (1, ["layers.4.eh_proj.weight"])


def test_a_tensor_without_a_place_is_named(tmp_path: Path) -> None:
    extra = {"op": "add", "tensor": "model.layers.1.foreign.weight", "dtype": "BF16", "shape": [3]}
    code, table = printed(made(tmp_path, edited(toy("llama", config("toy_llama")), extra)), "--to", "gguf")
    assert code == 1
    assert table["unknown"] == ["model.layers.1.foreign.weight"]


def test_a_prefix_is_part_of_the_names(tmp_path: Path) -> None:
    it = edited(toy("llama", config("toy_llama")), {"op": "prefix", "text": "module."})
    code, table = printed(made(tmp_path, it), "--to", "hf")
    assert code == 0
    assert all(entry["from"] == [f"module.{entry['to'][0]}"] for entry in table["map"])


def test_experts_that_transformers_5_fused_are_taken_apart(tmp_path: Path) -> None:
    asked = config("toy_deepseek_v3")
    expected = expected_of("deepseek_v3", asked)
    path = made(tmp_path, spelt(DIALECTS["hf_fused"].rewrite(expected), asked))
    code, table = printed(path, "--to", "hf")
    assert code == 0
    assert table["from"]["dialect"] == "hf"
    entry = next(it for it in table["map"] if it["to"] == ["model.layers.1.mlp.experts.2.up_proj.weight"])
    assert "model.layers.1.mlp.experts.gate_up_proj" in entry["from"]
    before = arrays.forward(DIALECTS["hf_fused"].rewrite(expected).recipes, held(expected))
    wanted = held(expected)["model.layers.1.mlp.experts.2.up_proj.weight"]
    assert np.array_equal(next(iter(arrays.followed(entry, before).values())), wanted)


def test_a_map_goes_to_a_file(tmp_path: Path) -> None:
    path, file = made(tmp_path, toy("llama", config("toy_llama"))), tmp_path / "map.json"
    done = CliRunner().invoke(app, ["rename", str(path), "--to", "litgpt", "-o", str(file)])
    assert (done.exit_code, done.output) == (0, "")
    valid(json.loads(file.read_text()))


def test_what_cannot_be_done_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = made(tmp_path, toy("llama", config("toy_llama")))
    assert "DeepSeek's own inference code (deepseek_native) has no way of writing llama" in refused(
        path, "--to", "deepseek_native"
    )
    assert "no dialect named 'ggfu' (nearest: gguf" in refused(path, "--to", "ggfu")
    assert "dialect gguf has no variant flat; it has: split, both, whole" in refused(
        path, "--to", "gguf:flat"
    )
    assert "the names are those of hf, not of litgpt" in refused(path, "--to", "gguf", "--from", "litgpt")
    (path / "config.json").unlink()
    assert "no map of names without the architecture" in refused(path, "--to", "gguf")
    assert "keep one" in refused(path, "--to", "gguf", "--arch", "llama", "--schema", "x.toml")
