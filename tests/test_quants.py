"""Each scheme of `quants/`: a sound checkpoint is silent, one part dropped, misshapen, of another type or misdeclared is told once.

`quants/NAME.toml` has a config and table of each scheme, `wrong` changes of the table that contradict the tensors, and `excluded` a change
that leaves `model.layers.1.self_attn.o_proj` plain. Where `free` is true the scheme's loader takes any weight plain or quantised; where
tensors cannot tell a scheme from another, `undeclared` is what they are taken for.
"""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from toy import Tensor, Toy, config, expected_of, toy

from weightlint import check
from weightlint.expected import Presence
from weightlint.form import named

if TYPE_CHECKING:
    from weightlint.expected import Slot
    from weightlint.finding import Finding, Report

FOLDER = Path(__file__).parent / "quants"
NAMES = sorted(path.stem for path in FOLDER.glob("*.toml"))
PROBED = "model.layers.1.self_attn.o_proj.weight"


def asked(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text())


def full_config(name: str, **changes: Any) -> dict[str, Any]:
    said = asked(name)
    table = {**said["table"], **changes}
    return {
        **config(said["config"]),
        **said.get("sizes", {}),
        said.get("field", "quantization_config"): table,
    }


def made(name: str, *, spare: bool = False, **changes: Any) -> Toy:
    """Return the toy of a scheme, with what is `spare` or without."""
    said, whole = asked(name), full_config(name, **changes)
    free = said.get("free", False)
    expected = expected_of(said["arch"], whole, free=free).slots
    idle = {it for slot in expected if slot.of and slot.need is Presence.OPTIONAL for it in slot.names()}
    made_ = toy(said["arch"], whole, shards=2, free=free)
    return made_ if spare else replace(made_, tensors=[t for t in made_.tensors if t.name not in idle])


def judged(toy_: Toy, folder: Path) -> Report:
    return check(str(toy_.write(folder / "ckpt")))


def only(report: Report) -> Finding:
    assert [finding.code for finding in report.findings] == [report.findings[0].code], report.findings
    return report.findings[0]


def parts(name: str) -> list[Slot]:
    """Return the companions of a scheme that must be there."""
    return [slot for slot in slots(name) if slot.of is not None and slot.need is Presence.REQUIRED]


def slots(name: str) -> tuple[Slot, ...]:
    said = asked(name)
    return expected_of(said["arch"], full_config(name), free=said.get("free", False)).slots


def each_end() -> list[Any]:
    """Return every scheme with the end of each companion that must be there."""
    ends = {(name, slot.pattern.rpartition(".")[2]) for name in NAMES for slot in parts(name)}
    return [pytest.param(name, end, id=f"{name}-{end}") for name, end in sorted(ends)]


@pytest.mark.parametrize("name", NAMES)
def test_a_sound_checkpoint_is_silent(name: str, tmp_path: Path) -> None:
    report = judged(made(name), tmp_path)
    assert [(it.code, it.message) for it in report.findings] == []
    assert report.skips == ()
    assert report.facts.checked == report.facts.tensors > 0
    assert report.facts.quant == asked(name).get("name", name)


@pytest.mark.parametrize("name", NAMES)
def test_what_may_stand_beside_is_silent(name: str, tmp_path: Path) -> None:
    report = judged(made(name, spare=True), tmp_path)
    assert [(it.code, it.message) for it in report.findings] == []


@pytest.mark.parametrize(("name", "end"), each_end())
def test_a_dropped_companion(name: str, end: str, tmp_path: Path) -> None:
    whole = made(name)
    hit = [t for t in whole.tensors if t.name.endswith(f".{end}")]
    finding = only(judged(replace(whole, tensors=[t for t in whole.tensors if t not in hit]), tmp_path))
    assert (finding.code, finding.count) == ("WL402", len(hit))


def shaped() -> list[Any]:
    """Return of these the ones whose shape follows from that of the weight."""
    opaque = {slot.pattern.rpartition(".")[2] for name in NAMES for slot in parts(name) if slot.opaque}
    return [it for it in each_end() if it.values[1] not in opaque]


@pytest.mark.parametrize(("name", "end"), shaped())
def test_a_companion_of_another_shape(name: str, end: str, tmp_path: Path) -> None:
    hit = _one(name, end)
    changed = _changed(made(name), hit, shape=(*hit.shape[:-1], (hit.shape or (1,))[-1] + 1))
    finding = only(judged(changed, tmp_path))
    assert (finding.code, finding.place.tensors) == ("WL301", (hit.name,))


@pytest.mark.parametrize(("name", "end"), each_end())
def test_a_companion_of_another_dtype(name: str, end: str, tmp_path: Path) -> None:
    hit = _one(name, end)
    finding = only(judged(_changed(made(name), hit, dtype="F64"), tmp_path))
    assert (finding.code, finding.place.tensors) == ("WL405", (hit.name,))


def _one(name: str, end: str) -> Tensor:
    return next(t for t in made(name).tensors if t.name.endswith(f".{end}"))


def _changed(whole: Toy, hit: Tensor, **changes: Any) -> Toy:
    return replace(
        whole, tensors=[replace(t, **changes) if t is hit or t == hit else t for t in whole.tensors]
    )


@pytest.mark.parametrize(
    ("name", "wrong"),
    [pytest.param(name, it, id=f"{name}-{it}") for name in NAMES for it in asked(name)["wrong"]],
)
def test_another_setting_is_declared(name: str, wrong: dict[str, Any], tmp_path: Path) -> None:
    finding = only(judged(replace(made(name), config=full_config(name, **wrong)), tmp_path))
    assert finding.code == "WL401"
    for key in wrong:
        if asked(name)["table"].get(key) is not None:
            assert f"{key} to " in finding.cure


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_declared(name: str, tmp_path: Path) -> None:
    bare = {
        key: value
        for key, value in full_config(name).items()
        if key != asked(name).get("field", "quantization_config")
    }
    report = judged(replace(made(name), config=bare), tmp_path)
    assert only(report).code == "WL401"
    said = asked(name)
    assert report.facts.quant == f"{said.get('undeclared', said.get('name', name))}, undeclared"


@pytest.mark.parametrize("name", [name for name in NAMES if "excluded" in asked(name)])
def test_excluded_and_quantised_all_the_same(name: str, tmp_path: Path) -> None:
    changed = full_config(name, **asked(name)["excluded"])
    finding = only(judged(replace(made(name), config=changed), tmp_path))
    main = next(t.name for t in made(name).tensors if t.name.startswith(PROBED.removesuffix("weight")))
    assert finding.code == "WL401"
    assert finding.count == 1
    assert finding.place.tensors[0].startswith(main.rpartition(".")[0])


@pytest.mark.parametrize("name", [name for name in NAMES if "excluded" in asked(name)])
def test_excluded_and_plain_is_silent(name: str, tmp_path: Path) -> None:
    report = judged(made(name, **asked(name)["excluded"]), tmp_path)
    assert [(it.code, it.message) for it in report.findings] == []


@pytest.mark.parametrize("name", [name for name in NAMES if "excluded" in asked(name)])
def test_quantised_as_declared_but_one_is_plain(name: str, tmp_path: Path) -> None:
    report = judged(replace(made(name, **asked(name)["excluded"]), config=full_config(name)), tmp_path)
    if asked(name).get("free"):
        assert report.findings == ()
        return
    finding = only(report)
    assert (finding.code, finding.count, finding.place.tensors) == ("WL401", 1, (PROBED,))


@pytest.mark.parametrize("name", NAMES)
def test_a_weight_lost_with_all_its_parts(name: str, tmp_path: Path) -> None:
    whole = made(name)
    stem = PROBED.removesuffix("weight")
    left = [t for t in whole.tensors if not t.name.startswith(stem)]
    finding = only(judged(replace(whole, tensors=left), tmp_path))
    optional = {n for slot in slots(name) if slot.need is Presence.OPTIONAL for n in slot.names()}
    lost = {t.name for t in whole.tensors} - {t.name for t in left} - optional
    assert finding.code == "WL201"
    # how a weight was stored that may be stored in two ways, nobody knows once it is gone
    assert finding.count == (1 if asked(name).get("free") else len(lost))


def test_names_of_parts() -> None:
    assert named("a.q_proj.weight", "qweight") == "a.q_proj.qweight"
    assert named("a.q_proj.weight", "weight_scale") == "a.q_proj.weight_scale"
    assert named("a.experts.gate_up_proj", "weight_scale") == "a.experts.gate_up_proj_scale"
    assert named("a.experts.gate_up_proj", "weight") == "a.experts.gate_up_proj"


@pytest.mark.parametrize("loader", ["vllm@0.33.0", "sglang@0.5.23", "transformers"])
@pytest.mark.parametrize("name", NAMES)
def test_no_scheme_breaks_a_loader(name: str, loader: str, tmp_path: Path) -> None:
    """Where the engine of a loader does not follow a scheme, that is said and nothing is guessed."""
    report = check(str(made(name).write(tmp_path / "ckpt")), loader=loader, plan="tp=1")
    assert {it.code for it in report.findings} <= {"WL403", "WL502", "WL601", "WL602"}
    followed = asked(name).get("name", name) == "fp8_block" and name != "mxfp8"
    assert followed or "WL602" not in {it.code for it in report.findings}
