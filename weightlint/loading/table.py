"""A prediction as JSON values, version 1 (`schemas/_meta/map.schema.json`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.errors import UsageError
from weightlint.loading.groups import tensors
from weightlint.loading.load import load
from weightlint.loading.outcome import Failure, Fill, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weightlint.case import Case
    from weightlint.loading.load import Load
    from weightlint.loading.prediction import Prediction
    from weightlint.plan import Rank

VERSION = 1
AFTER = "(after the last key)"
"""Stands for a tensor where the loader raises when it has read all."""


def asked(case: Case, rank: str | None = None, *, by_name: bool = False) -> dict[str, object]:
    """Predict for a case and write it out; only the class of one rank (`tp0.pp1`) if one is given.

    Raises:
        UsageError: nothing is known of this loader and model, or there is no such rank.
    """
    prediction = case.prediction
    if isinstance(prediction, str):
        message = f"{case.checkpoint.target}: no map: {prediction}"
        raise UsageError(message)
    out = table(prediction, rank, by_name=by_name)
    if rank is not None and not out["ranks"]:
        plan = prediction.plan
        message = f"no rank {rank} in {plan.size:,} ranks; they are {', '.join(plan.patterns())}"
        raise UsageError(message)
    return out


def table(prediction: Prediction, rank: str | None = None, *, by_name: bool = False) -> dict[str, object]:
    """Write what goes where, per class of equal ranks; only the class of one rank if one is given."""
    every = tensors(prediction.case.index, by_name=by_name)
    rows: list[tuple[list[Rank], dict[str, object]]] = []
    for site, ranks in prediction.classes():
        if rank is not None and rank not in map(str, ranks):
            continue
        row = _row(prediction, load(prediction.model, prediction.family, site, every))
        same = next((had for had, other in rows if other == row), None)
        if same is None:
            rows.append((ranks, row))
        else:
            same += ranks
    return {
        "version": VERSION,
        "loader": str(prediction.release),
        "plan": prediction.plan.table(),
        "ranks": [_named(ranks, rank) | row for ranks, row in rows],
    }


def _named(ranks: Sequence[Rank], wanted: str | None) -> dict[str, object]:
    names = [str(rank) for rank in ranks]
    first = wanted if wanted in names else names[0]
    return {"rank": first, "same_as": [name for name in names if name != first]}


def _row(prediction: Prediction, result: Load) -> dict[str, object]:
    built = result.built
    errors = result.errors | ({AFTER: result.after} if result.after else {})
    row: dict[str, object] = {
        "params": {name: [list(param.shape), param.dtype] for name, param in built.params.items()},
        "fill": {name: _fill(it) for name, it in result.outcomes.items() if not isinstance(it, Failure)},
        "errors": {name: [it.kind, it.text] for name, it in errors.items()},
        "first_error": next(iter(errors), None),
        "never_written": sorted(result.never_written),
        "partly_written": {name: list(sizes) for name, sizes in sorted(result.partly_written.items())},
        "noticed": prediction.notices(built, result.never_written),
    }
    if built.error is not None:
        row["build_error"] = [built.error.kind, built.error.text]
    return row


def _fill(outcome: Outcome) -> dict[str, object]:
    if isinstance(outcome, Fill):
        slices: list[dict[str, object]] = [
            {"param": it.param, "start": list(it.start), "shape": list(it.shape)} for it in outcome.all
        ]
        first, *more = slices
        return first | ({"also": more} if more else {})
    return {"skip": outcome.why if not isinstance(outcome, Failure) else outcome.kind}
