"""Pipeline stages that do not make the model: layers on no stage or on two, embedding or head nowhere."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from weightlint.finding import Level, counted
from weightlint.limits.refusal import Refusal
from weightlint.names import span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.spread import Spread

CODE = "WL504"
LAYERS = "num_hidden_layers"


def refusals(spread: Spread) -> Iterator[Refusal]:
    """Yield what is wrong with the stages, the first cause only where others follow from it."""
    plan, layers = spread.plan, spread.layers
    if plan.pp == 1 and not plan.pp_layers and not plan.stages:
        return
    who = spread.release.says if spread.release else "this plan"
    if "pp" not in spread.rules.kinds and plan.pp > 1:
        yield _refusal(f"{who} has no pipeline: pp must be 1")
    elif spread.expected.schema in spread.rules.unstaged and plan.pp > 1:
        yield _refusal(f"{who} has no pipeline for {spread.expected.schema}: every rank builds all layers")
    elif plan.pp_layers and (why := _sizes(spread)):
        yield why
    elif plan.stages and len(plan.stages) != plan.pp:
        yield _refusal(f"{counted(len(plan.stages), 'stage')} given for pp={plan.pp}")
    elif not spread.stages:
        yield _refusal(
            f"{layers} / {plan.pp} does not come out even; {who} then wants its layout",
            cure=f"give the layers of each stage: --pp-layers with {plan.pp} numbers, or a layout in --plan-file",
        )
    else:
        yield from _layers(spread)
        yield from _outer(spread)


def _sizes(spread: Spread) -> Refusal | None:
    plan, words = spread.plan, spread.rules.words
    given = len(plan.pp_layers)
    if given != plan.pp:
        text = words.get("stages", "").format(given=given, stages=plan.pp)
        return _refusal(f"{counted(given, 'number')} of layers for pp={plan.pp}", words=text)
    total = sum(plan.pp_layers)
    if total != spread.layers:
        text = words.get("layers", "").format(given=total, layers=spread.layers)
        sum_ = " + ".join(map(str, plan.pp_layers))
        return _refusal(
            f"{sum_} = {total}, the model has {spread.layers} layers",
            words=text,
            cure="MTP layers do not count; the numbers must add up to num_hidden_layers",
        )
    return None


def _layers(spread: Spread) -> Iterator[Refusal]:
    counts = Counter(layer for stage in spread.stages for layer in stage)
    lost = [layer for layer in range(spread.layers) if not counts[layer]]
    twice = [layer for layer, count in counts.items() if count > 1]
    more = sorted(layer for layer in counts if layer >= spread.layers)
    if lost:
        silent = "; the loader does not notice" if not (spread.plan.stages or spread.plan.pp_layers) else ""
        yield _refusal(f"layers {span(lost)} of {spread.layers} are on no stage{silent}")
    if twice:
        yield _refusal(f"layers {span(twice)} are on two stages")
    if more:
        yield _refusal(f"layers {span(more)} are dealt out, the model ends with {spread.layers - 1}")
    empty = [at for at, stage in enumerate(spread.stages) if not stage]
    if empty and not (lost or twice or more) and not spread.rules.empty:
        yield _refusal(
            f"{spread.layers} layers over {spread.plan.pp} stages leave stages {span(empty)} without any",
            stages=frozenset(empty),
        )


def _outer(spread: Spread) -> Iterator[Refusal]:
    """Judge embedding, head and MTP layers, where the plan places them itself."""
    stages = spread.plan.stages
    for what, flags in (
        ("embedding", [stage.embedding for stage in stages]),
        ("head", [stage.head for stage in stages]),
    ):
        if stages and not any(flags):
            yield _refusal(f"no stage has the {what}")
    if stages and "mtp" in spread.expected.axes and spread.expected.axes["mtp"]:
        held = sum(stage.mtp for stage in stages)
        if held != 1:
            says = "no stage has the MTP layers" if not held else f"{held} stages have the MTP layers"
            yield _refusal(says, level=Level.WARNING if not held else Level.ERROR)


def _refusal(
    says: str,
    *,
    words: str = "",
    cure: str = "",
    stages: frozenset[int] | None = None,
    level: Level = Level.ERROR,
) -> Refusal:
    return Refusal(code=CODE, what=LAYERS, says=says, words=words, cure=cure, stages=stages, level=level)
