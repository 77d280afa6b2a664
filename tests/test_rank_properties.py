"""Any model cut by any writer's rule is silent; any single damage between ranks is one finding of WL507."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cutting
from cutting import DEEPSEEK, LLAMA, MIXTRAL, Cut, model, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weightlint.api import check

if TYPE_CHECKING:
    import random

    from weightlint.finding import Finding

quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
Made = tuple[str, dict[str, Any], Cut]


@st.composite
def cuts(draw: st.DrawFn, *, least: int = 1) -> Made:
    """Draw a model with sizes of its own, a writer and numbers of ranks that it can be cut for."""
    tp = draw(st.sampled_from([ways for ways in (1, 2, 4, 8) if ways >= least]))
    writer = draw(st.sampled_from(["deepseek", "vllm", "megatron", "trtllm", "meta"]))
    by = draw(st.integers(2, 5))
    if writer == "deepseek":
        arch = draw(st.sampled_from(["deepseek_v2", "deepseek_v3"]))
        config = {**DEEPSEEK, "hidden_size": 8 * by, "intermediate_size": 16 * by, "kv_lora_rank": by + 6}
        config["q_lora_rank"] = draw(st.sampled_from([None, by + 11]))
        config["architectures"] = [
            "DeepseekV2ForCausalLM" if arch == "deepseek_v2" else "DeepseekV3ForCausalLM"
        ]
        config["model_type"] = arch
        return arch, config, cutting.deepseek_native(model(arch, config), tp, experts=8)
    config = {**LLAMA, "hidden_size": 16 * by, "intermediate_size": 8 * by + 8, "vocab_size": 64 + 64 * by}
    pp = draw(st.sampled_from([1, 2, 4]))
    match writer:
        case "vllm":
            return (
                "llama",
                config,
                cutting.sharded_state(model("llama", config), tp, parts=draw(st.integers(1, 3))),
            )
        case "meta":
            return "llama", config, cutting.meta(model("llama", config), tp)
        case "megatron" if draw(st.booleans()):
            config = {**MIXTRAL, "hidden_size": 16 * by}
            ep = draw(st.sampled_from([1, 2, 4]))
            whole = model("mixtral", config)
            return "mixtral", config, cutting.megatron(whole, layers=4, tp=tp, pp=pp, ep=ep, experts=8)
        case "megatron":
            return "llama", config, cutting.megatron(model("llama", config), layers=4, tp=tp, pp=pp)
    config["mapping"] = {"world_size": tp * pp, "tp_size": tp, "pp_size": pp}
    return "llama", config, cutting.trtllm(model("llama", config), layers=4, tp=tp, pp=pp)


def judged(made: Made) -> list[Finding]:
    _, config, cut = made
    with tempfile.TemporaryDirectory() as folder:
        return list(check(str(write(Path(folder), cut, config))).findings)


def holders(cut: Cut, name: str) -> list[str]:
    return [file for file, held in cut.items() if name in held]


def shared(made: Made, rng: random.Random, *, least: int = 2) -> tuple[str, str]:
    """Choose a file and a tensor of it that other ranks hold as well."""
    cut = made[2]
    pairs = [(file, name) for file, held in cut.items() for name in held if name != "rope.freqs"]
    rng.shuffle(pairs)
    return next((f, n) for f, n in pairs if len(holders(cut, n)) >= least and ".ffn.experts." not in n)


@quick
@given(cuts())
def test_what_is_cut_by_the_rule_is_silent(made: Made) -> None:
    assert judged(made) == []


@quick
@given(cuts(least=2), st.randoms(use_true_random=False))
def test_one_file_less(made: Made, rng: random.Random) -> None:
    cut = made[2]
    ranks = {file: held for file, held in cut.items() if "part" not in file or "-rank-0-" in file}
    gone = rng.choice(sorted(ranks))
    if gone == max(ranks) or "part" in gone:
        gone = min(ranks)
    left = {file: held for file, held in cut.items() if file != gone}
    found = judged((*made[:2], left))
    assert [finding.code for finding in found] == ["WL507"]
    assert found[0].place.files == (gone,)


@quick
@given(cuts(least=2), st.randoms(use_true_random=False))
def test_one_tensor_less_on_one_rank(made: Made, rng: random.Random) -> None:
    file, name = shared(made, rng)
    del made[2][file][name]
    found = judged(made)
    assert [finding.code for finding in found] == ["WL507"]
    assert found[0].count == 1
    assert file in found[0].place.files


@quick
@given(cuts(least=4), st.randoms(use_true_random=False))
def test_one_slice_of_another_size(made: Made, rng: random.Random) -> None:
    file, name = shared(made, rng, least=4)
    dtype, shape = made[2][file][name]
    made[2][file][name] = (dtype, (shape[0] + 1, *shape[1:]))
    found = judged(made)
    assert [finding.code for finding in found] == ["WL507"]
    assert found[0].count == 1
    assert file in found[0].place.files


@quick
@given(cuts(least=4), st.randoms(use_true_random=False))
def test_one_slice_of_another_type(made: Made, rng: random.Random) -> None:
    file, name = shared(made, rng, least=4)
    dtype, shape = made[2][file][name]
    made[2][file][name] = ("F16" if dtype != "F16" else "F32", shape)
    found = [finding for finding in judged(made) if finding.code == "WL507"]
    assert len(found) == 1
    assert file in found[0].place.files
