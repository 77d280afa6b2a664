"""The way through the house: the one place that knows the order of things."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from weightlint import __version__
from weightlint.api.content import manifest, merge, verify, verify_part
from weightlint.case import Case
from weightlint.checkpoint import collector_off
from weightlint.expectation import DIALECTS, QUANTS
from weightlint.facts import facts_of
from weightlint.finding import Report
from weightlint.inspection import Family, Inspection, families
from weightlint.keys import Keys
from weightlint.names import natural
from weightlint.opening import configure, open_cases, widths_of
from weightlint.running import running
from weightlint.target import open_target
from weightlint.verdict import RULES, judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weightlint.loader import Release
    from weightlint.plan import Plan
    from weightlint.planning import Planning
    from weightlint.renaming import Renaming


def check(
    target: str,
    *,
    arch: str | None = None,
    config: str | None = None,
    schema: str | None = None,
    dialect: str | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    dtype: str | None = None,
    device: str | None = None,
    loader: str | None = None,
    contract: str | None = None,
    plan: Plan | str | None = None,
    gpu: str | None = None,
    gpu_memory: str | None = None,
) -> Report:
    """Check one checkpoint and return the report.

    `target` is a folder, a tensor file, an index file or a snapshot. `dialect` is the spelling that the
    names are to have. `select` and `ignore` are rule names or prefixes of codes. `dtype` and `device` say
    how the model is to be run, `loader` (`vllm@0.8.4`) what is to read it, `contract` a file that stands in for what is
    built in of that loader, `plan` (`tp=8,pp=3`) how it is spread over processes, `gpu` (`h100`) or `gpu_memory` (`80GiB`) what each of them has.

    Raises:
        WeightlintError: weightlint could not look: no such path, unknown architecture, bad schema.
    """
    began = time.perf_counter()
    with collector_off():
        use = running(dtype, device, gpu=gpu, gpu_memory=gpu_memory)
        reader, spread = _release(loader, contract), _plan(plan)
        cases = open_cases(
            str(target), arch=arch, config=config, schema=schema, dialect=dialect, loader=reader
        )
        for case in cases:
            case.running, case.plan = use, spread
        findings, skips = judge(cases, select, ignore)
    facts = facts_of(cases, time.perf_counter() - began)
    return Report(findings=tuple(findings), skips=tuple(skips), facts=facts, version=__version__)


def _release(spec: str | None, contract: str | None = None) -> Release | None:
    if contract is not None:
        from weightlint.loading.stand_in import stand_in

        return stand_in(Path(contract), spec)
    if spec is None:
        return None
    from weightlint.loader import release

    return release(spec)


def _plan(given: Plan | str | None) -> Plan | None:
    if not isinstance(given, str):
        return given
    from weightlint.plan_text import read

    return read(given)


def inspect(target: str, *, config: str | None = None) -> Inspection:
    """List the families of a checkpoint with counts, dtypes, shapes and bytes."""
    began = time.perf_counter()
    with collector_off():
        case = Case(open_target(target))
        configure(case, config)
        known = None
        if isinstance(case.config, Keys):
            case.arch = case.config.prefix
        elif case.config is not None:
            known = widths_of(case)
        checkpoint = case.checkpoint
        found = families(case.index, ggml=checkpoint.format == "gguf", known=known)
        rows = sorted(found, key=lambda family: natural(family.pattern))
    facts = facts_of([case], time.perf_counter() - began)
    others = tuple(it.index.files[0].path for it in checkpoint.others if it.index.files)
    return Inspection(facts, tuple(rows), checkpoint.keys, others)


def plan(
    target: str,
    *,
    gpus: int,
    dp: int = 1,
    loader: str | None = None,
    gpu: str | None = None,
    gpu_memory: str | None = None,
    arch: str | None = None,
    config: str | None = None,
) -> Planning:
    """Judge every way of spreading a checkpoint over a number of GPUs.

    Raises:
        WeightlintError: weightlint could not look, or does not know the model.
    """
    from weightlint.planning import planned

    with collector_off():
        reader, use = _release(loader), running(None, None, gpu=gpu, gpu_memory=gpu_memory)
        case = open_cases(str(target), arch=arch, config=config, loader=reader)[0]
        case.running = use
        return planned(case, gpus, dp=dp)


def plan_table(planning: Planning) -> dict[str, object]:
    """Return a table of plans as JSON values, described by `schemas/_meta/plans.schema.json`."""
    from weightlint.planning_table import table

    return table(planning, program=__version__)


def rename(
    target: str,
    *,
    to: str,
    source: str | None = None,
    arch: str | None = None,
    config: str | None = None,
    schema: str | None = None,
) -> Renaming:
    """Work out which tensors of a checkpoint become which in another dialect, `NAME` or `NAME:TAG,TAG`.

    Raises:
        WeightlintError: weightlint could not look, or the dialect has no way of writing this model.
    """
    from weightlint.renaming import renamed

    with collector_off():
        cases = open_cases(str(target), arch=arch, config=config, schema=schema, dialect=source)
        # a GGUF file beside a config is two cases: by its own keys, and as that config's model
        case = next((case for case in cases if case.beside is not None), cases[0])
        return renamed(case, to, source)


def rename_table(renaming: Renaming, *, folded: bool = False) -> dict[str, object]:
    """Return a map of names as JSON values; `folded` joins entries that differ in numbers only."""
    from weightlint.moving.rename_table import table

    return table(renaming, program=__version__, folded=folded)


def load_map(
    target: str,
    *,
    loader: str | None = None,
    contract: str | None = None,
    plan: Plan | str | None = None,
    rank: str | None = None,
    order: str = "header",
    arch: str | None = None,
    config: str | None = None,
    schema: str | None = None,
) -> dict[str, object]:
    """Predict what a loader does with every tensor on each rank; JSON values of `schemas/_meta/map.schema.json`.

    `contract` is a file that stands in for what is built in of the loader; `rank` (`tp0.pp1`) leaves the class of that rank
    alone. `order` is that of the tensors of one file: `header` or `name`.

    Raises:
        WeightlintError: weightlint could not look, or nothing is known of this loader and model.
    """
    from weightlint.loading.table import asked

    with collector_off():
        case = open_cases(
            str(target), arch=arch, config=config, schema=schema, loader=_release(loader, contract)
        )[0]
        case.plan = _plan(plan)
        return asked(case, rank, by_name=order == "name")


def snapshot(target: str, output: str) -> int:
    """Write names, dtypes, shapes, files and sizes of a checkpoint, folded; return the bytes written."""
    from weightlint.formats import snapshot as form

    with collector_off():
        return form.write(open_target(target), Path(output))


__all__ = [
    "DIALECTS",
    "QUANTS",
    "RULES",
    "Family",
    "Inspection",
    "check",
    "inspect",
    "load_map",
    "manifest",
    "merge",
    "open_cases",
    "plan",
    "plan_table",
    "rename",
    "rename_table",
    "snapshot",
    "verify",
    "verify_part",
]
