"""What vLLM's own weight loaders did, rank by rank, against what its contract says that they do.

The real load functions were run dry (`shared/tools/vllm_dry_run.py`): what each tensor filled, what was skipped, what was
raised, and which parameters stayed unwritten. Every field of a row is compared but the place in vLLM's source and the
time it took.

A part of the rows is run; `WEIGHTLINT_TRUTH=all` runs every one.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from weightlint import schema as schemas
from weightlint.config import read as read_config
from weightlint.expansion import expand
from weightlint.loader import release
from weightlint.loading.contract import load as read_contract
from weightlint.loading.load import load
from weightlint.loading.model import TORCH
from weightlint.loading.outcome import Failure, Skip, written
from weightlint.loading.reading import read
from weightlint.loading.site import site_of
from weightlint.loading.steps import Tensor
from weightlint.loading.table import AFTER
from weightlint.plan import Plan, Rank
from weightlint.spread import Spread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.loading.family import Family
    from weightlint.loading.load import Load
    from weightlint.loading.model import Model

SHARED = Path(__file__).parents[1].parent / "shared"
TOOL, DATA = SHARED / "tools" / "vllm_dry_run.py", SHARED / "data" / "vllm"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="what vLLM's loaders did is not here")

FILES = sorted(
    path.name
    for path in DATA.glob("*.json")
    if path.name.startswith(("bug", "cases", "grid", "mtp", "ok", "slices"))
)
EVERY = 1 if os.environ.get("WEIGHTLINT_TRUTH") else 17
"""Of so many rows one is compared."""

Keys = dict[str, tuple[list[int], str]]
Row = dict[str, Any]


@cache
def tool() -> Any:
    """Import the tool, which knows how published checkpoints name their tensors."""
    spec = importlib.util.spec_from_file_location("vllm_dry_run", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cases(file: str) -> Iterator[tuple[str, dict[str, Any], Keys, list[Row], dict[str, Any]]]:
    """Yield the models of a file: a name, config, tensors and rows."""
    recorded = json.loads((DATA / file).read_text())
    keys = recorded.get("keys")
    if not isinstance(keys, dict):
        keys = tool().gen_keys(recorded["config"])
    if "ranks" in recorded:
        yield "", recorded["config"], keys, recorded["ranks"], recorded
    for name, case in recorded.get("cases", {}).items():
        config, changed = tool().mutate(recorded["config"], keys, case["case"])
        yield name, config, changed, case["ranks"], recorded


def opened(config: dict[str, Any], version: str) -> tuple[Model, Family]:
    """Find the contract's family of a config, and what that makes of it."""
    parsed = read_config(json.dumps(config).encode())
    schema = schemas.load(schemas.detect(parsed) or config["model_type"])
    contract = read_contract(schemas.folder() / "contracts" / "vllm.toml")
    family = contract.family(schema.name, version, config["architectures"][0])
    assert family is not None
    return read(expand(schema, parsed), parsed, family), family


def run(model: Model, family: Family, tensors: list[Tensor], row: Row, recorded: dict[str, Any]) -> Load:
    """Load on the rank of a row."""
    layers = recorded["partition"]
    plan = Plan(
        tp=row["tp"],
        pp=row["pp"],
        ep=row["tp"] if row["ep"] else 1,
        pp_layers=tuple(map(int, layers.split(","))) if layers else (),
    )
    spread = Spread(plan, model.expected, release(f"vllm@{recorded['vllm']}"))
    site = site_of(spread, Rank(row["tp_rank"], row["pp_rank"]))
    return load(model, family, site, tensors)


def differences(ours: Load, row: Row, names: list[str]) -> Iterator[object]:
    """Yield what differs from a row."""
    params = {it.name: [list(it.shape), it.dtype] for it in ours.built.params.values()}
    if row.get("errors_truncated"):
        yield from truncated(ours, row)
        return
    if "params" in row:
        yield from same("params", params, row["params"])
        yield from fills(ours, row, names)
    else:
        kinds = [type(it) for it in ours.outcomes.values()]
        failed = len(ours.errors)
        skipped = sum(kind is Skip for kind in kinds)
        counts = [len(params), len(kinds) - failed - skipped, skipped, failed]
        yield from same(
            "counts", counts, [row[f"n_{it}"] for it in ("params", "filled", "skipped", "errors")]
        )
    yield from errors(ours, row)
    never = sorted(ours.never_written)
    yield from same("never written", never[: len(row["never_written"])], row["never_written"])
    yield from same("number never written", len(never), row.get("n_never_written", len(row["never_written"])))
    partly = {name: list(sizes) for name, sizes in ours.partly_written.items()}
    listed = {name: partly.get(name) for name in row["partly_written"]}
    yield from same("partly written", listed, row["partly_written"])
    yield from same("number partly", len(partly), row.get("n_partly_written", len(row["partly_written"])))


def truncated(ours: Load, row: Row) -> Iterator[object]:
    """Compare a run that was stopped at some errors: it was fed layer 61 first, in an order that is not recorded."""
    yield from same("number of parameters", len(ours.built.params), row["n_params"])
    for name, (kind, text, _) in row["errors"].items():
        ours_too = ours.errors.get(name)
        yield from same(name, ours_too and [ours_too.kind, ours_too.text], [kind, text])


def same(what: str, ours: object, theirs: object) -> Iterator[object]:
    if ours != theirs:
        yield what, ours, theirs


def fills(ours: Load, row: Row, names: list[str]) -> Iterator[object]:
    params = list(row["params"])
    for name, index in zip(names, row["fill"], strict=True):
        outcome = ours.outcomes[name]
        if isinstance(outcome, Failure):
            got: object = -2
        else:
            hit = dict.fromkeys(params.index(fill.param) for fill in written(outcome))
            got = -1 if not hit else next(iter(hit)) if len(hit) == 1 else list(hit)
        yield from same(name, got, index)
        if "slices" in row and not isinstance(outcome, Failure):
            slices = [[params.index(it.param), list(it.start), list(it.shape)] for it in written(outcome)]
            theirs = [[param, start, shape] for param, start, _, shape, *_ in row["slices"].get(name, [])]
            yield from same(f"slices of {name}", sorted(slices), sorted(theirs))


def errors(ours: Load, row: Row) -> Iterator[object]:
    raised = ours.errors | ({AFTER: ours.after} if ours.after else {})
    found = {name: [it.kind, told(it.text)] for name, it in raised.items()}
    theirs = {name: [kind, told(text)] for name, (kind, text, _) in row["errors"].items()}
    if len(theirs) < row.get("n_errors", 0):
        found = {name: it for name, it in found.items() if name in theirs}
    yield from same("errors", found, theirs)
    yield from same("first error", next(iter(raised), None), row.get("first_error"))


def told(text: str) -> str:
    """Leave off the list of all parameters that follows in some releases, and what the recorder cut off."""
    return re.sub(r"\.? The available parameters.*|\.$", "", text, flags=re.DOTALL)[:300]


def notices(ours: Load, family: Family, *, quantised: bool) -> bool:
    """Tell whether the completeness check that the contract describes finds something."""
    check = family.completeness
    kinds = {ours.built.params[name].kind for name in ours.never_written}
    return (not quantised or check.quantised) and any(
        "*" in check.kinds or kind in check.kinds for kind in kinds
    )


@pytest.mark.parametrize("file", FILES)
def test_every_rank_fares_as_recorded(file: str) -> None:
    wrong: list[object] = []
    count = 0
    for name, config, keys, rows, recorded in cases(file):
        version = recorded["vllm"] + (f"+{recorded['patch']}" if recorded["patch"] else "")
        model, family = opened(config, version)
        tensors = [Tensor(key, tuple(shape), TORCH.get(dtype, dtype)) for key, (shape, dtype) in keys.items()]
        for row in rows:
            count += 1
            if count % EVERY and count > 1:
                continue
            ours = run(model, family, tensors, row, recorded)
            where = file, name, *(row[it] for it in ("tp", "pp", "ep", "tp_rank", "pp_rank"))
            if "build_error" in row:
                error = ours.built.error
                said = None if error is None else [error.kind, error.text]
                wrong += [(where, it) for it in same("build", said, row["build_error"][:2])]
                continue
            assert ours.built.error is None, where
            wrong += [(where, it) for it in differences(ours, row, list(keys))]
            if "strict_check" in row:
                check = row["strict_check"]
                theirs = bool(check["applied"] and check["error"])
                quantised = model.block is not None
                wrong += [
                    (where, it) for it in same("noticed", notices(ours, family, quantised=quantised), theirs)
                ]
    assert wrong == []
    assert count
