"""A checkpoint in any dialect is judged in its own names: silent when whole, one finding for one damage."""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from configs import configs, small
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from toy import Tensor, Toy, edited, expected_of, spelt

from weightlint import schema
from weightlint.api import DIALECTS, check
from weightlint.expected import Presence, Slot

if TYPE_CHECKING:
    from weightlint.finding import Report

quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
WRITTEN = [
    (name, arch)
    for name, dialect in DIALECTS.items()
    for arch in schema.names()
    if dialect.lines and arch in dialect.schemas and dialect.name != "hf_fused"
]
"""hf_fused has no names of its own: a schema holds it as a layout of hf."""


class Made:
    """A toy in a dialect, and its slots by name; no dataclass, so that a failing case prints short."""

    def __init__(
        self, dialect: str, arch: str, tags: tuple[str, ...], toy: Toy, slots: dict[str, Slot]
    ) -> None:
        self.dialect, self.arch, self.tags, self.toy, self.slots = dialect, arch, tags, toy, slots

    def __repr__(self) -> str:
        return f"{self.dialect} {self.tags} {self.arch} {self.toy.config} {len(self.toy.tensors)} tensors"

    def judged(self, toy: Toy | None = None) -> Report:
        with tempfile.TemporaryDirectory() as folder:
            path = (toy or self.toy).write(Path(folder) / "ckpt")
            return check(str(path), arch=self.arch, dialect=self.dialect)

    def plain(self) -> list[Tensor]:
        """Return the tensors whose loss has no cause but its own."""
        return [t for t in self.toy.tensors if t.name in self.slots and _is_plain(self.slots[t.name])]


def _is_plain(slot: Slot) -> bool:
    alone = slot.tie is None and slot.kind not in {"scale", "bias", "head"}
    return alone and slot.need is Presence.REQUIRED and "ggml_type" not in slot.pattern


@st.composite
def made(draw: st.DrawFn) -> Made:
    name, arch = draw(st.sampled_from(WRITTEN))
    dialect = DIALECTS[name]
    ways = list(itertools.product(*([option.tag for option in way] for way in dialect.choices)))
    asked = draw(configs(arch))
    tags = draw(st.sampled_from(ways))
    written = dialect.rewrite(expected_of(arch, asked), dialect.chosen(tags))
    ahead = draw(st.booleans())
    toy = spelt(written, asked, mtp=ahead)
    layers = [slot for layout in written.layouts if ahead for slot in layout.slots]
    slots = {n: slot for slot in (*written.slots, *layers) for n in slot.names()}
    return Made(name, arch, tags, toy, slots)


@quick
@given(made())
def test_a_whole_checkpoint_is_silent_and_its_dialect_told(case: Made) -> None:
    report = case.judged()
    assert [(finding.code, finding.message) for finding in report.findings] == []
    assert report.facts.checked == report.facts.tensors == len(case.toy.tensors)
    assert report.facts.dialect in {case.dialect, "hf"}
    if report.facts.dialect == "hf":
        assert all(tensor.name in _hf(case) for tensor in case.toy.tensors)


def _hf(case: Made) -> set[str]:
    return {n for slot in expected_of(case.arch, case.toy.config).slots for n in slot.names()}


@quick
@given(made(), st.randoms(use_true_random=False))
def test_one_dropped_tensor(case: Made, rng: Any) -> None:
    gone = rng.choice(case.plain())
    report = case.judged(edited(case.toy, {"op": "drop", "tensor": gone.name}))
    assert [finding.code for finding in report.findings] == ["WL201"]
    assert report.findings[0].place.tensors == (gone.name,)


@quick
@given(made(), st.randoms(use_true_random=False))
def test_one_misspelt_tensor(case: Made, rng: Any) -> None:
    old = rng.choice(case.plain())
    new = old.name[:-2] + old.name[-1] + old.name[-2]
    if new == old.name or new in case.slots:
        return
    report = case.judged(edited(case.toy, {"op": "rename", "tensor": old.name, "to": new}))
    found = [finding for finding in report.findings if finding.code != "WL402"]
    assert [finding.code for finding in found] == ["WL203"]
    assert found[0].place.tensors == (new,)


@quick
@given(made(), st.randoms(use_true_random=False))
def test_one_reshaped_tensor(case: Made, rng: Any) -> None:
    shaped = [
        t for t in case.plain() if not case.slots[t.name].opaque and case.slots[t.name].kind != "embedding"
    ]
    old = rng.choice(shaped)
    shape = [old.shape[0] + 17, *old.shape[1:]]
    report = case.judged(edited(case.toy, {"op": "reshape", "tensor": old.name, "shape": shape}))
    assert [finding.code for finding in report.findings] == ["WL301"]
    assert report.findings[0].place.tensors == (old.name,)


@quick
@given(made(), st.randoms(use_true_random=False))
def test_one_tensor_of_integers(case: Made, rng: Any) -> None:
    old = rng.choice([t for t in case.plain() if not case.slots[t.name].opaque])
    report = case.judged(edited(case.toy, {"op": "retype", "tensor": old.name, "dtype": "I32"}))
    assert [finding.code for finding in report.findings] == ["WL405"]


@quick
@given(made(), small(1, 9))
def test_one_tensor_too_many(case: Made, number: int) -> None:
    extra = {"op": "add", "tensor": f"foreign.{number}.weight", "dtype": "F32", "shape": [3]}
    report = case.judged(edited(case.toy, extra))
    assert [finding.code for finding in report.findings] == ["WL202"]


@quick
@given(made(), st.sampled_from(["module.", "model.", "state_dict.model."]))
def test_one_prefix_on_all_names(case: Made, text: str) -> None:
    report = case.judged(edited(case.toy, {"op": "prefix", "text": text}))
    assert [finding.code for finding in report.findings] == ["WL203"]
    assert report.facts.dialect == case.dialect
    assert "another prefix" in report.findings[0].message


@quick
@given(made())
def test_one_layer_too_few_in_the_config(case: Made) -> None:
    asked = case.toy.config
    # where no routed layer is left, nothing tells a dialect that packs experts: the layer is then one beyond the last
    assume(asked["num_hidden_layers"] - 1 > asked.get("first_k_dense_replace", 0))
    if not asked.get("num_nextn_predict_layers"):
        fewer = replace(case.toy, config={**asked, "num_hidden_layers": asked["num_hidden_layers"] - 1})
        report = case.judged(fewer)
        assert [finding.code for finding in report.findings] == ["WL303"]
        assert "num_hidden_layers" in report.findings[0].message


ROUTED = [(name, arch) for name, arch in WRITTEN if arch not in {"llama", "gpt_neox"}]
SIZES = {
    "num_hidden_layers": 3, "hidden_size": 24, "vocab_size": 50, "intermediate_size": 34,
    "moe_intermediate_size": 14, "num_attention_heads": 4, "num_key_value_heads": 2, "num_experts": 4,
    "num_local_experts": 4, "n_routed_experts": 4, "shared_expert_intermediate_size": 22, "q_lora_rank": 9,
    "kv_lora_rank": 11, "n_shared_experts": 1, "qk_nope_head_dim": 5, "qk_rope_head_dim": 3, "v_head_dim": 7,
    "first_k_dense_replace": 1, "index_n_heads": 2, "index_head_dim": 13,
}  # fmt: skip


@pytest.mark.parametrize("step", [-1, 1])
@pytest.mark.parametrize(("name", "arch"), ROUTED)
def test_another_number_of_experts_in_the_config(name: str, arch: str, step: int, tmp_path: Path) -> None:
    fields = {"mixtral": "num_local_experts", "qwen2_moe": "num_experts", "qwen3_moe": "num_experts"}
    field = fields.get(arch, "n_routed_experts")
    asked = {
        key: value for key, value in SIZES.items() if key == field or "experts" not in key or "shared" in key
    }
    made = spelt(DIALECTS[name].rewrite(expected_of(arch, asked)), {**asked, field: 4 + step})
    report = check(str(made.write(tmp_path / "ckpt")), arch=arch, dialect=name)
    assert [finding.code for finding in report.findings] == ["WL303"]
    assert field in report.findings[0].message


@pytest.mark.parametrize(("name", "arch"), WRITTEN)
def test_a_dialect_is_found_without_being_asked_for(name: str, arch: str, tmp_path: Path) -> None:
    made = spelt(DIALECTS[name].rewrite(expected_of(arch, SIZES)), SIZES)
    report = check(str(made.write(tmp_path / "ckpt")), arch=arch)
    if (name, arch) == ("mlx", "llama"):
        assert report.facts.dialect == "hf"
        return
    assert report.facts.dialect == name
    home = DIALECTS[name].at_home(["model-00001-of-00002.safetensors"])
    assert [finding.code for finding in report.findings] == ([] if home else ["WL203"])
