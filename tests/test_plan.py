"""Plans as people write them, as files, as layouts of Megatron-LM and as dictionaries of transformers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from weightlint import megatron_layout, plan_file, plan_text
from weightlint.errors import UsageError
from weightlint.names import expand
from weightlint.plan import Plan, Rank, Stage, rank_patterns

if TYPE_CHECKING:
    from pathlib import Path


def test_text() -> None:
    assert plan_text.read("tp=8, pp=3,ep=8") == Plan(tp=8, pp=3, ep=8)
    assert plan_text.read("dp=2 tp=4") == Plan(tp=4, dp=2)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tp=0", "tp=0: not a whole number from 1"),
        ("tp", "tp=: not a whole number"),
        ("tpp=2", "no degree 'tpp' \\(nearest: tp, pp"),
        ("tp=2,tp=2", "tp stands twice"),
        ("tp=1000000,pp=2", "2,000,000 ranks"),
        ("tp=²", "not a whole number"),
    ],
)
def test_text_that_is_none(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        plan_text.read(text)


def test_options_together() -> None:
    none = {"tp": None, "pp": None, "ep": None, "dp": None}
    assert plan_text.put_together(None, none, None, None) is None
    assert plan_text.put_together(None, {**none, "tp": 8}, "22,20,19", None) == Plan(
        tp=8, pp=3, pp_layers=(22, 20, 19)
    )
    assert plan_text.put_together("tp=8", {**none, "tp": 8, "pp": 2}, None, None) == Plan(tp=8, pp=2)
    with pytest.raises(UsageError, match="--tp 4 and --plan with tp=8"):
        plan_text.put_together("tp=8", {**none, "tp": 4}, None, None)
    with pytest.raises(UsageError, match="22,20,19"):
        plan_text.put_together(None, none, "22,x", None)


@pytest.mark.parametrize(
    "plan", [Plan(tp=8, pp=3), Plan(tp=1), Plan(tp=2, pp=1, dp=3), Plan(pp=4), Plan(tp=2, pp=2, dp=2)]
)
def test_patterns_are_the_ranks(plan: Plan) -> None:
    names = [str(rank) for rank in plan.ranks()]
    assert sorted(name for pattern in plan.patterns() for name in expand(pattern)) == sorted(names)
    assert sorted(n for pattern in rank_patterns(plan.ranks()) for n in expand(pattern)) == sorted(names)
    last = [str(rank) for rank in plan.ranks() if rank.pp == plan.pp - 1]
    assert sorted(n for it in plan.patterns(stages=[plan.pp - 1]) for n in expand(it)) == sorted(last)


def test_the_rank_of_a_message() -> None:
    assert str(Rank(0, 1)) == "tp0.pp1"
    assert rank_patterns([Rank(tp, pp) for tp in range(8) for pp in range(3)]) == ("tp{0..7}.pp{0..2}",)


@pytest.mark.parametrize(
    ("text", "pp", "stages"),
    [
        (
            "E t*3|t*4|tmL",
            3,
            [
                Stage(layers=(0, 1, 2), embedding=True),
                Stage(layers=(3, 4, 5, 6)),
                Stage(layers=(7,), head=True, mtp=True),
            ],
        ),
        # The docstring of Megatron's parse_str_to_list: xy(ab|cd|ef)*2,pq -> xyab|cd|efab|cd|efpq.
        (
            "E(t|tt)*2,L",
            3,
            [Stage(layers=(0,), embedding=True), Stage(layers=(1, 2, 3)), Stage(layers=(4, 5), head=True)],
        ),
        # Four virtual stages on two ranks: rank 0 holds the first and the third.
        (
            "Et|t|t|tL",
            2,
            [Stage(layers=(0, 2), embedding=True), Stage(layers=(1, 3), head=True)],
        ),
    ],
)
def test_megatron_layouts(text: str, pp: int, stages: list[Stage]) -> None:
    assert megatron_layout.read(text, pp) == tuple(stages)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("t|tL", "must begin with the embedding"),
        ("Et|t", "must end with the loss"),
        ("Et|xL", "has 'x'"),
        ("Em|tL", "after an MTP layer"),
        ("Et|t|tL", "which 2 pipeline ranks cannot share"),
        ("E" + "(((t*99999)*99999)*99999)" + "L", "more than 100,000 layers"),
    ],
)
def test_no_megatron_layout(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        megatron_layout.read(text, 2)


def test_the_published_layout_of_deepseek_v3() -> None:
    """Megatron-Bridge deals 61 layers over 16 ranks as 15 x 4 and 1 with MTP and loss."""
    stages = megatron_layout.read("Et*4|(t*4|)*14tmL", 16)
    assert [len(stage.layers) for stage in stages] == [4] * 15 + [1]
    assert stages[-1] == Stage(layers=(60,), head=True, mtp=True)


def written(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_a_file_that_says_everything(tmp_path: Path) -> None:
    text = """
tp = 2
dp = 1
[pipeline]
stages = [{ layers = [[0, 3]] }, { layers = [[3, 5]], mtp = true }]
[experts]
redundant = 2
ranks = [[0, 1, 2], [3, 4, 5]]
[cuts]
"layers.*.mlp.down_proj" = "rowwise"
"embed_tokens" = { dim = 0, spans = [[0, 10], [10, 16]] }
"""
    plan = plan_file.read(written(tmp_path, "plan.toml", text))
    assert (plan.tp, plan.pp, plan.ep, plan.redundant) == (2, 2, 2, 2)
    assert plan.stages == (
        Stage(layers=(0, 1, 2), embedding=True),
        Stage(layers=(3, 4), head=True, mtp=True),
    )
    assert plan.experts == ((0, 1, 2), (3, 4, 5))
    down, embedding = plan.assigned
    assert (down.dim, down.word) == (-1, "rowwise")
    assert embedding.spans == ((0, 10), (10, 16))
    assert plan.table() == {"tp": 2, "pp": 2, "ep": 2, "pp_layers": [3, 2], "redundant": 2}


def test_plans_of_transformers(tmp_path: Path) -> None:
    table = {
        "model_type": "x",
        "hidden_size": 8,
        "base_model_tp_plan": {"layers.*.self_attn.q_proj": "colwise", "norm": "sequence_parallel"},
        "base_model_ep_plan": {"layers.*.mlp.experts.gate_up_proj": "grouped_gemm"},
    }
    plan = plan_file.read(written(tmp_path, "config.json", json.dumps(table)))
    assert [(it.pattern, it.dim, it.experts) for it in plan.assigned] == [
        ("model.layers.*.self_attn.q_proj", -2, False),
        ("model.norm", None, False),
        ("model.layers.*.mlp.experts.gate_up_proj", 0, True),
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"tp": 0}', "tp: 0 is less than the minimum"),
        ('{"tpp": 2}', "'tpp' was unexpected"),
        ('{"cuts": {"x": "colwize"}}', "no cut 'colwize' \\(nearest: colwise"),
        ('{"pipeline": {"layout": "EtL"}}', "a layout needs pp"),
        ('{"tp": ', "plan file"),
    ],
)
def test_files_that_are_no_plan(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        plan_file.read(written(tmp_path, "plan.json", text))
    with pytest.raises(UsageError, match="plan file"):
        plan_file.read(str(tmp_path / "none.toml"))
