"""LoRA adapters: silent as PEFT saves them, and one finding for what PEFT or vLLM would not load."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from adapters import FILE, adapted, write
from cutting import LLAMA
from toy import Tensor, Toy, edited, toy

from weightlint.adapters.adapter import Adapter, part
from weightlint.api import check

if TYPE_CHECKING:
    from pathlib import Path

    from weightlint.finding import Finding, Report

TARGETS = ["q_proj", "v_proj", "down_proj"]
SAID = {"r": 4, "target_modules": TARGETS}
PREFIX = "base_model.model.model.layers"


def made(*, targets: list[str] = TARGETS) -> Toy:
    return adapted(toy("llama", LLAMA), rank=4, targets=targets)


def judged(folder: Path, model: Toy, said: dict[str, Any] = SAID) -> Report:
    return check(str(write(folder, model, said)))


def only(folder: Path, model: Toy, said: dict[str, Any] = SAID) -> Finding:
    """Return the one finding that there is."""
    found = judged(folder, model, said).findings
    assert [finding.code for finding in found] == ["WL207"], found
    return found[0]


def test_a_sound_adapter_is_silent(tmp_path: Path) -> None:
    report = judged(tmp_path, made())
    assert report.findings == ()
    assert report.facts.dialect == "peft"
    assert report.facts.checked == report.facts.tensors == 2 * 3 * 4


def test_an_adapter_is_judged_without_its_base(tmp_path: Path) -> None:
    path = write(tmp_path, made(), SAID, base=False)
    assert check(str(path)).findings == ()
    assert check(str(path / FILE)).findings == ()
    (path / "adapter_config.json").write_text(json.dumps({**SAID, "r": 8}))
    assert [finding.code for finding in check(str(path)).findings] == ["WL207"]


def test_the_config_of_the_base_may_be_given(tmp_path: Path) -> None:
    path = write(tmp_path, made(), SAID, base=False)
    (tmp_path / "base.json").write_text(json.dumps({**LLAMA, "hidden_size": 64}))
    (finding,) = check(str(path), config=str(tmp_path / "base.json")).findings
    assert finding.expected == "[64, 4] for [64, 80] = [hidden_size, intermediate_size]"
    assert finding.found == "[48, 4]"


HALF = [("lora_B", "no lora_B"), ("lora_A", "no lora_A")]


@pytest.mark.parametrize(("half", "said"), HALF)
def test_half_a_pair(tmp_path: Path, half: str, said: str) -> None:
    gone = f"{PREFIX}.1.self_attn.q_proj.{half}.weight"
    assert said in only(tmp_path, edited(made(), {"op": "drop", "tensor": gone})).message


def test_a_pair_of_two_ranks(tmp_path: Path) -> None:
    name = f"{PREFIX}.1.self_attn.q_proj.lora_A.weight"
    finding = only(tmp_path, edited(made(), {"op": "reshape", "tensor": name, "shape": [6, 48]}))
    assert (finding.count, finding.found) == (2, "[6, 48] and [48, 4]")


def test_another_rank_than_the_config_says(tmp_path: Path) -> None:
    finding = only(tmp_path, made(), {**SAID, "r": 16})
    assert (finding.expected, finding.count) == ("rank 16", 24)


def test_ranks_by_pattern(tmp_path: Path) -> None:
    said = {**SAID, "r": 16, "rank_pattern": {"self_attn.q_proj": 4, "v_proj": 4, "^model.*down_proj": 4}}
    assert judged(tmp_path, made(), said).findings == ()


def test_a_pattern_from_a_file_is_never_run() -> None:
    slow = Adapter({"r": 1, "rank_pattern": {"(a+)+$": 2}, "target_modules": "(a+)+$"})
    assert slow.ranks()("a" * 60 + "!") == {1, 2}
    assert slow.targets is None


def test_no_tensor_of_a_target_module(tmp_path: Path) -> None:
    """VLLM #55193: the targets and the modules of the adapter are disjoint; the base answers, without error."""
    finding = only(tmp_path, made(targets=["down_proj"]), {**SAID, "target_modules": ["qkv_proj"]})
    assert finding.level.name == "ERROR"
    assert "serves the base model" in finding.message


def test_a_target_without_a_tensor_warns(tmp_path: Path) -> None:
    finding = only(tmp_path, made(), {**SAID, "target_modules": [*TARGETS, "up_proj"]})
    assert (finding.level.name, "up_proj" in finding.message) == ("WARNING", True)


@pytest.mark.parametrize(
    ("name", "issue"),
    [
        ("lm_head.base_layer.weight", "vllm-project/vllm#32599"),
        ("score.weight", "vllm-project/vllm#7441"),
        ("lm_head.weight", "vllm-project/vllm#9280"),
    ],
)
def test_a_tensor_stored_whole_stops_vllm(tmp_path: Path, name: str, issue: str) -> None:
    del issue
    model = made()
    model.tensors.append(Tensor(f"base_model.model.{name}", "F32", (64, 48), 1))
    said = {**SAID, "modules_to_save": ["lm_head", "score"]}
    finding = only(tmp_path, model, said)
    assert (finding.level.name, finding.place.tensors) == ("WARNING", (f"base_model.model.{name}",))
    assert "unsupported LoRA weight" in finding.message


@pytest.mark.parametrize("name", ["model.embed_tokens.weight", "lm_head.weight"])
def test_more_tokens_than_the_base_has(tmp_path: Path, name: str) -> None:
    """Unsloth #943 and #237: the adapter carries the embedding of a vocabulary with more tokens."""
    model = made()
    model.tensors.append(Tensor(f"base_model.model.{name}", "F32", (66, 48), 1))
    found = judged(tmp_path, model, {**SAID, "modules_to_save": ["embed_tokens", "lm_head"]}).findings
    (finding,) = [each for each in found if each.level.name == "ERROR"]
    assert (finding.expected, finding.found) == ("64 = vocab_size", "66")


def test_an_empty_tensor_of_zero_3(tmp_path: Path) -> None:
    """OpenRLHF #651: partitioned parameters were not gathered before saving."""
    finding = only(tmp_path, edited(made(), {"op": "reshape", "tensor": "*lora_B.weight", "shape": [0]}))
    assert (finding.count, finding.found) == (12, "[0]")
    assert "stage3_gather_16bit_weights_on_model_save" in finding.cure


def test_a_target_that_the_base_does_not_have(tmp_path: Path) -> None:
    deep = adapted(toy("llama", {**LLAMA, "num_hidden_layers": 6}), rank=4, targets=TARGETS)
    deep.config.update(num_hidden_layers=4)
    finding = only(tmp_path, deep)
    assert finding.place.tensors[0].startswith(f"{PREFIX}.{{4,5}}.")
    assert "a target that llama does not have" in finding.message


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("base_model.model.", "", "no base_model.model. in front"),
        (".lora_A.", ".lora_A.default.", "the adapter's own name inside"),
        (".lora_A.weight", ".lora_a", "no name that PEFT gives"),
    ],
)
def test_names_that_peft_does_not_find(tmp_path: Path, old: str, new: str, said: str) -> None:
    model = made()
    model.tensors[:] = [Tensor(t.name.replace(old, new), t.dtype, t.shape, 1) for t in model.tensors]
    assert said in judged(tmp_path, model).findings[0].message or said in "".join(
        finding.message for finding in judged(tmp_path, model).findings
    )


def test_magnitudes_and_use_dora_go_together(tmp_path: Path) -> None:
    assert "no lora_magnitude_vector" in only(tmp_path / "a", made(), {**SAID, "use_dora": True}).message
    model = made()
    model.tensors.append(Tensor(f"{PREFIX}.0.self_attn.q_proj.lora_magnitude_vector", "F32", (48,), 1))
    assert "does not say use_dora" in only(tmp_path / "b", model).message


def test_without_a_config_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path, made(), SAID)
    (path / "adapter_config.json").unlink()
    (finding,) = check(str(path)).findings
    assert "adapter_config.json is not beside the adapter" in finding.message


def test_a_config_that_is_no_json(tmp_path: Path) -> None:
    path = write(tmp_path, made(), SAID)
    (path / "adapter_config.json").write_text("{")
    assert [finding.code for finding in check(str(path)).findings] == ["WL107"]


def test_a_config_without_tensors(tmp_path: Path) -> None:
    path = write(tmp_path, made(), SAID)
    (path / FILE).unlink()
    (finding,) = check(str(path)).findings
    assert (finding.code, finding.place.files) == ("WL103", (FILE,))


def test_other_methods_are_not_judged_as_lora(tmp_path: Path) -> None:
    model = made()
    model.tensors[:] = [Tensor("base_model.model.model.layers.0.mlp.down_proj.ia3_l", "F32", (1, 80), 1)]
    assert judged(tmp_path, model, {**SAID, "peft_type": "IA3"}).findings == ()


def test_pairs_on_parameters_that_are_no_module(tmp_path: Path) -> None:
    """PEFT wraps fused experts as it does modules, one wrapper over the other."""
    model = made()
    experts = f"{PREFIX}.0.mlp.experts"
    for name in (f"{experts}.lora_A.weight", f"{experts}.base_layer.lora_A.weight"):
        model.tensors.append(Tensor(name, "F32", (4, 48), 1))
        model.tensors.append(Tensor(name.replace("lora_A", "lora_B"), "F32", (96, 4), 1))
    said = {**SAID, "target_parameters": ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]}
    assert judged(tmp_path, model, said).findings == ()


def test_what_names_mean() -> None:
    assert part("base_model.model.a.b.lora_A.weight") == ("a.b", "A", None)
    assert part("base_model.model.a.lora_B.bias") == ("a", "bias", None)
    assert part("base_model.model.a.lora_embedding_A") == ("a", "embedding_A", None)
    assert part("base_model.model.a.base_layer.weight") == ("a", "copy", None)
    assert part("base_model.model.experts.base_layer.lora_A.weight") == ("experts.base_layer", "A", None)
    assert part("a.lora_A.default.weight") == ("a", "A", "default")
    assert part("model.layers.0.self_attn.q_proj.lora_a") is None


PEFT: dict[str, dict[str, Any]] = {
    "plain": {"target_modules": ["q_proj", "v_proj"]},
    "one expression": {"target_modules": r".*(q_proj|k_proj)"},
    "all linear with DoRA": {"target_modules": "all-linear", "use_dora": True},
    "ranks by module": {"target_modules": ["q_proj", "o_proj"], "rank_pattern": {"layers.1.self_attn.q_proj": 2}},
    "ranks by expression": {"target_modules": ["q_proj"], "rank_pattern": {r".*\.1\..*q_proj": 2}},
    "biases": {"target_modules": ["q_proj"], "lora_bias": True, "bias": "lora_only"},
    "some layers": {"target_modules": ["q_proj"], "layers_to_transform": [1]},
    "the embedding": {"target_modules": ["embed_tokens", "q_proj"]},
    "a module whole": {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
}  # fmt: skip
WHOLE = {"the embedding", "a module whole"}


SAVE = """
import json, sys
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM
base, folder, wanted = json.loads(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
for name, said in wanted.items():
    config = LoraConfig(r=4, task_type="CAUSAL_LM", **said)
    model = get_peft_model(LlamaForCausalLM(LlamaConfig(**base)), config)
    model.save_pretrained(f"{folder}/{name}")
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Let PEFT save one adapter of each kind, in a process of its own."""
    if find_spec("peft") is None:
        pytest.skip("peft is not installed")
    folder = tmp_path_factory.mktemp("peft")
    words = [json.dumps(LLAMA), str(folder), json.dumps(PEFT)]
    subprocess.run([sys.executable, "-W", "ignore", "-c", SAVE, *words], check=True, capture_output=True)
    (folder / "base.json").write_text(json.dumps(LLAMA))
    return folder


@pytest.mark.oracle
@pytest.mark.parametrize("name", PEFT)
def test_what_peft_saves_is_silent(saved: Path, name: str) -> None:
    """Only tensors stored whole, which vLLM refuses, are warned of."""
    found = check(str(saved / name), config=str(saved / "base.json")).findings
    assert [finding.level.name for finding in found] == (["WARNING"] if name in WHOLE else [])
