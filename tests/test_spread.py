"""Who holds which slice: against what vLLM and SGLang read of each tensor, and that slices make the tensor."""

from __future__ import annotations

import json
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy import config, expected_of

from weightlint import plan_file, schema
from weightlint.cut import Cut, gaps, overlaps
from weightlint.limits.gathered import gather
from weightlint.limits.slices import wrong
from weightlint.loader import LOADERS, release
from weightlint.plan import Plan, Rank
from weightlint.spread import Spread

DATA = Path(__file__).parents[2] / "shared" / "data"
RECORDED = [
    ("vllm/slices_dsv3_fp8_v08.json", "vllm@0.8.4", "deepseek_v3"),
    ("vllm/slices_dsv3_fp8_v33.json", "vllm@0.33.0", "deepseek_v3"),
    ("vllm/slices_qwen3moe_bf16_v33.json", "vllm@0.33.0", "qwen3_moe"),
    ("sglang/slices_dsv3_fp8_v0523.json", "sglang@0.5.23", "deepseek_v3"),
]
Box = tuple[tuple[int, ...], tuple[int, ...]]


def plan_of(rank: dict[str, Any], loader: str) -> Plan:
    """Return the plan of a record; vLLM's say 1 where experts are dealt over all ranks."""
    ep = (rank["tp"] if rank["ep"] else 1) if loader == "vllm" else rank["ep"]
    return Plan(tp=rank["tp"], pp=rank["pp"], ep=ep)


@cache
def expected(file: str, arch: str) -> Any:
    return expected_of(arch, json.loads((DATA / file).read_text())["config"])


def held(spread: Spread, rank: Rank) -> dict[str, Box]:
    """Return start and shape of what a rank holds of every tensor, MTP layers aside."""
    out: dict[str, Box] = {}
    for slot in spread.expected.slots:
        for coord in slot.coords():
            spans = spread.slices(slot, coord, rank)
            if spans is None or spread.is_aside(slot, coord):
                continue
            ends = [spans.get(dim, ((0, size),)) for dim, size in enumerate(slot.shape)]
            if all(ends):
                assert all(len(each) == 1 for each in ends)
                starts = tuple(each[0][0] for each in ends)
                out[slot.name(coord)] = starts, tuple(each[0][1] - each[0][0] for each in ends)
    return out


@pytest.mark.skipif(not DATA.is_dir(), reason="the recorded slices are not here")
@pytest.mark.parametrize(("file", "loader", "arch"), RECORDED)
def test_every_recorded_slice(file: str, loader: str, arch: str) -> None:
    for record in json.loads((DATA / file).read_text())["ranks"]:
        plan = plan_of(record, loader.partition("@")[0])
        spread = Spread(plan, expected(file, arch), release(loader))
        ours = held(spread, Rank(record["tp_rank"], record["pp_rank"]))
        assert set(ours) == {name for name, pieces in record["slices"].items() if pieces}
        for name, pieces in record["slices"].items():
            # null where two tensors were laid together before they were read: both are whole
            starts = [(tuple(piece[2]), tuple(piece[4])) for piece in pieces if piece[2] is not None]
            assert all(ours[name] == start for start in starts), (name, ours[name], starts)


GRIDS = [
    ("vllm/grid_dsv2lite_bf16_v08.json", "vllm@0.8.4", "deepseek_v2"),
    ("vllm/grid_dsv2lite_bf16_v33.json", "vllm@0.33.0", "deepseek_v2"),
    ("vllm/grid_dsv3_fp8_v08.json", "vllm@0.8.4", "deepseek_v3"),
    ("vllm/grid_dsv3_fp8_v33.json", "vllm@0.33.0", "deepseek_v3"),
    ("vllm/grid_mixtral_bf16_v08.json", "vllm@0.8.4", "mixtral"),
    ("vllm/grid_qwen3moe_bf16_v33.json", "vllm@0.33.0", "qwen3_moe"),
    ("sglang/grid_dsv2lite_bf16_v0523.json", "sglang@0.5.23", "deepseek_v2"),
    ("sglang/grid_dsv3_fp8_v0523.json", "sglang@0.5.23", "deepseek_v3"),
    ("sglang/grid_mixtral_bf16_v0523.json", "sglang@0.5.23", "mixtral"),
]


@pytest.mark.skipif(not DATA.is_dir(), reason="the recorded grids are not here")
@pytest.mark.parametrize(("file", "loader", "arch"), GRIDS)
def test_every_recorded_rank_reads_what_it_holds(file: str, loader: str, arch: str) -> None:
    """A tensor is skipped by a rank exactly where the plan gives that rank nothing of it."""
    data = json.loads((DATA / file).read_text())
    keys = [*data["keys"]]
    for record in data["ranks"]:
        plan = plan_of(record, loader.partition("@")[0])
        spread = Spread(plan, expected(file, arch), release(loader))
        ours = set(held(spread, Rank(record["tp_rank"], record["pp_rank"])))
        theirs = {key for key, param in zip(keys, record["fill"], strict=True) if param >= 0}
        assert ours == theirs, (plan, record["tp_rank"], record["pp_rank"])


@pytest.mark.parametrize("loader", [None, *LOADERS])
@pytest.mark.parametrize(
    "plan",
    [
        Plan(tp=2),
        Plan(tp=4),
        Plan(pp=2),
        Plan(tp=2, pp=2, ep=2),
        Plan(tp=4, ep=2),
        Plan(tp=2, dp=2, ep=4),
        Plan(tp=2, dp=2, ep=2),
        Plan(tp=16, pp=3),
    ],
)
@pytest.mark.parametrize(
    ("arch", "name"),
    [("deepseek_v3", "toy_deepseek_v3_fp8"), ("llama", "toy_llama"), ("gpt_neox", "toy_gpt_neox")],
)
def test_ranks_together_hold_each_element(loader: str | None, plan: Plan, arch: str, name: str) -> None:
    """Where nothing is refused, each tensor is covered, and no element is in two different slices."""
    spread = Spread(plan, expected_of(arch, config(name)), release(loader) if loader else None)
    if gather(spread):
        return
    outside = spread.rules.places.get("embedding") == "none"
    for slot in spread.expected.slots:
        for coord in [*slot.coords()][:6]:
            if spread.is_aside(slot, coord) or (outside and slot.kind == "embedding"):
                continue
            boxes = {box for rank in plan.ranks() for box in boxes_of(spread, slot, coord, rank)}
            found = sum(prod(stop - start for start, stop in box) for box in boxes)
            if slot.kind == "scale":
                assert found >= prod(slot.shape)
            else:
                assert found == prod(slot.shape), slot.pattern


def boxes_of(
    spread: Spread, slot: Any, coord: tuple[int, ...], rank: Rank
) -> list[tuple[tuple[int, int], ...]]:
    spans = spread.slices(slot, coord, rank)
    if spans is None:
        return []
    boxes: list[tuple[tuple[int, int], ...]] = [()]
    for dim, size in enumerate(slot.shape):
        boxes = [(*box, span) for box in boxes for span in spans.get(dim, ((0, size),))]
    return boxes


@given(st.tuples(*(st.integers(1, most) for most in (60, 12, 4, 3, 4))), st.sampled_from([False, True]))
def test_an_even_cut_covers_each_element_once(numbers: tuple[int, ...], ragged: object) -> None:
    units, pieces, step, parts, replicas = numbers
    cut = Cut(
        dim=0,
        size=units * step * parts,
        ways=pieces * replicas,
        step=step,
        parts=parts,
        replicas=replicas,
        ragged=bool(ragged),
    )
    held: list[int] = []
    for rank in range(0, cut.ways, replicas):
        mine = [at for start, stop in cut.at(rank) for at in range(start, stop)]
        assert all(cut.at(rank + other) == cut.at(rank) for other in range(replicas))
        held += mine
    assert len(held) == len(set(held))
    assert (set(held) == set(range(cut.size))) == (not gaps(cut))
    assert overlaps(cut) == ()
    if cut.even:
        assert gaps(cut) == ()
        assert [*wrong(cut, cut.ways)] == []


def test_spans_that_are_wrong() -> None:
    def of(*spans: tuple[int, int], size: int = 10) -> list[str]:
        return [*wrong(Cut(dim=0, size=size, ways=len(spans), spans=spans), 2)]

    assert of((0, 5), (5, 10)) == []
    assert of((0, 4), (5, 9)) == ["elements [4, 5), [9, 10) of 10 are on no rank"]
    assert of((0, 6), (5, 10)) == ["elements [5, 6) of 10 are on two ranks"]
    assert of((0, 5), (5, 12)) == ["elements [10, 12) of 10 are beyond the 10 that there are"]
    assert of((0, 10)) == ["1 slices are given for 2 ranks"]


def test_a_thousand_ranks_are_no_more_work_than_eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is counted is how often a cut, a stage or an expert is worked out, not how long it takes."""
    asked: list[int] = []
    plain = Spread.shares

    def counting(self: Spread, slot: Any) -> Any:
        asked.append(1)
        return plain(self, slot)

    monkeypatch.setattr(Spread, "shares", counting)
    slices: list[int] = []
    monkeypatch.setattr(Cut, "at", lambda *_: slices.append(1))
    table = config("toy_deepseek_v3") | {
        "num_attention_heads": 128,
        "intermediate_size": 2048,
        "moe_intermediate_size": 512,
        "vocab_size": 8192,
        "num_hidden_layers": 8,
    }
    work = []
    for plan in (Plan(tp=8), Plan(tp=128, pp=8), Plan(tp=16, pp=8, dp=8)):
        asked.clear()
        assert gather(Spread(plan, expected_of("deepseek_v3", table))) == ()
        work.append(len(asked))
    assert work[0] == work[1] == work[2]
    assert slices == []


def of_plan(plan: Plan, arch: str, name: str, **sizes: Any) -> Spread:
    return Spread(plan, expected_of(arch, config(name) | sizes))


def cut_dims(spread: Spread) -> dict[str, int | None]:
    """Return the dimension that each module is cut along."""
    cuts = {slot.pattern: [it.cut for it in spread.shares(slot) if it.cut] for slot in spread.expected.slots}
    return {
        pattern.partition("{layer}.")[2] or pattern: each[0].dim if each else None
        for pattern, each in cuts.items()
    }


def test_a_plan_of_transformers_cuts_what_it_names_and_no_more(tmp_path: Path) -> None:
    """The plan of LlamaConfig in transformers 4.57: matrices of the layers, nothing else."""
    words = dict.fromkeys(
        ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj"),
        "colwise",
    )
    words |= dict.fromkeys(("self_attn.o_proj", "mlp.down_proj"), "rowwise")
    table = {"tp": 2, "base_model_tp_plan": {f"layers.*.{module}": word for module, word in words.items()}}
    (tmp_path / "plan.json").write_text(json.dumps(table))
    spread = of_plan(plan_file.read(str(tmp_path / "plan.json")), "llama", "toy_llama")
    assert gather(spread) == ()
    dims = cut_dims(spread)
    assert {name.removesuffix(".weight") for name, dim in dims.items() if dim == 0} == {
        module for module, word in words.items() if word == "colwise"
    }
    assert {name.removesuffix(".weight") for name, dim in dims.items() if dim == 1} == {
        module for module, word in words.items() if word == "rowwise"
    }


@pytest.mark.parametrize(
    ("cuts", "says"),
    [
        ({"mlp.down_proj": {"dim": 3}}, ["mlp.down_proj: the plan cuts dimension 3 of [32, 48]"]),
        (
            {"mlp.down": "rowwise"},
            ["the plan cuts mlp.down, which names no module: it stays whole on every rank"],
        ),
        (
            {"mlp.down_proj": {"dim": 1, "spans": [[0, 16], [16, 32], [32, 48]]}},
            ["intermediate_size: 3 slices are given for 2 ranks"],
        ),
        ({"mlp.down_proj": {"dim": 1, "parts": 5}}, ["intermediate_size: 48 has no 5 equal parts"]),
        ({"mlp.down_proj": "packed_rowwise"}, []),
    ],
)
def test_cuts_of_a_plan_file(tmp_path: Path, cuts: dict[str, Any], says: list[str]) -> None:
    (tmp_path / "plan.json").write_text(json.dumps({"tp": 2, "cuts": cuts}))
    spread = of_plan(plan_file.read(str(tmp_path / "plan.json")), "llama", "toy_llama")
    assert [refusal.line for refusal in gather(spread)] == says


def test_parts_are_cut_each_for_itself() -> None:
    cut = Cut(dim=0, size=16, ways=4, parts=2)
    assert cut.at(1) == ((2, 4), (10, 12))


@pytest.mark.parametrize(
    ("loader", "arch", "largest", "quantised"),
    [
        ("deepseek_native", "deepseek_v3", 16, True),
        ("deepseek_native", "deepseek_v3", 128, False),
        ("deepseek_native", "deepseek_v2", 16, False),
        ("sglang", "deepseek_v3", 16, True),
        ("sglang", "deepseek_v3", 128, False),
        ("sglang", "deepseek_v2", 16, False),
        ("vllm@0.8.4", "deepseek_v3", 16, True),
    ],
)
def test_the_largest_tp_of_published_models(loader: str, arch: str, largest: int, *, quantised: bool) -> None:
    """Worked out by hand from the rules of each framework, powers of two only; the V2 here is V2-Lite."""
    table = json.loads((schema.folder() / "configs" / f"{arch}.json").read_text())
    if not quantised:
        table.pop("quantization_config", None)
    expected = expected_of(arch, table)
    good = [
        tp for tp in (1 << n for n in range(9)) if not gather(Spread(Plan(tp=tp), expected, release(loader)))
    ]
    assert good == [1 << n for n in range(largest.bit_length())]
