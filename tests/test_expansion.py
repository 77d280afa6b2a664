"""Schema x config: the constructs that other architectures need, each on a schema of a few lines."""

from __future__ import annotations

import importlib
import json
import tomllib
from typing import Any

import pytest

from weightlint import schema as schemas
from weightlint import schema_table
from weightlint.config import BadFieldError, Config, MissingFieldError
from weightlint.errors import SchemaError
from weightlint.expansion import expand
from weightlint.expected import Presence
from weightlint.index import UNKNOWN, Header, Index, Kind
from weightlint.join import join
from weightlint.shrink import shrink

Names = dict[str, tuple[int, ...]]


def run(text: str, **config: Any) -> Names:
    schema = schema_table.parse(tomllib.loads(f'name = "toy"\n{text}'), "toy.toml")
    slots = expand(schema, Config(config)).slots
    return {name: slot.shape for slot in slots if slot.need is Presence.REQUIRED for name in slot.names()}


def block(prefix: str, *lines: str, extra: str = "") -> str:
    body = ",\n".join(f'{{ kind = "linear", {line} }}' for line in lines)
    return f'[[block]]\nprefix = "{prefix}"\n{extra}\ntensors = [\n{body}\n]\n'


LAYERS = '[axes]\nlayer = "range(n)"\n'


def test_list_indexed_by_layer_with_its_default_by_a_rule() -> None:
    text = (
        "[config]\nkinds = { type = 'list', each = \"'full' if (layer + 1) % every == 0 else 'linear'\" }\n"
        + LAYERS
        + "full = { of = 'layer', where = \"kinds[layer] == 'full'\" }\n"
        + "linear = { of = 'layer', where = \"kinds[layer] == 'linear'\" }\n"
        + block("l.{full}.", 'name = "q", shape = [1]')
        + block("l.{linear}.", 'name = "conv", shape = [4, 1, 2]')
    )
    by_rule = {"l.0.conv": (4, 1, 2), "l.1.q": (1,), "l.2.conv": (4, 1, 2), "l.3.q": (1,)}
    assert run(text, n=4, every=2) == by_rule
    assert run(text, n=2, every=2, kinds=["full", "full"]) == {"l.0.q": (1,), "l.1.q": (1,)}


def test_two_shapes_under_one_name_over_disjoint_layers() -> None:
    # gemma4: full and sliding attention, none where key and value are shared with an earlier layer
    own = "layer < n - shared"
    text = (
        LAYERS
        + f"full = {{ of = 'layer', where = \"kinds[layer] == 'full' and {own}\" }}\n"
        + f"sliding = {{ of = 'layer', where = \"kinds[layer] == 'sliding' and {own}\" }}\n"
        + block("l.{full}.", 'name = "k_norm", shape = ["wide"]')
        + block("l.{sliding}.", 'name = "k_norm", shape = ["narrow"]')
        + block("l.{layer}.", 'name = "up", shape = ["size if layer < n - shared else 2 * size"]')
    )
    found = run(text, n=4, shared=1, kinds=["full", "sliding", "full", "full"], wide=8, narrow=4, size=3)
    assert {name: shape for name, shape in found.items() if "k_norm" in name} == {
        "l.0.k_norm": (8,),
        "l.1.k_norm": (4,),
        "l.2.k_norm": (8,),
    }
    assert [found[f"l.{layer}.up"] for layer in range(4)] == [(3,), (3,), (3,), (6,)]


def test_experts_of_two_shapes_by_list_elements() -> None:
    # ernie4_5_vl: text experts first, then vision experts
    text = (
        LAYERS
        + 'expert = "range(counts[0] + counts[1])"\n'
        + block("l.{layer}.e.{expert}.", 'name = "up", shape = ["sizes[0]"], where = "expert < counts[0]"',
                'name = "up", shape = ["sizes[1]"], where = "expert >= counts[0]"')
    )  # fmt: skip
    found = run(text, n=1, counts=[2, 1], sizes=[6, 3])
    assert found == {"l.0.e.0.up": (6,), "l.0.e.1.up": (6,), "l.0.e.2.up": (3,)}


def test_shape_by_list_element_of_the_layer() -> None:
    # laguna: query heads per layer
    text = LAYERS + block("l.{layer}.", 'name = "q", shape = ["heads[layer] * 4", "width"]')
    assert run(text, n=2, heads=[2, 3], width=5) == {"l.0.q": (8, 5), "l.1.q": (12, 5)}


def test_modulo_axes() -> None:
    # jamba
    text = (
        LAYERS
        + 'attn = { of = "layer", where = "layer % period == offset" }\n'
        + 'mamba = { of = "layer", where = "layer % period != offset" }\n'
        + 'moe = { of = "layer", where = "experts > 1 and layer % 2 == 1" }\n'
        + 'expert = "range(experts)"\n'
        + block("l.{attn}.", 'name = "q", shape = [1]')
        + block("l.{mamba}.", 'name = "a", shape = [2]')
        + block("l.{moe}.e.{expert}.", 'name = "up", shape = [3]')
    )
    names = run(text, n=4, period=4, offset=1, experts=2)
    assert {*names} == {
        "l.0.a",
        "l.1.q",
        "l.2.a",
        "l.3.a",
        "l.1.e.0.up",
        "l.1.e.1.up",
        "l.3.e.0.up",
        "l.3.e.1.up",
    }
    assert not [name for name in run(text, n=4, period=4, offset=1, experts=1) if ".e." in name]


def test_axis_inside_a_segment_and_literal_numbers() -> None:
    # nllb_moe `expert_3`; Sequential `proj.0`
    text = (
        LAYERS
        + 'expert = "range(2)"\n'
        + block("l.{layer}.", 'name = "e.expert_{expert}.proj.0", shape = [1]')
    )
    assert [*run(text, n=1)] == ["l.0.e.expert_0.proj.0", "l.0.e.expert_1.proj.0"]


def test_axes_from_a_list_and_ordinals_of_a_kind() -> None:
    # llama4 moe_layers; zamba: the n-th hybrid layer has its own width
    text = (
        LAYERS
        + 'moe = "moe_layers"\n'
        + 'hybrid = { of = "layer", where = "pattern[layer] == \'*\'" }\n'
        + block("l.{moe}.", 'name = "r", shape = [1]')
        + block("l.{hybrid}.", 'name = "h", shape = ["1 + index_of(pattern, \'*\', hybrid)"]')
    )
    found = run(text, n=4, moe_layers=[3, 1], pattern="*M-*")
    assert found == {"l.1.r": (1,), "l.3.r": (1,), "l.0.h": (1,), "l.3.h": (2,)}


def test_subset_of_a_subset_reads_either_name() -> None:
    text = (
        LAYERS
        + 'late = { of = "layer", where = "layer > 0" }\n'
        + (
            'odd = { of = "late", where = "layer % 2 == 1 and late < 4" }\n'
            + block("l.{odd}.", 'name = "w", shape = [1]')
        )
    )
    assert [*run(text, n=7)] == ["l.1.w", "l.3.w"]


def test_nested_config_dotted_names_and_aliases() -> None:
    text = (
        'scope = "text_config"\n'
        "[config]\nwidth = { type = 'int', aliases = ['d_model', 'attn.width'] }\n"
        + block("", 'name = "a", shape = ["width", "vision_config.width", "vocab"]')
    )
    nested = {"text_config": {"d_model": 3, "vocab": 7}, "vision_config": {"width": 5}, "vocab": 9}
    assert run(text, **nested) == {"a": (3, 5, 7)}
    assert run(text, attn={"width": 4}, vision_config={"width": 5}, vocab=9) == {"a": (4, 5, 9)}


def test_over_fills_the_first_placeholder_from_several_axes() -> None:
    text = (
        LAYERS
        + 'mtp = "range(n, n + k)"\n'
        + block("l.{layer}.", 'name = "w.{part}", shape = [1]', extra='over = ["layer", "mtp"]')
        + block("x.{block}.", 'name = "v", shape = [1]', extra='over = ["mtp"]')
    ).replace("[[block]]", 'part = "range(2)"\n[[block]]', 1)
    assert [*run(text, n=1, k=1)] == ["l.0.w.0", "l.0.w.1", "l.1.w.0", "l.1.w.1", "x.1.v"]


@pytest.mark.parametrize(
    ("text", "config", "error", "says"),
    [
        (LAYERS + block("l.{layer}.", 'name = "w", shape = [1]'), {"n": 10**9}, BadFieldError, "n gives 1,000,000,000 of layer"),
        (LAYERS + block("l.{layer}.", 'name = "w", shape = [1]'), {"n": 10**300}, BadFieldError, "which no model has"),
        ('[axes]\ne = "range(n * n * n * n)"\n' + block("{e}.", 'name = "w", shape = [1]'), {"n": 10**9}, BadFieldError, "the limit is 100,000"),
        ('[axes]\na = "range(n)"\nb = "range(n)"\n' + block("{a}.{b}.", 'name = "w", shape = [1]'), {"n": 9000}, BadFieldError, "81,000,000 tensors"),
        ('[axes]\na = "range(n)"\nb = "range(n)"\n' + block("{a}.{b}.", 'name = "w", shape = ["a + b + 1"]'), {"n": 9000}, BadFieldError, "too many"),
        ('[axes]\na = "range(1, 2, 3)"\n' + block("{a}.", 'name = "w", shape = [1]'), {}, SchemaError, "one end or two"),
        ('[axes]\na = { of = "b", where = "1" }\nb = { of = "a", where = "1" }\n' + block("{a}.", 'name = "w", shape = [1]'), {}, SchemaError, "defined by itself"),
        ('[let]\nx = "y + 1"\ny = "x"\n' + block("", 'name = "w", shape = ["x"]'), {}, SchemaError, "defined by itself"),
        (LAYERS + block("l.", 'name = "w", shape = ["layer"]'), {"n": 2}, SchemaError, "axis layer has no value"),
        (LAYERS + block("l.{layer}.", 'name = "{layer}", shape = [1]'), {"n": 2}, SchemaError, "stands twice"),
        (block("l.{nope}.", 'name = "w", shape = [1]'), {}, SchemaError, "no axis named 'nope'"),
        (block("", 'name = "w", shape = ["d"]', 'name = "w", shape = [3]'), {"d": 4}, SchemaError, "given twice"),
        (block("", 'name = "w", shape = ["d"]'), {}, MissingFieldError, "d is not in the config"),
        (block("", 'name = "w", shape = ["d"]'), {"d": None}, BadFieldError, "d makes w d = null wide"),
        (block("", 'name = "w", shape = ["d - 4"]'), {"d": 4}, BadFieldError, "= 0 wide"),
        ('[axes]\na = "moe"\n' + block("{a}.", 'name = "w", shape = [1]'), {"moe": 3}, BadFieldError, "list of whole numbers"),
    ],
)  # fmt: skip
def test_what_cannot_be_expanded(
    text: str, config: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        run(text, **config)


@pytest.mark.parametrize(
    "code", ["d.__class__", "(lambda: d)()", "[d for d in d]", "10**9", "__import__('os').getcwd()"]
)
def test_hostile_expressions_are_refused(code: str) -> None:
    with pytest.raises(SchemaError):
        run(block("", f'name = "w", shape = ["{code}"]'), d=4)


FULL = {
    # DeepSeek-V2's config: 60 layers, 160 experts, queries compressed
    "deepseek_v2": (
        {"num_hidden_layers": 60, "hidden_size": 5120, "intermediate_size": 12288, "moe_intermediate_size": 1536,
         "num_attention_heads": 128, "n_routed_experts": 160, "q_lora_rank": 1536},
        29_102,
    ),
    "deepseek_v3": ({}, 46_183),
}  # fmt: skip


@pytest.mark.parametrize("arch", FULL)
def test_published_counts(arch: str) -> None:
    changes, count = FULL[arch]
    config = json.loads((schemas.folder() / "configs" / f"{arch}.json").read_text())
    expected = expand(schemas.load(arch), Config({**config, **changes}))
    wanted = {Presence.REQUIRED, Presence.OPTIONAL}
    assert sum(slot.count for slot in expected.slots if slot.need in wanted) == count


def test_v2_lite_has_its_5291_tensors() -> None:
    config = json.loads((schemas.folder() / "configs" / "deepseek_v2.json").read_text())
    assert expand(schemas.load("deepseek_v2"), Config(config)).count == 5_291


def test_fused_and_plain_experts_may_stand_in_different_layers() -> None:
    config = {"n": 2, "experts": 2}
    text = LAYERS + 'expert = "range(experts)"\n' + block("l.{layer}.", 'name = "e.{expert}.up", shape = [4]')
    text += '[[layout]]\nname = "fused"\nprefix = "l.{layer}."\ndrop = ["e.{expert}.up"]\n'
    text += 'tensors = [{ name = "e.up", kind = "expert", shape = ["experts", 4] }]\n'
    expected = expand(schema_table.parse(tomllib.loads(f'name = "toy"\n{text}'), "toy.toml"), Config(config))
    held = {"l.0.e.0.up": (4,), "l.0.e.1.up": (4,), "l.1.e.up": (2, 4)}
    index = Index()
    index.add("a", Header([*held], [Kind("BF16", shape) for shape in held.values()], [0] * 3, [0] * 3))
    joined = join(index, expected)
    assert (joined.unmet, joined.extra, joined.misfits, joined.checked) == (0, {}, {}, 3)


def test_companions_of_fused_experts_replace_those_of_plain_ones() -> None:
    quant = importlib.import_module("weightlint.quants.fp8_block").QUANT
    config = Config(shrink(json.loads((schemas.folder() / "configs" / "deepseek_v3.json").read_text())))
    assert config.quantization is not None
    expected = quant.rewrite(expand(schemas.load("deepseek_v3"), config), config.quantization)
    (layout,) = expected.layouts
    dropped = {*layout.dropped, *(slot.pattern for slot in expected.slots if slot.of in layout.dropped)}
    held = [name for slot in expected.slots if slot.pattern not in dropped for name in slot.names()]
    fused = [name for slot in layout.slots for name in slot.names()]
    assert f"model.layers.{config.data['num_hidden_layers'] - 1}.mlp.experts.gate_up_proj_scale_inv" in fused
    index = Index()
    index.add(
        "a",
        Header(
            [*held, *fused], [UNKNOWN] * len(held + fused), [0] * len(held + fused), [0] * len(held + fused)
        ),
    )
    joined = join(index, expected)
    assert (joined.missing, joined.extra) == ({}, {})
