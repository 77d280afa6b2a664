"""The loader will raise on a tensor: it looks for a parameter that the rank does not have, or cannot copy.

Checks: what the loader's own load function does with every tensor on every rank.
Matters: the same KeyError comes after minutes of loading, from one of many processes, and names no file.
Example: KeyError: 'model.layers.7.mlp.experts.w2_weight' where the config hides the MTP layer that the files have.
Cure: as the finding says; `weightlint map` shows what every tensor fills.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.finding import Level, Place, printable
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.finding import Finding
    from weightlint.loading.aftermath import Rest
    from weightlint.loading.prediction import Prediction
    from weightlint.loading.trouble import Trouble


def check(case: Case) -> Iterator[Finding]:
    """Report what raises, one finding for each kind of exception, and a model that cannot be built at all."""
    from weightlint.loading.aftermath import Rest

    prediction = case.prediction
    if isinstance(prediction, str):
        return
    rest = Rest(prediction, case.told)
    if rest.is_moot:
        return
    yield from _unbuilt(prediction)
    yield from _closing(prediction, rest)
    if next(rest.failures(), None) is not None:
        from weightlint.loading.trouble import troubles

        yield from (_finding(prediction, trouble) for trouble in troubles(rest))


def _unbuilt(prediction: Prediction) -> Iterator[Finding]:
    """Report what the constructor raises, where no rule of plans has told why."""
    for failure, ranks in prediction.unbuilt.items():
        yield RULE.finding(
            f"{prediction.release.says} cannot build the model on ranks {' '.join(ranks)}: {failure}",
            place=Place(ranks=ranks),
            unit="plan",
            cure="choose another plan: `weightlint plan PATH --gpus N` lists those that can be",
        )


def _closing(prediction: Prediction, rest: Rest) -> Iterator[Finding]:
    """Report what the load function raises of its own when all tensors are read."""
    for failure, ranks in rest.ends().items():
        yield RULE.finding(
            f"{prediction.release.says} raises {failure} on ranks {' '.join(ranks)} when all tensors are read",
            place=Place(ranks=ranks),
            unit="plan",
            cure=f"take another release of {prediction.release.loader.says} or another plan: the files are sound",
        )


def _finding(prediction: Prediction, trouble: Trouble) -> Finding:
    says = prediction.release.says
    looked = (
        "looks for a parameter that these ranks do not have" if trouble.kind in LOOKUPS else "cannot copy it"
    )
    return RULE.finding(
        f"{says} raises {trouble.text} on ranks {' '.join(trouble.on_ranks)}: for {printable(trouble.sample)} it {looked}",
        place=Place(tensors=trouble.tensors, ranks=trouble.on_ranks),
        count=trouble.count,
        found=printable(trouble.sample),
        cure=f"load it with a release of {prediction.release.loader.says} or a framework that knows these tensors, or take "
        "them out of the checkpoint; `weightlint map` shows what each tensor fills",
    )


LOOKUPS = frozenset({"KeyError", "ValueError", "AttributeError"})
"""Exceptions of lookups, not of copies."""


RULE = Rule(
    code="WL602",
    name="no-such-parameter",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    needs=frozenset({Need.TABLE, Need.EXPECTED, Need.LOADER, Need.PREDICTION}),
    turn=91,
)
