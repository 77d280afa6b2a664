"""The table of plans as JSON, version 1, described by `schemas/_meta/plans.schema.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weightlint.planning import Choice, Planning

VERSION = 1


def table(planning: Planning, *, program: str) -> dict[str, object]:
    """Return a table of plans as JSON values; memory and weights in bytes."""
    gpu = planning.gpu
    return {
        "version": VERSION,
        "weightlint": program,
        "target": planning.target,
        "arch": planning.arch,
        "loader": planning.loader,
        "gpus": planning.gpus,
        "gpu": {"name": gpu.name, "memory": gpu.memory} if gpu else None,
        "plans": [_choice(choice) for choice in planning.choices],
    }


def _choice(choice: Choice) -> dict[str, object]:
    plan = choice.plan
    return {
        "tp": plan.tp,
        "pp": plan.pp,
        "ep": plan.ep,
        "dp": plan.dp,
        "legal": choice.legal,
        "reasons": [
            {
                "code": it.code,
                "level": str(it.level),
                "what": it.what,
                "says": it.says,
                "words": it.words or None,
            }
            for it in choice.refusals
        ],
        "weights": choice.heaviest if choice.stages else None,
        "stages": list(choice.stages),
        "fits": choice.fits,
        "cache_left": choice.left,
        "cache_tokens": choice.tokens,
    }
