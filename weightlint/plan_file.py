"""Plan files: a whole plan in TOML or JSON, as `schemas/_meta/plan.schema.json` has it.

A JSON file may as well be transformers' own: a table with `base_model_tp_plan` or `base_model_ep_plan`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightlint import cut_words, megatron_layout, schema
from weightlint.errors import SchemaError, UsageError
from weightlint.plan import Assigned, Plan, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OF_TRANSFORMERS = ("tp_plan", "ep_plan", "base_model_tp_plan", "base_model_ep_plan")
BASE = "model."
"""What transformers puts before the modules of a base model in the model with a head."""


def read(file: str) -> Plan:
    """Read a plan file.

    Raises:
        UsageError: not readable, or not a plan; the text says where.
    """
    try:
        table = schema.table(Path(file))
    except SchemaError as error:
        message = str(error).replace("schema ", "plan file ", 1)
        raise UsageError(message) from error
    if "architectures" in table or "model_type" in table:
        table = {key: value for key, value in table.items() if key in OF_TRANSFORMERS and value}
    if wrong := _wrong(table):
        message = f"plan file {file} is no valid plan: {'; '.join(wrong[:3])}"
        raise UsageError(message)
    return _plan(table)


def _wrong(table: Mapping[str, Any]) -> list[str]:
    from jsonschema import Draft202012Validator

    form = json.loads((schema.folder() / "_meta" / "plan.schema.json").read_text(encoding="utf-8"))
    errors = Draft202012Validator(form).iter_errors(table)
    return [f"{error.json_path.removeprefix('$.')}: {error.message}" for error in errors]


def _plan(table: Mapping[str, Any]) -> Plan:
    pipeline, experts = table.get("pipeline", {}), table.get("experts", {})
    ranks = tuple(map(tuple, experts.get("ranks", ())))
    layers = tuple(pipeline.get("layers", ()))
    pp = table.get("pp", len(layers) or len(pipeline.get("stages", ())) or 1)
    if "layout" in pipeline and "pp" not in table:
        message = "plan file: a layout needs pp beside it: virtual stages look like stages"
        raise UsageError(message)
    stages = (
        megatron_layout.read(pipeline["layout"], pp)
        if "layout" in pipeline
        else tuple(_stages(pipeline.get("stages", ())))
    )
    return Plan(
        tp=table.get("tp", 1),
        pp=pp,
        ep=table.get("ep", len(ranks) or 1),
        dp=table.get("dp", 1),
        pp_layers=layers,
        stages=stages,
        redundant=experts.get("redundant", 0),
        placement=experts.get("placement", "linear"),
        experts=ranks,
        assigned=tuple(_assigned(table)),
    )


def _stages(listed: list[Mapping[str, Any]]) -> Iterator[Stage]:
    """Yield the stages; embedding and head are on the first and last where nothing says otherwise."""
    named = any("embedding" in it or "head" in it for it in listed)
    for at, stage in enumerate(listed):
        first, last = at == 0, at == len(listed) - 1
        yield Stage(
            layers=tuple(layer for span in stage["layers"] for layer in range(*span)),
            embedding=stage.get("embedding", first and not named),
            head=stage.get("head", last and not named),
            mtp=stage.get("mtp", last and not any("mtp" in it for it in listed)),
        )


def _assigned(table: Mapping[str, Any]) -> Iterator[Assigned]:
    for pattern, cut in table.get("cuts", {}).items():
        if isinstance(cut, str):
            (read,) = cut_words.assigned({pattern: cut})
            yield Assigned(
                pattern=read.pattern, word=cut, dim=read.dim, parts=read.parts, experts=read.experts
            )
        else:
            spans = tuple((start, stop) for start, stop in cut.get("spans", ()))
            yield Assigned(
                pattern=pattern, word="cut", dim=cut.get("dim"), parts=cut.get("parts", 1), spans=spans
            )
    for key in OF_TRANSFORMERS:
        yield from cut_words.assigned(table.get(key, {}), prefix=BASE if key.startswith("base_") else "")
