"""Models cut into rank files: silent as they are written, and one finding for each single damage."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cutting import DEEPSEEK, LLAMA, Cut, deepseek_native, model, sharded_state, write
from toy import Tensor, table

from weightlint.api import check

if TYPE_CHECKING:
    from weightlint.finding import Finding, Report

VLLM = Path(__file__).parents[1].parent / "shared" / "data" / "vllm"
FP8 = {**DEEPSEEK, "quantization_config": {"quant_method": "fp8", "weight_block_size": [2, 2]}}
WAYS = 4


def native(config: dict[str, Any] = DEEPSEEK, ways: int = WAYS) -> Cut:
    return deepseek_native(model("deepseek_v3", config), ways, experts=8)


def runtime(ways: int = WAYS, *, parts: int = 1) -> Cut:
    return sharded_state(model("llama", LLAMA), ways, parts=parts)


def report(folder: Path, cut: Cut, config: dict[str, Any] | None) -> Report:
    return check(str(write(folder, cut, config)))


def only(folder: Path, cut: Cut, config: dict[str, Any] | None = DEEPSEEK) -> Finding:
    """Return the one finding that there is."""
    found = report(folder, cut, config).findings
    assert [finding.code for finding in found] == ["WL507"], found
    return found[0]


@pytest.mark.parametrize("config", [DEEPSEEK, FP8, {**DEEPSEEK, "q_lora_rank": None}])
@pytest.mark.parametrize("ways", [1, 2, 4, 8])
def test_what_convert_py_writes_is_silent(tmp_path: Path, config: dict[str, Any], ways: int) -> None:
    said = report(tmp_path, native(config, ways), config)
    assert said.findings == ()
    assert said.facts.dialect == "deepseek_native"
    assert said.facts.files == ways
    assert said.facts.tensors == said.facts.checked == len(model("deepseek_v3", config))


@pytest.mark.parametrize("ways", [1, 2, 4, 8])
@pytest.mark.parametrize("parts", [1, 3])
def test_what_vllm_saves_is_silent(tmp_path: Path, ways: int, parts: int) -> None:
    said = report(tmp_path, runtime(ways, parts=parts), LLAMA)
    assert said.findings == ()
    assert said.facts.dialect == "fused_runtime"


def test_without_a_config_ranks_are_still_compared(tmp_path: Path) -> None:
    cut = native()
    assert report(tmp_path / "whole", cut, None).findings == ()
    del cut["model2-mp4.safetensors"]["norm.weight"]
    assert only(tmp_path / "less", cut, None).place.ranks == ("tp2",)


def test_one_rank_file_stands_for_all(tmp_path: Path) -> None:
    write(tmp_path, native(), DEEPSEEK)
    said = check(str(tmp_path / "model1-mp4.safetensors"))
    assert (said.findings, said.facts.files) == ((), 4)


@pytest.mark.parametrize("gone", [0, 1, 3])
def test_an_absent_rank_is_one_finding(tmp_path: Path, gone: int) -> None:
    cut = native()
    del cut[f"model{gone}-mp4.safetensors"]
    finding = only(tmp_path, cut)
    assert finding.place.files == (f"model{gone}-mp4.safetensors",)
    assert finding.place.ranks == (f"tp{gone}",)
    assert finding.message.startswith("1 of 4 rank files is absent")


def test_an_absent_rank_in_the_middle_of_a_sharded_state(tmp_path: Path) -> None:
    cut = runtime(parts=2)
    del cut["model-rank-2-part-0.safetensors"], cut["model-rank-2-part-1.safetensors"]
    assert only(tmp_path, cut, LLAMA).place.files == ("model-rank-2-part-0.safetensors",)


def test_the_highest_ranks_of_a_sharded_state_absent(tmp_path: Path) -> None:
    """Names do not say how many there are; the sizes of the slices do."""
    cut = {file: held for file, held in runtime(4).items() if file < "model-rank-2"}
    finding = only(tmp_path, cut, LLAMA)
    assert "4 tensor ranks" in finding.message
    assert "tp{2,3} absent" in finding.message


def test_an_absent_part(tmp_path: Path) -> None:
    cut = runtime(parts=3)
    del cut["model-rank-1-part-1.safetensors"]
    assert only(tmp_path, cut, LLAMA).place.files == ("model-rank-1-part-1.safetensors",)


def test_an_absent_last_part(tmp_path: Path) -> None:
    cut = runtime(parts=3)
    held = cut.pop("model-rank-1-part-2.safetensors")
    finding = only(tmp_path, cut, LLAMA)
    assert (finding.place.ranks, finding.count) == (("tp1",), len(held))


@pytest.mark.parametrize("name", ["layers.1.attn.wq_b.weight", "layers.2.ffn.gate.weight", "head.weight"])
def test_a_tensor_that_one_rank_lacks(tmp_path: Path, name: str) -> None:
    cut = native()
    del cut["model3-mp4.safetensors"][name]
    finding = only(tmp_path, cut)
    assert (finding.place.tensors, finding.place.ranks, finding.count) == ((name,), ("tp3",), 1)
    assert finding.place.files == ("model3-mp4.safetensors",)


def test_an_expert_that_its_only_rank_lacks_is_in_no_file(tmp_path: Path) -> None:
    cut = native()
    del cut["model3-mp4.safetensors"]["layers.1.ffn.experts.6.w2.weight"]
    found = report(tmp_path, cut, DEEPSEEK).findings
    assert [(f.code, f.place.tensors) for f in found] == [("WL201", ("layers.1.ffn.experts.6.w2.weight",))]


@pytest.mark.parametrize(
    ("name", "shape", "usual"),
    [
        ("layers.1.attn.wq_b.weight", (11, 12), "[12, 12]"),
        ("layers.1.attn.wo.weight", (32, 9), "[32, 8]"),
        ("norm.weight", (33,), "[32]"),
    ],
)
def test_one_slice_of_another_size(tmp_path: Path, name: str, shape: tuple[int, ...], usual: str) -> None:
    cut = native()
    cut["model1-mp4.safetensors"][name] = ("BF16", shape)
    finding = only(tmp_path, cut)
    assert (finding.place.tensors, finding.place.ranks) == ((name,), ("tp1",))
    assert (finding.expected or "").startswith(usual)
    assert finding.found == str(list(shape))


def test_one_slice_of_another_dtype(tmp_path: Path) -> None:
    cut = native()
    cut["model1-mp4.safetensors"]["layers.1.attn.wq_b.weight"] = ("F32", (12, 12))
    finding = only(tmp_path, cut)
    assert (finding.place.ranks, finding.expected, finding.found) == (("tp1",), "BF16", "F32")


def test_a_rank_of_another_run_in_place_of_its_own(tmp_path: Path) -> None:
    cut = runtime(4)
    cut["model-rank-2-part-0.safetensors"] = runtime(8)["model-rank-2-part-0.safetensors"]
    finding = only(tmp_path, cut, LLAMA)
    assert (finding.place.ranks, finding.level.name) == (("tp2",), "ERROR")
    assert "slices of 8 ranks, the others of 4" in finding.message


def test_ranks_left_behind_by_a_wider_run(tmp_path: Path) -> None:
    """A warning: vLLM on 4 ranks opens the files of ranks 0 to 3 only."""
    finding = only(tmp_path, {**runtime(8), **runtime(4)}, LLAMA)
    assert (finding.place.ranks, finding.level.name) == (("tp{4..7}",), "WARNING")
    assert "slices of 8 ranks, the others of 4" in finding.message


def test_files_renamed_to_another_number_of_ranks(tmp_path: Path) -> None:
    cut = {name.replace("mp8", "mp4"): held for name, held in native(ways=8).items() if name < "model4"}
    finding = only(tmp_path, cut)
    assert "those of 8 tensor ranks, the names say 4" in finding.message


def test_a_complete_set_beside_another(tmp_path: Path) -> None:
    finding = only(tmp_path, {**native(ways=2), **native(ways=4)})
    assert finding.level.name == "WARNING"
    assert finding.place.files == ("model0-mp2.safetensors", "model1-mp2.safetensors")


def test_a_file_of_another_set_where_one_is_absent(tmp_path: Path) -> None:
    cut = native()
    del cut["model1-mp4.safetensors"]
    cut["model1-mp2.safetensors"] = native(ways=2)["model1-mp2.safetensors"]
    finding = only(tmp_path, cut)
    assert finding.place.files == ("model1-mp4.safetensors",)
    assert "model1-mp2.safetensors is of another number of ranks" in finding.message


def test_a_config_of_another_width_is_still_the_configs_fault(tmp_path: Path) -> None:
    said = report(tmp_path, native(), {**DEEPSEEK, "kv_lora_rank": 24})
    assert [finding.code for finding in said.findings] == ["WL303"]


def test_a_torn_rank_is_told_once(tmp_path: Path) -> None:
    path = write(tmp_path, native(), DEEPSEEK) / "model1-mp4.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    assert [finding.code for finding in check(str(tmp_path)).findings] == ["WL102"]


def test_a_rank_that_cannot_be_read_is_told_once(tmp_path: Path) -> None:
    (write(tmp_path, native(), DEEPSEEK) / "model1-mp4.safetensors").write_bytes(b"")
    assert [finding.code for finding in check(str(tmp_path)).findings] == ["WL101"]


def test_padded_vocabulary_and_few_heads_of_keys_are_silent(tmp_path: Path) -> None:
    """Rows come in 64s and neighbours hold the same head, as in vLLM: 70 tokens and 2 heads on 8 ranks."""
    config = {**LLAMA, "vocab_size": 70, "num_key_value_heads": 2}
    whole = model("llama", {**config, "vocab_size": 128})
    for name in [name for name in whole if "k_proj" in name or "v_proj" in name]:
        whole[name] = ("BF16", (8 * 6, 48))
    assert report(tmp_path, sharded_state(whole, 8), config).findings == ()


@pytest.mark.skipif(not VLLM.is_dir(), reason="the recorded ranks of vLLM are not here")
@pytest.mark.parametrize("path", sorted(VLLM.glob("grid_*.json")), ids=lambda path: path.stem)
def test_the_ranks_of_a_real_vllm_are_silent(tmp_path: Path, path: Path) -> None:
    """Names and shapes of every rank as vLLM 0.8.4 and 0.33.0 build them: tp 1 to 8, pp 1 to 3, ep."""
    spelling = {"bfloat16": "BF16", "float32": "F32", "float8_e4m3fn": "F8_E4M3"}
    said = json.loads(path.read_text())

    def degrees(rank: dict[str, Any]) -> tuple[int, int, int]:
        return rank["tp"], rank["pp"], rank["ep"]

    for (tp, pp, ep), ranks in groupby(sorted(said["ranks"], key=degrees), degrees):
        folder = tmp_path / f"{tp}-{pp}-{ep}"
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(said["config"]))
        for rank in ranks:
            at = f"pp-{rank['pp_rank']}-tp" if pp > 1 else "rank"
            held = [Tensor(n, spelling[dtype], tuple(s), 1) for n, (s, dtype) in rank["params"].items()]
            raw = table(held)
            length = 8 + int.from_bytes(raw[:8], "little")
            with (folder / f"model-{at}-{rank['tp_rank']}-part-0.safetensors").open("wb") as file:
                file.write(raw[:length])
                file.truncate(len(raw))
        assert check(str(folder)).findings == (), (tp, pp, ep)
