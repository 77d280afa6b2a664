"""What SGLang's own weight loaders did, rank by rank, against what its contract says that they do.

The real load functions were run dry (`shared/tools/sglang_dry_run.py`): what each tensor filled, what was skipped, raised
and warned of, which parameters stayed unwritten and which elements were set to zero. Every field of a row is compared
but the place in SGLang's source and the time it took.

A part of the rows is run; `WEIGHTLINT_TRUTH=all` runs every one.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from weightlint import schema as schemas
from weightlint.config import read as read_config
from weightlint.expansion import expand
from weightlint.index import Header, Index, Kind
from weightlint.loader import release
from weightlint.loading.contract import load as read_contract
from weightlint.loading.groups import grouped
from weightlint.loading.load import load
from weightlint.loading.model import TORCH
from weightlint.loading.outcome import Failure, Fill, Skip
from weightlint.loading.reading import as_taken, read
from weightlint.loading.site import placed, site_of
from weightlint.loading.steps import Tensor
from weightlint.loading.survey import Surveyor
from weightlint.plan import Plan, Rank
from weightlint.spread import Spread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.loading.family import Family
    from weightlint.loading.load import Load
    from weightlint.loading.model import Model
    from weightlint.loading.site import Site

SHARED = Path(__file__).parents[1].parent / "shared"
TOOL, DATA = SHARED / "tools" / "vllm_dry_run.py", SHARED / "data" / "sglang"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="what SGLang's loaders did is not here")

FILES = sorted(path.name for path in DATA.glob("*.json") if not path.name.startswith("megatron"))
EVERY = 1 if os.environ.get("WEIGHTLINT_TRUTH") else 17
"""Of so many rows one is compared."""

ON_META = {
    # `.item()` of a tensor without data raises; with data the scale is copied
    "extra_k_scale": "Tensor.item() cannot be called on meta tensors",
    # `torch.cat` says it in other words where there are data
    "transposed_kv_a": "Expected 256 in dimension 1 but got 96 for tensor number 1 in the list",
}
"""Cases in which the dry run, on tensors without data, met what no user meets, with words of its exception."""

Keys = dict[str, tuple[list[int], str]]
Row = dict[str, Any]
Model_ = tuple[str, dict[str, Any], Keys, list[Row], dict[str, Any]]


@cache
def tool() -> Any:
    """Import the tool that knows how published checkpoints name their tensors."""
    spec = importlib.util.spec_from_file_location("vllm_dry_run", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cases(file: str) -> Iterator[Model_]:
    """Yield the models of a file: a name, config, tensors and rows."""
    recorded = json.loads((DATA / file).read_text())
    config, keys = recorded["config"], recorded.get("keys")
    if keys == 1:  # what can be built: one tensor is enough
        keys = {"model.norm.weight": ([config["hidden_size"]], "BF16")}
    if not isinstance(keys, dict):
        keys = tool().gen_keys(config)
    if "ranks" in recorded:
        yield "", config, keys, recorded["ranks"], recorded
    for name, case in recorded.get("cases", {}).items():
        changed, tensors = tool().mutate(config, keys, case["case"])
        yield name, changed, tensors, case["ranks"], recorded


@cache
def contract() -> Any:
    return read_contract(schemas.folder() / "contracts" / "sglang.toml")


@cache
def opened(config: str, version: str, *, expert_parallel: bool) -> tuple[Model, Family]:
    """Find the contract's family of a config, and what that makes of it."""
    parsed = read_config(config.encode())
    schema = schemas.load(schemas.detect(parsed) or "")
    family = contract().family(schema.name, version, expert_parallel=expert_parallel)
    assert family is not None
    return read(expand(schema, as_taken(parsed, family)), parsed, family), family


def place(model: Model, family: Family, row: Row, version: str) -> Site:
    """Find where the rank of a row stands."""
    plan = Plan(tp=row["tp"], pp=row["pp"], ep=max(row["ep"], 1))
    spread = Spread(plan, model.expected, release(f"sglang@{version}"))
    return placed(site_of(spread, Rank(row["tp_rank"], row["pp_rank"])), model, family)


def differences(ours: Load, row: Row, names: list[str]) -> Iterator[object]:
    """Yield what differs from a row."""
    if "build_error" in row or ours.built.error:
        error = ours.built.error
        yield from same("build", error and [error.kind, error.text], row.get("build_error", [None])[:2])
        return
    params = {it.name: [list(it.shape), it.dtype] for it in ours.built.params.values()}
    if "params" in row:
        yield from same("params", params, row["params"])
        yield from same("fill", [filled(ours, row, name) for name in names], row["fill"])
    else:
        kinds = Counter(type(it) for it in ours.outcomes.values())
        counts = [len(params), kinds[Fill], kinds[Skip], kinds[Failure]]
        yield from same(
            "counts", counts, [row[f"n_{it}"] for it in ("params", "filled", "skipped", "errors")]
        )
    yield from errors(ours, row)
    partly = {name: list(sizes) for name, sizes in ours.partly_written.items()}
    yield from listed("never written", dict.fromkeys(sorted(ours.never_written)), row, "never_written")
    yield from listed("partly written", partly, row, "partly_written")
    yield from zeros(ours, row)
    warned = Counter(it.warns for it in ours.outcomes.values() if isinstance(it, Skip) and it.warns)
    if len(row["warnings"]) < 8:
        yield from same("warnings", dict(warned), row["warnings"])
    for name, ((index, start, _, shape, _), *_) in row.get("slices", {}).items():
        fill = ours.outcomes[name]
        assert isinstance(fill, Fill)
        got = [fill.param, list(fill.start), list(fill.shape)]
        yield from same(name, got, [list(row["params"])[index], start, shape])


def filled(ours: Load, row: Row, name: str) -> int:
    """Write an outcome as a row has it."""
    match ours.outcomes[name]:
        case Fill(param=param):
            return list(row["params"]).index(param)
        case Failure():
            return -2
    return -1


def errors(ours: Load, row: Row) -> Iterator[object]:
    found = {name: [it.kind, it.text] for name, it in ours.errors.items()}
    theirs = {name: [kind, text] for name, (kind, text, _) in row["errors"].items()}
    is_short = len(theirs) < row.get("n_errors", 0)
    yield from same("errors", {name: found.get(name) for name in theirs} if is_short else found, theirs)
    yield from same("first error", next(iter(found), None), row.get("first_error"))


def listed(what: str, found: dict[str, Any], row: Row, key: str) -> Iterator[object]:
    """Compare names of which a row may have the first ones and a number."""
    theirs = row[key] if isinstance(row[key], dict) else dict.fromkeys(row[key])
    yield from same(f"number {what}", len(found), row.get(f"n_{key}", len(theirs)))
    yield from same(what, {name: found.get(name, "missing") for name in theirs}, theirs)


def zeros(ours: Load, row: Row) -> Iterator[object]:
    """Compare elements set to zero, but where the recorder has none: slices that lie beyond the tensor's end."""
    beyond = {it.param for it in ours.outcomes.values() if isinstance(it, Fill) and 0 in it.shape}
    found = {name: count for name, count in ours.zeroed.items() if name not in beyond}
    theirs = {
        name: count for name, count in row.get("zero_filled", {}).items() if count and name not in beyond
    }
    yield from same("zeros", found, theirs)


def same(what: str, ours: object, theirs: object) -> Iterator[object]:
    if ours != theirs and not (what == "build" and theirs == [None] and ours is None):
        yield what, ours, theirs


def rows(file: str) -> Iterator[tuple[str, Model, Family, list[Tensor], Row, Site]]:
    """Yield the rows that are compared."""
    count = 0
    for name, config, keys, ranks, recorded in cases(file):
        tensors = [Tensor(it, tuple(shape), TORCH.get(dtype, dtype)) for it, (shape, dtype) in keys.items()]
        for row in ranks:
            count += 1
            if count % EVERY == 1 % EVERY and name not in ON_META:
                version = recorded["sglang"]
                model, family = opened(json.dumps(config), version, expert_parallel=row["ep"] > 1)
                yield name, model, family, tensors, row, place(model, family, row, version)


@pytest.mark.parametrize("file", FILES)
def test_ranks_fare_as_in_sglang(file: str) -> None:
    wrong = []
    for name, model, family, tensors, row, site in rows(file):
        ours = load(model, family, site, tensors)
        found = list(differences(ours, row, [it.name for it in tensors]))
        rank = {key: row[key] for key in ("tp", "pp", "ep", "tp_rank", "pp_rank")}
        wrong += [f"{name} {rank}: {it}"[:1000] for it in found]
    assert wrong[:5] == []


@pytest.mark.parametrize("case", ON_META)
def test_cases_that_differ_do_so_because_tensors_had_no_data(case: str) -> None:
    recorded = json.loads((DATA / "cases_dsv3_fp8_v0523.json").read_text())
    texts = [text for row in recorded["cases"][case]["ranks"] for _, text, _ in row["errors"].values()]
    assert texts
    assert all(ON_META[case] in text for text in texts)


@pytest.mark.parametrize("file", [it for it in FILES if not it.startswith("ok")])
def test_a_survey_by_groups_says_the_same(file: str) -> None:
    dtypes = {torch: dtype for dtype, torch in TORCH.items()}
    for name, model, family, tensors, row, site in rows(file):
        whole = load(model, family, site, tensors)
        if whole.errors or whole.built.error:
            continue  # what comes after the first failure is another question
        kinds = [Kind(dtypes[it.dtype], it.shape) for it in tensors]
        same_kinds = {kind: kind for kind in kinds}
        none = [0] * len(kinds)
        index = Index()
        index.add(
            "a.safetensors", Header([it.name for it in tensors], [same_kinds[k] for k in kinds], none, none)
        )
        survey = Surveyor(model, family, grouped(index)).survey(site)
        lacking = {it: (0, whole.built.params[it].elements) for it in whole.uninitialised}
        assert survey.lacking == whole.partly_written | lacking, (name, row["tp"], row["pp"], row["ep"])
        fates = {
            alike.group.name(coord): type(alike.outcome) for alike in survey.parts for coord in alike.coords
        }
        assert fates == {it: type(outcome) for it, outcome in whole.outcomes.items()}
